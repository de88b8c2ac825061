// Lets one setup at a time change the tree: two builds at once would write the same files.
//
// The lock is the kernel's, taken by flock(1) or, on macOS and FreeBSD, lockf(1). That program runs
// `cat`, which ends when this process closes the pipe or dies, and the lock goes with it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { stateFile } from "./paths.mjs";
import { StepError } from "./step.mjs";
import { findProgram } from "./system.mjs";

const lockFile = `${dirname(stateFile)}/setup.lock`;
const noticeMs = 1000;

/** Starts the program that takes the lock; it prints a line once it has it. */
function startHolder() {
  // -k: without it lockf removes the file, and a third setup could lock another one of that name.
  const words = findProgram("flock") ? ["flock", lockFile] : ["lockf", "-k", lockFile];
  if (findProgram(words[0]) === undefined) return undefined;
  const [command, ...rest] = [...words, "sh", "-c", "echo locked; exec cat"];
  return spawn(command, rest, { stdio: ["pipe", "pipe", "inherit"] });
}

/** Runs `work` while holding the lock, waiting first for a setup that is under way. */
export async function whileLocked(work) {
  mkdirSync(dirname(lockFile), { recursive: true });
  const holder = startHolder();
  if (holder === undefined) {
    process.stderr.write("  no flock and no lockf here: run one setup of this tree at a time\n");
    return work();
  }
  const ended = once(holder, "close");
  const notice = setTimeout(() => {
    process.stderr.write("  waiting for another setup in this tree\n");
  }, noticeMs);
  try {
    const locked = await Promise.race([once(holder.stdout, "data"), ended.then(() => undefined)]);
    if (locked === undefined) throw new StepError(`${lockFile} could not be locked.`);
  } finally {
    clearTimeout(notice);
  }
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
