// Lets one setup at a time change the tree: two builds at once would write the same files.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stateFile } from "./paths.mjs";

const lockFile = `${dirname(stateFile)}/setup.lock`;

/** Whether the process that holds the lock still exists; one that was killed leaves its lock. */
function holderIsAlive() {
  try {
    process.kill(Number(readFileSync(lockFile, "utf8")), 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Runs `work` while holding the lock, waiting first for a setup that is under way. */
export async function whileLocked(work) {
  mkdirSync(dirname(lockFile), { recursive: true });
  for (let told = false; ; told = true) {
    try {
      writeFileSync(lockFile, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (!told) process.stderr.write("  waiting for another setup in this tree\n");
    await sleep(250);
    if (!holderIsAlive()) rmSync(lockFile, { force: true });
  }
  try {
    return await work();
  } finally {
    rmSync(lockFile, { force: true });
  }
}
