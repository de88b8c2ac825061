// The choice of the backend where everything is there: kernels that are passed over, names that
// is not available, and little locked memory.

import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { probe } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { asNobody, canBeReadByAll } from "../support/nobody.js";
import { skip } from "../support/skip.js";
import { buildTools, candidateOf, examine, runProgram, type Tools } from "./support.js";

const test = suite("fallback/candidates");

delete process.env["IO_BACKEND"];
const available = probe()
  .candidates.filter((candidate) => candidate.available)
  .map(({ name }) => name);
const hasIoUring = available.includes("io_uring");

// ---- Kernels

interface Named {
  readonly release: string;
  readonly build?: string;
}

function registerKernels({ kernelName }: Tools): void {
  const on = ({ release, build = "#1 SMP PREEMPT_DYNAMIC" }: Named, more = {}) => ({
    environment: {
      LD_PRELOAD: kernelName,
      TEST_KERNEL_RELEASE: release,
      TEST_KERNEL_BUILD: build,
      ...more,
    },
  });
  const debian = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.115-1 (2024-11-01)";
  const denied: Named[] = [
    { release: "6.1.115-1-amd64" },
    { release: "6.6.57" },
    { release: "6.1.0-27-amd64", build: debian },
  ];
  for (const kernel of denied) {
    test(`${kernel.release} is passed over, with the reason`, () => {
      const { status, found, said } = examine(on(kernel));
      assert.is(status, 0, said);
      assert.is(found.chosen, "epoll");
      assert.is(found.kernel, kernel.release);
      const candidate = candidateOf(found, "io_uring");
      assert.ok(candidate.available, candidate.reason);
      const words = `not chosen by itself on Linux ${kernel.release}, where a completion ring that`;
      assert.match(candidate.reason, words);
      assert.match(candidate.advice ?? "", "IO_BACKEND=io_uring");
      const { output } = runProgram("why", on(kernel));
      assert.match(output, "epoll, the first of the candidates that works");
      assert.match(output, `not io_uring: ${words}`);
    });

    test(`${kernel.release}: io_uring by its name opens anyway, and says so`, () => {
      const { output, said } = runProgram("why", on(kernel, { IO_BACKEND: "io_uring" }));
      assert.match(output, "io_uring, named by IO_BACKEND: io_uring works here", said);
      assert.match(output, `not chosen by itself on Linux ${kernel.release}, where`);
    });
  }

  for (const release of ["6.1.112", "6.1.116", "5.15.0", "7.3", "6.18.44-fc-v595", "garbage"]) {
    test(`${release} is not passed over`, () => {
      const { found } = examine(on({ release }));
      assert.is(found.chosen, "io_uring");
      assert.not.match(candidateOf(found, "io_uring").reason, "not chosen by itself");
    });
  }
}

// ---- Wake-ups

function registerWakeUps({ lateSignals }: Tools): void {
  const late = { environment: { LD_PRELOAD: lateSignals } };
  const withTaskrun = (name: string) => ({ environment: { IO_TASKRUN: name } });
  const coop = "io_uring works here (COOP_TASKRUN, ";
  const defer = "io_uring works here (DEFER_TASKRUN, SINGLE_ISSUER, ";
  const putOff = "since wake-ups of DEFER_TASKRUN come late on this kernel, or not at all";

  test("late wake-ups: attached mode goes without DEFER_TASKRUN, and says so", () => {
    const { status, output, said } = runProgram("modes", late);
    assert.is(status, 0, said);
    assert.match(output, `attached: io_uring, the first of the candidates that works: ${coop}`);
    assert.match(output, `${coop}${putOff}`);
    assert.match(output, `detached: io_uring, the first of the candidates that works: ${defer}`);
    assert.match(candidateOf(examine(late).found, "io_uring").reason, `${coop}${putOff}`);
  });

  test("late wake-ups: files, sockets and time work", () => {
    const { status, output, said } = runProgram("everything", late);
    assert.is(status, 0, said);
    assert.match(output, "the Worker ended with 0");
  });

  test("IO_TASKRUN decides about attached mode", () => {
    for (const [name, words] of [
      ["coop", `${coop}as IO_TASKRUN says`],
      ["defer", defer],
    ] as const) {
      const { output } = runProgram("modes", withTaskrun(name));
      assert.match(output, `attached: io_uring, the first of the candidates that works: ${words}`);
      assert.match(output, `detached: io_uring, the first of the candidates that works: ${defer}`);
      assert.match(candidateOf(examine(withTaskrun(name)).found, "io_uring").reason, words);
    }
  });

  test("IO_TASKRUN names nonsense", () => {
    const words = 'the environment variable IO_TASKRUN is "nonsense", not "defer" or "coop"';
    const { output } = runProgram("automatic", withTaskrun("nonsense"));
    assert.match(output, `ERR_INVALID_ARG_VALUE undefined: open: ${words}`);
    const { status, found } = examine(withTaskrun("nonsense"));
    assert.is(status, 1);
    assert.is(found.chosen, null);
    assert.match(found.why, words);
  });
}

// ---- Names

for (const { name, reason } of probe().candidates.filter((one) => !one.available)) {
  test(`${name} by its name is an error that says why it is not available`, () => {
    const { output } = runProgram("automatic", { environment: { IO_BACKEND: name } });
    const words = `open: the backend "${name}", named by IO_BACKEND, is not available: ${reason}`;
    assert.match(output, words);
    assert.match(output, /^(ERR_IO_BACKEND_UNAVAILABLE|ENOMEM|EMFILE) -\d+: /);
  });
}

test("IO_BACKEND names nonsense", () => {
  const { output } = runProgram("automatic", { environment: { IO_BACKEND: "nonsense" } });
  const words =
    'the environment variable IO_BACKEND names "nonsense", which is none of auto, io_uring';
  assert.match(output, /^ERR_IO_BACKEND_UNKNOWN /);
  assert.match(output, words);
});

// ---- Limits

/** Whether this kernel counts rings against RLIMIT_MEMLOCK: Linux 6.14 and later do. */
function countsRings(): boolean {
  const [first = 0, second = 0] = release().split(".").map(Number);
  return first > 6 || (first === 6 && second >= 14);
}

function registerLittleMemory(): void {
  const user = asNobody();
  if (typeof user === "string") {
    skip(test, "little locked memory", user);
    return;
  }
  if (!canBeReadByAll(new URL("./programs.js", import.meta.url))) {
    skip(test, "little locked memory", "the tree is for its owner only");
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "io-fallback-"));
  chmodSync(folder, 0o777);
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  // Privileges lift the limit, so the programs have none.
  const withLimit = (bytes: number, more = {}) => ({
    prefix: ["prlimit", `--memlock=${bytes}:${bytes}`, "--", ...user],
    environment: { TMPDIR: folder, ...more },
  });

  test("64 KiB of locked memory: fewer operations in flight, where rings count", () => {
    const { status, output, said } = runProgram("littleMemory", withLimit(65536));
    assert.is(status, 0, said);
    assert.match(output, /^io_uring: 9, registered 0\n/, said);
    const words =
      /; there is memory for the completions of \d+ operations at once only \(RLIMIT_MEMLOCK/;
    assert.is(words.test(output), countsRings(), said);
    assert.match(output, "limit: 65536\n");
    assert.is(examine(withLimit(65536)).found.limits.lockedMemoryBytes, 65536);
  });

  test("64 KiB of locked memory: an IO can follow another at once", () => {
    const { status, output, said } = runProgram("littleMemoryOften", withLimit(65536));
    assert.is(status, 0, said);
    assert.is(output, "opened and closed\n", said);
  });

  if (!countsRings()) {
    skip(test, "no locked memory", `Linux ${release()} does not count rings as locked memory`);
    return;
  }
  test("no locked memory: is reported as such, and not hidden by another backend", () => {
    const { status, output, said } = runProgram("automatic", withLimit(0));
    assert.is(status, 0, said);
    const words =
      /^ENOMEM -12: open: no backend is available: io_uring: io_uring_setup failed with EN/;
    assert.match(output, words);
    assert.match(output, "RLIMIT_MEMLOCK (0 bytes here");
    assert.match(output, /To change that: raise RLIMIT_MEMLOCK \(ulimit -l.*IO_BACKEND=epoll/);
    const doctor = examine(withLimit(0));
    assert.is(doctor.status, 1, doctor.said);
    assert.is(doctor.found.chosen, null);
    assert.match(doctor.errors, "RLIMIT_MEMLOCK (0 bytes here");
    const named = runProgram("littleMemory", withLimit(0, { IO_BACKEND: "epoll" }));
    assert.match(named.output, /^epoll: 9, registered 0\n/, named.said);
  });
}

if (hasIoUring) registerLittleMemory();
else skip(test, "little locked memory", "io_uring is not available here");
const tools = buildTools();
if (typeof tools === "string") skip(test, "kernels that are passed over", tools);
else if (!hasIoUring) skip(test, "kernels that are passed over", "io_uring is not available here");
else {
  registerKernels(tools);
  registerWakeUps(tools);
}
test.run();
