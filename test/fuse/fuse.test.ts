// Files of a file system whose server is silent, or returns errors that no disk returns: on each
// backend, in a process of its own, since only the end of the process ends a thread that waits for
// such a server.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { probe } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { guardMs } from "../support/guard.js";
import { skip } from "../support/skip.js";

const GUARD_MS = guardMs(20_000);
const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const test = suite("fuse");
let server: ChildProcess | undefined;
let folder = "";

/** Why there can be no such file system here. */
async function mount(): Promise<string | undefined> {
  if (process.platform !== "linux") return "this system has no FUSE of its own";
  if (process.getuid?.() !== 0) return "only root may mount one";
  if (!existsSync("/dev/fuse")) return "there is no /dev/fuse";
  folder = mkdtempSync(join(tmpdir(), "io-fuse-"));
  server = spawn(process.execPath, [beside("server.js"), folder], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const [told] = await once(server.stdout!, "data");
  return String(told).startsWith("mounted") ? undefined : "mount(8) refuses it";
}

async function run(backend: string, what: string): Promise<unknown> {
  const program = spawn(process.execPath, [beside("program.js"), backend, folder, what], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  program.stdout.on("data", (piece) => {
    output += piece;
  });
  // Only the end of the server ends an operation that waits in the kernel.
  const guard = setTimeout(() => {
    output = '"did not end"';
    server?.kill("SIGKILL");
    program.kill("SIGKILL");
  }, GUARD_MS);
  await once(program, "close");
  clearTimeout(guard);
  return output === "" ? "it crashed" : JSON.parse(output);
}

const reason = await mount();
const backends = probe()
  .candidates.filter(({ available }) => available)
  .map(({ name }) => name);

function expect(what: string, name: string, check: (result: unknown, backend: string) => void) {
  for (const backend of backends) {
    if (reason !== undefined) {
      skip(test, `${backend}: ${name}`, reason);
    } else {
      test(`${backend}: ${name}`, async () => check(await run(backend, what), backend));
    }
  }
}

expect("hung", "reads that hang stop nothing else", (result, backend) => {
  assert.equal(result, [5, backend === "io_uring" ? "ABORT_ERR" : "EIO"]);
});
expect("hungOpen", "opens that hang stop nothing else", (result, backend) => {
  assert.equal(result, [5, backend === "io_uring" ? "ETIMEDOUT" : "EIO"]);
});
for (const [way, by] of [
  ["ByClose", "the IO is closed"],
  ["ByCancel", "everything is cancelled"],
] as const) {
  expect(`interrupted${way}`, `a close that is interrupted is one, when ${by}`, (result) => {
    assert.equal(result, ["ok", "open"]);
  });
  expect(`cancelled${way}`, `a close that says ECANCELED closes once, when ${by}`, (result) => {
    assert.equal(result, ["ECANCELED", "open"]);
  });
}
expect("chainedClose", "a close of a chain that fails has closed the file", (result) => {
  assert.equal(result, ["EIO", "ok", "ERR_IO_CLOSED"]);
});
expect("readInterrupted", "a read that is always interrupted is EINTR", (result) => {
  assert.is(result, "EINTR");
});
expect("readInterruptedOnce", "a read that is interrupted once is made again", (result) => {
  assert.is(result, 10);
});
expect("lateFile", "a file that comes late to a full socket ends when that closes", (result) => {
  assert.is(result, 0, "the close need not look again");
});
expect("writeQuota", "a quota that is used up is EDQUOT", (result) => {
  assert.is(result, "EDQUOT");
});

test.after(async () => {
  if (server === undefined) return;
  server.stdin!.end();
  if (server.exitCode === null && server.signalCode === null) await once(server, "exit");
  // A server that was killed has not unmounted it.
  if (reason === undefined && existsSync("/proc/self/mountinfo")) unmountLeft();
  rmdirSync(folder);
});

function unmountLeft(): void {
  const mounts = execFileSync("cat", ["/proc/self/mountinfo"], { encoding: "utf8" });
  if (mounts.includes(` ${folder} `)) execFileSync("umount", ["-l", folder]);
}

test.run();
