// What `stat` gives, as objects of Node's own class.

import { type BigIntStats, Stats, statSync } from "node:fs";
import type { StatRecord } from "@io/core";

function date(ms: number): Date {
  return new Date(Math.round(ms));
}

/** The answer of a stat as `fs.Stats`. */
export function statsFrom(record: StatRecord): Stats {
  const { stat } = record;
  const { dev, mode, nlink, uid, gid, blksize, ino, size, blocks } = stat;
  const { atimeMs, mtimeMs, ctimeMs, birthtimeMs } = stat;
  const stats: Stats = Object.create(Stats.prototype);
  return Object.assign(stats, {
    ...{ dev, mode, nlink, uid, gid, rdev: 0, blksize, ino, size, blocks },
    ...{ atimeMs, mtimeMs, ctimeMs, birthtimeMs },
    ...{ atime: date(atimeMs), mtime: date(mtimeMs) },
    ...{ ctime: date(ctimeMs), birthtime: date(birthtimeMs) },
  });
}

let bigPrototype: object | undefined;

// Node gives its class of them to no program, but to one that has such an object.
function prototypeOfBig(): object {
  bigPrototype ??= Object.getPrototypeOf(statSync("/", { bigint: true })) as object;
  return bigPrototype;
}

/** The same in bigints, with times in nanoseconds. */
export function bigStatsFrom(record: StatRecord): BigIntStats {
  const stat = record.bigint;
  const { dev, mode, nlink, uid, gid, blksize, ino, size, blocks } = stat;
  const { atimeMs, mtimeMs, ctimeMs, birthtimeMs } = stat;
  const { atimeNs, mtimeNs, ctimeNs, birthtimeNs } = stat;
  return Object.assign(Object.create(prototypeOfBig()) as BigIntStats, {
    ...{ dev, mode, nlink, uid, gid, rdev: 0n, blksize, ino, size, blocks },
    ...{ atimeMs, mtimeMs, ctimeMs, birthtimeMs },
    ...{ atimeNs, mtimeNs, ctimeNs, birthtimeNs },
    ...{ atime: date(Number(atimeMs)), mtime: date(Number(mtimeMs)) },
    ...{ ctime: date(Number(ctimeMs)), birthtime: date(Number(birthtimeMs)) },
  });
}
