// A process that gets no more threads, as under the limit of a container: everything goes on, and
// nothing says that it was cancelled.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { probe } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { guardMs } from "../support/guard.js";
import { skip } from "../support/skip.js";

const test = suite("no threads");
const program = fileURLToPath(new URL("./no_threads_program.js", import.meta.url));
// Root is above the limit.
const OTHER_USER = 65534;

const EXPECTED = {
  mkdir: 0,
  open: "ok",
  write: 4096,
  allocate: 0,
  sync: 0,
  truncate: 0,
  read: 1000,
  chmod: 0,
  utimes: 0,
  syncRange: 0,
  advise: 0,
  copyRange: 1000,
  statfs: "ok",
  lock: 0,
  unlock: 0,
  stat: "ok",
  chain: "ok",
  close: 0,
  rename: 0,
  link: 0,
  symlink: 0,
  readlink: "ok",
  unlink: 0,
  chmodByPath: 0,
  openDirectory: "ok",
  below: "ok",
  realpath: "ok",
  closeDirectory: 0,
  watch: "ok",
  watched: 0,
  event: "made/more",
  cp: "ok",
  shutdown: 0,
  end: 0,
};

async function run(backend: string): Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), "io-threads-"));
  chmodSync(folder, 0o777);
  const child = spawn(process.execPath, [program, backend, folder], {
    stdio: ["pipe", "pipe", "inherit"],
    cwd: "/",
    uid: OTHER_USER,
    gid: OTHER_USER,
  });
  const guard = setTimeout(() => child.kill("SIGKILL"), guardMs(60_000));
  try {
    let output = "";
    child.stdout.on("data", (piece) => {
      output += piece;
    });
    await once(child.stdout, "data");
    // A user may lower the limits of processes of their own.
    const user = { uid: OTHER_USER, gid: OTHER_USER };
    execFileSync("prlimit", [`--pid=${child.pid}`, "--nproc=1:1"], user);
    child.stdin.write("go\n");
    await once(child, "close");
    return JSON.parse(output.split("\n")[1] || '"it ended early"');
  } finally {
    clearTimeout(guard);
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
}

function whyNot(): string | undefined {
  if (process.platform !== "linux") return "the limit of threads is set by a tool of Linux";
  if (process.getuid?.() !== 0) return "only root can start a program as another user";
  return spawnSync("prlimit", ["-V"]).error && "prlimit is not there";
}

for (const { name, available } of probe().candidates) {
  if (!available) continue;
  const reason = whyNot();
  if (reason !== undefined) {
    skip(test, `${name}: without threads`, reason);
  } else {
    test(`${name}: without threads`, async () => {
      const results = (await run(name)) as Record<string, unknown>;
      // A read that is no count resolves with nothing on purpose.
      for (const [what, expected] of Object.entries(EXPECTED)) {
        const result = results[what];
        const right = expected === 0 ? result === 0 || result === "ok" : result === expected;
        assert.ok(right, `${what}: ${result}`);
      }
    });
  }
}

test.run();
