// Programs of files as plain data, and how they are generated. A step names files and paths by
// number, so that every part of a program is a program too and a failing one can be made smaller.

import { OpenFlags } from "@io/core";
import fc from "fast-check";
import type { Path } from "./model.js";

/** A step is made with a verb of the ring or with a method that returns a promise. */
export type Layer = "ring" | "promise";

/** Which file of those opened so far, counted from the last one; closed ones are among them. */
type FileIndex = number;

/** In its place: the file that the chain itself opens. */
export const OWN_FILE: FileIndex = -1;

export type FileOperation =
  | { do: "open"; path: Path; flags: number; mode: number }
  | { do: "read"; file: FileIndex; sizes: number[]; offset: number }
  | { do: "write"; file: FileIndex; sizes: number[]; offset: number }
  | { do: "sync"; file: FileIndex; level: "data" | "full" }
  | { do: "allocate"; file: FileIndex; offset: number; sizeBytes: number; mode: SpaceMode }
  | { do: "truncate"; file: FileIndex; sizeBytes: number }
  | { do: "stat"; file: FileIndex }
  | { do: "statPath"; path: Path }
  | { do: "rename"; from: Path; to: Path }
  | { do: "link"; from: Path; to: Path }
  | { do: "symlink"; target: Path; path: Path }
  | { do: "readlink"; path: Path }
  | { do: "unlink"; path: Path; directory: boolean }
  | { do: "mkdir"; path: Path; mode: number }
  | { do: "asSocket"; file: FileIndex; verb: SocketVerb }
  // Of a chain.
  | { do: "closeFile"; file: FileIndex };

/** Modes that take any range; the others take blocks of the file system. */
export type SpaceMode = "grow" | "keepSize" | "punchHole" | "zeroRange";

export type SocketVerb =
  | "receive"
  | "send"
  | "sendVectored"
  | "shutdown"
  | "accept"
  | "acceptMultishot"
  | "connect"
  | "bind"
  | "listen";

export type FileStep =
  | { do: "close"; layer: Layer; file: FileIndex }
  // `hard` has a bit for each member whose link is hard, `limited` for each with a time limit,
  // which is never reached.
  | { do: "chain"; layer: Layer; members: FileOperation[]; hard: number; limited: number }
  | ({ layer: Layer } & FileOperation);

export interface FileProgram {
  mode: "attached" | "detached";
  steps: FileStep[];
}

const name = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom("a", "b", "c") },
  { weight: 1, arbitrary: fc.constant("n".repeat(256)) },
);
const path: fc.Arbitrary<Path> = fc.array(name, { minLength: 1, maxLength: 3, size: "max" });
const file = fc.nat(15);
const offset = fc.oneof(
  { weight: 4, arbitrary: fc.constant(-1) },
  { weight: 6, arbitrary: fc.nat(9000) },
);
const farOffset = fc.oneof(
  { weight: 20, arbitrary: offset },
  { weight: 1, arbitrary: fc.constantFrom(2 ** 31, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER - 70_000) },
);
const size = fc.oneof(
  { weight: 8, arbitrary: fc.nat(64) },
  { weight: 6, arbitrary: fc.nat(5000) },
  { weight: 1, arbitrary: fc.nat(70_000) },
);
const sizes = fc.oneof(
  { weight: 3, arbitrary: size.map((one) => [one]) },
  { weight: 1, arbitrary: fc.array(size, { minLength: 2, maxLength: 6 }) },
);

// Readable by their owner, so that a program does the same as any user.
const fileMode = fc.nat(0o177).map((bits) => 0o600 | (bits & 0o077));
const folderMode = fc.nat(0o77).map((bits) => 0o700 | bits);

const openFlag = (flag: number, weight: number): fc.Arbitrary<number> =>
  fc.oneof({ weight, arbitrary: fc.constant(flag) }, { weight: 10, arbitrary: fc.constant(0) });
const flags = fc
  .tuple(
    openFlag(OpenFlags.read, 20),
    openFlag(OpenFlags.write, 20),
    openFlag(OpenFlags.append, 3),
    openFlag(OpenFlags.create, 30),
    openFlag(OpenFlags.exclusive, 2),
    openFlag(OpenFlags.truncate, 2),
    openFlag(OpenFlags.directory, 1),
    openFlag(OpenFlags.noFollow, 2),
  )
  .map((bits) => {
    const all = bits.reduce((sum, bit) => sum | bit, 0);
    // The meaning of these together differs from kernel to kernel (open(2), BUGS).
    const isFolder = (all & OpenFlags.directory) !== 0;
    const sane = isFolder ? all & ~OpenFlags.create & ~OpenFlags.exclusive : all;
    return (sane & OpenFlags.create) === 0 ? sane & ~OpenFlags.exclusive : sane;
  });

const rows: readonly [weight: number, arbitrary: fc.Arbitrary<FileOperation>][] = [
  [14, fc.record({ do: fc.constant("open"), path, flags, mode: fileMode })],
  [20, fc.record({ do: fc.constant("read"), file, sizes, offset: farOffset })],
  [22, fc.record({ do: fc.constant("write"), file, sizes, offset })],
  [3, fc.record({ do: fc.constant("sync"), file, level: fc.constantFrom("data", "full") })],
  [
    3,
    fc.record({
      do: fc.constant("allocate"),
      file,
      offset: fc.nat(9000),
      sizeBytes: size,
      mode: fc.constantFrom<SpaceMode>("grow", "keepSize", "punchHole", "zeroRange"),
    }),
  ],
  [4, fc.record({ do: fc.constant("truncate"), file, sizeBytes: size })],
  [5, fc.record({ do: fc.constant("stat"), file })],
  [4, fc.record({ do: fc.constant("statPath"), path })],
  [6, fc.record({ do: fc.constant("rename"), from: path, to: path })],
  [4, fc.record({ do: fc.constant("link"), from: path, to: path })],
  [4, fc.record({ do: fc.constant("symlink"), target: path, path })],
  [3, fc.record({ do: fc.constant("readlink"), path })],
  [4, fc.record({ do: fc.constant("unlink"), path, directory: fc.boolean() })],
  [5, fc.record({ do: fc.constant("mkdir"), path, mode: folderMode })],
  [
    2,
    fc.record({
      do: fc.constant("asSocket"),
      file,
      verb: fc.constantFrom<SocketVerb>(
        ...(["receive", "send", "sendVectored", "shutdown", "accept"] as const),
        ...(["acceptMultishot", "connect", "bind", "listen"] as const),
      ),
    }),
  ],
] as const;

const operation = fc.oneof(...rows.map(([weight, arbitrary]) => ({ weight, arbitrary })));
const layer = fc.constantFrom<Layer>("ring", "promise");
const closeFile = fc.record({ do: fc.constant("closeFile"), file });
const member: fc.Arbitrary<FileOperation> = fc.oneof(
  { weight: 12, arbitrary: operation },
  { weight: 1, arbitrary: closeFile },
);
const members = fc.array(member, { minLength: 1, maxLength: 8, size: "max" });
const MAX_MEMBERS = 12;
const bits = fc.oneof(fc.constant(0), fc.nat(2 ** MAX_MEMBERS - 1));
/** What a chain opens, uses, and closes; now and then in an order that is refused. */
const ownChain: fc.Arbitrary<FileOperation[]> = fc
  .record({
    before: fc.array(member, { maxLength: 2 }),
    open: fc.record({
      do: fc.constant("open" as const),
      path,
      flags: flags.map((all) => all | OpenFlags.read | OpenFlags.write | OpenFlags.create),
      mode: fileMode,
    }),
    uses: fc.array(member, { maxLength: 6, size: "max" }),
    own: fc.nat(63),
    end: fc.nat(9),
    after: fc.array(member, { maxLength: 2 }),
  })
  .map(({ before, open, uses, own, end, after }) => {
    const flagged = { ...open, flags: open.flags & ~OpenFlags.directory };
    const used = uses.map((use, index) =>
      "file" in use && use.do !== "closeFile" && (own & (1 << index)) !== 0
        ? { ...use, file: OWN_FILE }
        : use,
    );
    const close: FileOperation = { do: "closeFile", file: OWN_FILE };
    const closes = end === 0 ? [] : end === 1 ? [close, close] : [close];
    return [...before, flagged, ...used, ...closes, ...after].slice(0, MAX_MEMBERS);
  });

/** A chain of these. A close takes no limit: with one all is refused, which is tried seldom. */
function chainOf(some: fc.Arbitrary<FileOperation[]>): fc.Arbitrary<FileStep> {
  return fc
    .record({ layer, members: some, hard: bits, limited: bits, limits: fc.nat(9) })
    .map(({ limits, limited, ...chain }) => {
      const closes = chain.members.map(({ do: what }, at) => (what === "closeFile" ? 1 << at : 0));
      const allowed = closes.reduce((all, bit) => all & ~bit, limited);
      return { do: "chain", ...chain, limited: limits === 0 ? limited : limits < 4 ? allowed : 0 };
    });
}

const step: fc.Arbitrary<FileStep> = fc.oneof(
  { weight: 72, arbitrary: fc.tuple(layer, operation).map(([l, o]) => ({ layer: l, ...o })) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("close"), layer, file }) },
  { weight: 14, arbitrary: chainOf(members) },
  { weight: 8, arbitrary: chainOf(ownChain) },
);

export const filePrograms: fc.Arbitrary<FileProgram> = fc.record({
  mode: fc.constantFrom("attached", "detached"),
  steps: fc.array(step, { minLength: 1, maxLength: 100, size: "max" }),
});
