// Without io_uring, which a seccomp filter takes away as container runtimes do: whole programs work
// on another backend, and everything says why. Other failures are not hidden.

import { spawn } from "node:child_process";
import { probe } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { cleanUp, mainPath, Program, temporaryFolder, Wire } from "../kv/support.js";
import { skip } from "../support/skip.js";
import { buildTools, candidateOf, examine, runProgram, type Tools } from "./support.js";

const test = suite("fallback/seccomp");
const ALL = "setup,enter,register";

/** Errors of the set-up that are answered by another backend, and what is said of each. */
const REPLACED = [
  ["EPERM", /seccomp profile \(this process runs under one; .*kernel\.io_uring_disabled/],
  ["EACCES", /security module \(SELinux, AppArmor\)/],
  ["ENOSYS", /no io_uring \(older than 5\.1, .*gVisor, .*Podman.*this process runs under one/],
  ["EINVAL", /older than 5\.19/],
] as const;

/** Errors that another backend would only hide. */
const REPORTED = [
  ["ENOMEM", "ENOMEM", /not enough memory for the rings: .*RLIMIT_MEMLOCK.*inFlightLimit/],
  ["EMFILE", "EMFILE", /too many descriptors are open \(RLIMIT_NOFILE is \d+ here\).*ulimit -n/],
  ["EIO", "ERR_IO_BACKEND_UNAVAILABLE", /not one of the known causes/],
] as const;

const USED = "epoll: 4103 bytes, 7, the end; 100000 bytes; slept, ABORT_ERR";
const WORKED = [
  USED,
  "detached epoll: 8 bytes written, timeout 0",
  `Worker: ${USED}`,
  "the Worker ended with 0",
  "",
].join("\n");

function registerReplaced(deny: string, error: string, words: RegExp): void {
  const prefix = [deny, error, ALL];

  test(`${error}: a whole program works on epoll`, () => {
    const { status, output, said } = runProgram("everything", { prefix });
    assert.is(status, 0, said);
    assert.is(output, WORKED, said);
  });

  test(`${error}: io.why and the doctor say why it is not io_uring`, () => {
    const why = runProgram("why", { prefix }).output;
    assert.match(why, /^epoll, the first of the candidates that works: epoll works here/);
    assert.match(why, new RegExp(`not io_uring: io_uring_setup failed with ${error} \\(`));
    assert.match(why, words);
    const { status, errors, found, said } = examine({ prefix });
    assert.is(status, 0, said);
    assert.is(errors, "", said);
    assert.is(found.chosen, "epoll");
    const { available, reason, advice } = candidateOf(found, "io_uring");
    assert.not(available);
    assert.match(reason, `io_uring_setup failed with ${error} (`);
    assert.match(reason, words);
    assert.ok((advice ?? "").length > 10, advice);
    assert.is(found.capabilities.read.support, "emulated");
    assert.is(found.capabilities.send.support, "native");
  });

  test(`${error}: io_uring by its name is an error with call, errno, causes and advice`, () => {
    const { output, said } = runProgram("named", { prefix });
    const line = output.split("\n")[0]!;
    assert.match(line, /^ERR_IO_BACKEND_UNAVAILABLE -\d+: open: the backend "io_uring", named by/);
    assert.match(line, `is not available: io_uring_setup failed with ${error} (`);
    assert.match(line, words);
    assert.match(line, /\. To change that: .{10}/, said);
    assert.match(output, /\nepoll opened: epoll, named by the program/);
  });
}

function registerReported(deny: string, error: string, code: string, words: RegExp): void {
  const prefix = [deny, error, ALL];

  test(`${error}: is reported and not hidden by another backend`, () => {
    const { status, output, errors, found, said } = examine({ prefix });
    assert.is(status, 1, said);
    assert.is(found.chosen, null, output);
    assert.match(errors, `IO.open() fails here: io_uring: io_uring_setup failed with ${error} (`);
    assert.ok(candidateOf(found, "epoll").available);
    const opening = runProgram("automatic", { prefix });
    assert.match(opening.output, new RegExp(`^${code} -\\d+: open: no backend is available: `));
    assert.match(opening.output, words, opening.said);
  });

  test(`${error}: who names another backend has it`, () => {
    const environment = { IO_BACKEND: "epoll" };
    const { output, said } = runProgram("everything", { prefix, environment });
    assert.is(output, WORKED, said);
  });
}

/** Why io_uring is not available here in any case. */
const here = probe().candidates.find(({ name }) => name === "io_uring");
const alreadyMissing = here?.available === true ? undefined : (here?.reason ?? "no candidate");

function register({ deny }: Tools): void {
  for (const [error, words] of REPLACED) registerReplaced(deny, error, words);
  for (const [error, code, words] of REPORTED) registerReported(deny, error, code, words);

  for (const call of ["enter", "register"]) {
    const name = `a filter that only refuses io_uring_${call} is noticed when the IO is opened`;
    if (alreadyMissing !== undefined) {
      skip(test, name, alreadyMissing);
      continue;
    }
    test(name, () => {
      const prefix = [deny, "EPERM", call];
      const { output, said } = runProgram("everything", { prefix });
      assert.is(output, WORKED, said);
      const reason = candidateOf(examine({ prefix }).found, "io_uring").reason;
      assert.match(reason, `io_uring_${call} failed with EPERM (`);
    });
  }

  test("IO_BACKEND names the backend that was taken away", () => {
    const options = { prefix: [deny, "EPERM", ALL], environment: { IO_BACKEND: "io_uring" } };
    const { status, errors, found, said } = examine(options);
    assert.is(status, 1, said);
    assert.is(found.chosen, null);
    assert.match(
      errors,
      "io_uring, named by IO_BACKEND, is not available: io_uring_setup failed with",
    );
    const opening = runProgram("automatic", options);
    assert.match(
      opening.output,
      /^ERR_IO_BACKEND_UNAVAILABLE -1: .*"io_uring", named by IO_BACKEND,/,
    );
  });

  test("the key-value server starts, answers and ends", async () => {
    const folder = temporaryFolder();
    const words = [process.execPath, mainPath, "--port", "0", "--data", folder];
    const child = spawn(deny, ["EPERM", ALL, ...words], { stdio: ["ignore", "pipe", "pipe"] });
    const server = new Program(child);
    const line = await server.line(/listening on/);
    const wire = await Wire.open(Number(/:(\d+),/.exec(line)![1]));
    const why = await server.line(/backend/);
    assert.match(why, /backend epoll, .*not io_uring: io_uring_setup failed with EPERM/);
    wire.send("SET name value\r\nINCR count\r\nGET name\r\nQUIT\r\n");
    assert.is(await wire.rest(), "+OK\r\n:1\r\n$5\r\nvalue\r\n+OK\r\n");
    child.kill("SIGTERM");
    assert.is((await server.ended).status, 0, server.output);
  });
}

const tools = buildTools();
if (typeof tools === "string") skip(test, "programs without io_uring", tools);
else register(tools);
test.after(cleanUp);
test.run();
