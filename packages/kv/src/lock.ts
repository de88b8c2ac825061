/**
 * Keeps two servers off the same data: one holds a lock on the file `lock` as long as it runs. The
 * kernel ends the lock with the process, however that ends and in whatever container it ran. The
 * file stays, because to remove it would let a third server lock another file of the same name.
 *
 * It holds the process number of its last owner, for the message only.
 */

import { join } from "node:path";
import type { File, IO } from "@io/core";
import { codeOf, KvError } from "./errors.js";

/**
 * How long to wait for a lock that is held. After a kill the kernel still finishes what the former
 * server had under way, and only then closes its files.
 */
const PATIENCE_MS = 1000;
const OWNER_BYTES = 32;

export class FolderLock {
  private constructor(private readonly file: File) {}

  static async take(io: IO, folder: string): Promise<FolderLock> {
    const path = join(folder, "lock");
    const file = await io.openFile(path, { read: true, write: true, create: true });
    try {
      await lockOrSay(file, folder);
      await noteOwner(file);
      return new FolderLock(file);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async release(): Promise<void> {
    await this.file.close();
  }
}

async function lockOrSay(file: File, folder: string): Promise<void> {
  try {
    await file.lock({ timeoutMs: PATIENCE_MS });
  } catch (error) {
    throw codeOf(error) === "ETIMEDOUT" ? await inUse(file, folder) : error;
  }
}

/** A full disk cannot take the number, and needs not. */
async function noteOwner(file: File): Promise<void> {
  try {
    await file.writeAll(
      Buffer.from(
        String(process.pid)
          .padEnd(OWNER_BYTES - 1)
          .concat("\n"),
      ),
      0,
    );
  } catch (error) {
    if (!["ENOSPC", "EDQUOT", "EFBIG"].includes(codeOf(error))) throw error;
  }
}

async function inUse(file: File, folder: string): Promise<KvError> {
  const bytes = new Uint8Array(OWNER_BYTES);
  const count = await file.readFull(bytes, 0);
  const owner = /^[0-9]+/.exec(Buffer.from(bytes.subarray(0, count)).toString("latin1"));
  const who = owner === null ? "another process" : `process ${owner[0]}`;
  return new KvError(
    "ERR_KV_LOCKED",
    `the data in ${folder} are in use by ${who}. ` +
      "Stop it first, or choose another folder with --data.",
  );
}
