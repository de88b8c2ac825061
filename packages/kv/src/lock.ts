/**
 * Keeps two servers off the same data.
 *
 * A file `lock` names its owner: process number, the time that process started, the boot, and the
 * namespace in which the number counts. With these an owner that is gone is told from one that
 * lives, even when its number has been given out again. The file is written under another name and
 * then linked, which fails if there is one already; so it is never seen half written.
 *
 * An owner in another namespace (another container) cannot be looked at from here. It is taken to
 * live, and the message says what to do if it does not.
 *
 * These are a few calls, once, at the start, and link(2) is among them: they are Node's own.
 */

import { randomUUID } from "node:crypto";
import {
  linkSync,
  readFileSync,
  readlinkSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { codeOf, KvError } from "./errors.js";

interface Owner {
  readonly pid: number;
  readonly started: string;
  readonly boot: string;
  readonly namespace: string;
}

export class FolderLock {
  private constructor(
    private readonly path: string,
    private readonly content: string,
  ) {}

  static take(folder: string): FolderLock {
    const path = join(folder, "lock");
    const own = join(folder, `lock.${process.pid}.${randomUUID()}`);
    const content = `${JSON.stringify({ ...currentOwner(), id: randomUUID() })}\n`;
    writeFileSync(own, content, { flag: "wx" });
    try {
      // Each round but the last found an owner that is gone and has removed its lock.
      for (let round = 0; round < 10; round++) {
        if (tryLink(own, path)) return new FolderLock(path, content);
        removeIfStale(path, folder);
      }
    } finally {
      unlinkSync(own);
    }
    throw new KvError("ERR_KV_LOCKED", `${path} keeps being taken by others; try again`);
  }

  release(): void {
    if (readIfThere(this.path) === this.content) unlinkSync(this.path);
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

function removeIfStale(path: string, folder: string): void {
  const content = readIfThere(path);
  if (content === undefined) return;
  const owner = parseOwner(content);
  if (owner !== undefined) refuseIfAlive(owner, path, folder);
  // Renaming first makes sure that what is removed is what was judged: another starter may have
  // replaced the lock in between, and its lock must go back.
  const aside = `${path}.stale.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  if (readFileSync(aside, "utf8") !== content) tryLink(aside, path);
  unlinkSync(aside);
}

function refuseIfAlive(owner: Owner, path: string, folder: string): void {
  const here = currentOwner();
  if (owner.boot !== here.boot) return;
  const foreign = owner.namespace !== here.namespace;
  if (!foreign && startOf(owner.pid) !== owner.started) return;
  const advice = foreign
    ? `It runs in another container; if it does not run any more, remove ${path}.`
    : "Stop it first, or choose another folder with --data.";
  throw new KvError(
    "ERR_KV_LOCKED",
    `the data in ${folder} are in use by process ${owner.pid}. ${advice}`,
  );
}

function currentOwner(): Owner {
  return {
    pid: process.pid,
    started: startOf(process.pid) ?? "",
    boot: readIfThere("/proc/sys/kernel/random/boot_id")?.trim() ?? "",
    namespace: namespaceHere(),
  };
}

/** When the process started, in the kernel's ticks; undefined when no such process runs. */
function startOf(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat !== undefined) {
    // The name in parentheses may hold anything; the fields are counted behind it. The first is the
    // state, and a zombie does not run: it only waits for its parent to take notice.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  }
  if (readIfThere("/proc/self/stat") !== undefined) return undefined;
  try {
    process.kill(pid, 0); // Systems without /proc: there is only whether the number is in use.
    return "unknown";
  } catch (error) {
    return codeOf(error) === "EPERM" ? "unknown" : undefined;
  }
}

function namespaceHere(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ESRCH") return undefined;
    throw error;
  }
}

/** Undefined for a file that no server of this kind has written: it holds nobody off. */
function parseOwner(content: string): Owner | undefined {
  try {
    const parsed: unknown = JSON.parse(content);
    if (typeof parsed !== "object" || parsed === null) return undefined;
    const { pid, started, boot, namespace } = parsed as Record<string, unknown>;
    if (typeof pid !== "number") return undefined;
    return {
      pid,
      started: String(started),
      boot: String(boot),
      namespace: String(namespace),
    };
  } catch {
    return undefined;
  }
}
