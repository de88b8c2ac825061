// The sysctl kernel.io_uring_disabled really set, where the test may set it. It holds for the whole
// machine, so this file runs alone, is quick, and puts the old value back however it ends: a
// process that outlives it does so as soon as this one is gone.

import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { probe } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { asNobody, canBeReadByAll } from "../support/nobody.js";
import { skip } from "../support/skip.js";
import { candidateOf, examine, runProgram } from "./support.js";

const test = suite("fallback/sysctl");
const SYSCTL = "/proc/sys/kernel/io_uring_disabled";
const LOCK = join(tmpdir(), "io-core-sysctl.lock");

/** Why the sysctl is left alone, or undefined. */
function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return "only root may set kernel.io_uring_disabled";
  try {
    accessSync(SYSCTL, constants.W_OK);
  } catch (error) {
    return `kernel.io_uring_disabled cannot be set: ${(error as Error).message}`;
  }
  const value = readFileSync(SYSCTL, "utf8").trim();
  if (value !== "0") return `kernel.io_uring_disabled is ${value} here already`;
  const found = probe().candidates.find(({ name }) => name === "io_uring");
  return found?.available === true ? undefined : `io_uring is not there: ${found?.reason}`;
}

/** A process that sets the value back when this one ends, and keeps other runs away meanwhile. */
async function startGuard(): Promise<ChildProcess | undefined> {
  const script = `echo ready; read ending; printf 0 > ${SYSCTL}`;
  const guard = spawn("flock", ["--nonblock", LOCK, "sh", "-c", script], {
    detached: true,
    stdio: ["pipe", "pipe", "ignore"],
  });
  const isReady = await new Promise<boolean>((resolve, reject) => {
    guard.stdout?.once("data", () => resolve(true));
    guard.once("error", reject).once("exit", () => resolve(false));
  });
  return isReady ? guard : undefined;
}

/** Does the work while the sysctl has the value. */
function withSysctl<T>(value: "1" | "2", work: () => T): T {
  writeFileSync(SYSCTL, value);
  try {
    return work();
  } finally {
    writeFileSync(SYSCTL, "0");
  }
}

function register(): void {
  test("2 forbids io_uring to all: epoll is taken, and everything says why", () => {
    const [doctor, named] = withSysctl("2", () => [examine(), runProgram("named")]);
    assert.is(doctor.status, 0, doctor.said);
    assert.is(doctor.found.chosen, "epoll");
    const { available, reason, advice } = candidateOf(doctor.found, "io_uring");
    assert.not(available);
    assert.match(reason, /^io_uring_setup failed with EPERM \(/);
    assert.match(reason, "by sysctl kernel.io_uring_disabled (it is 2 here; ");
    assert.match(reason, "this process runs under none");
    assert.match(advice ?? "", /^sysctl -w kernel\.io_uring_disabled=0/);
    assert.match(named.output, /^ERR_IO_BACKEND_UNAVAILABLE -1: .*it is 2 here.*sysctl -w kernel/);
    assert.match(named.output, "\nepoll opened: ");
  });

  const user = asNobody();
  const isReadable = canBeReadByAll(new URL("./programs.js", import.meta.url));
  if (typeof user === "string" || !isReadable) {
    skip(test, "1 forbids io_uring to users", "nobody cannot run programs of this tree");
  } else {
    test("1 forbids io_uring to users without privileges, and to nobody else", () => {
      const [root, nobody] = withSysctl("1", () => [examine(), examine({ prefix: user })]);
      assert.is(root.found.chosen, "io_uring", root.said);
      assert.is(nobody.found.chosen, "epoll", nobody.said);
      assert.match(candidateOf(nobody.found, "io_uring").reason, "it is 1 here; 1 needs CAP_SYS");
    });
  }

  test("the old value is back", () => {
    assert.is(readFileSync(SYSCTL, "utf8").trim(), "0");
    assert.is(examine().found.chosen, "io_uring");
  });
}

const reason = whyNot();
const guard = reason === undefined ? await startGuard() : undefined;
if (guard !== undefined) register();
else skip(test, "kernel.io_uring_disabled", reason ?? "another run of this test has the lock");
test.after(() => {
  guard?.stdin?.end();
  guard?.unref();
});
test.run();
