// Processes on each backend of the engine that they load: whole programs, a full table of
// descriptors, rights after setuid, and the descriptors that a child inherits.

import { probe } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { skip } from "../support/skip.js";
import { runProgram } from "./support.js";

const test = suite("fallback/processes");

delete process.env["IO_BACKEND"];
const available = probe()
  .candidates.filter((candidate) => candidate.available)
  .map(({ name }) => name);

for (const backend of available) {
  test(`${backend}: a whole program, with a Worker and a loop of its own`, () => {
    const { status, output, said } = runProgram("everything", {
      environment: { IO_BACKEND: backend },
    });
    assert.is(status, 0, said);
    const used = `${backend}: 4103 bytes, 7, the end; 100000 bytes; slept, ABORT_ERR\n`;
    const detached = `detached ${backend}: 8 bytes written, timeout 0\n`;
    assert.is(output, `${used}${detached}Worker: ${used}the Worker ended with 0\n`, said);
  });
}

test("no descriptor left: every backend says so, none hides it, and nothing is lost", () => {
  const { status, output, said } = runProgram("exhausted", {
    prefix: ["prlimit", "--nofile=96:96", "--"],
  });
  assert.is(status, 0, said);
  const lines = output.trim().split("\n");
  assert.match(lines[0]!, /^the doctor: null, \w+: \w+ failed with EMFILE \(.*is 96 here/);
  for (const name of ["auto", ...available]) {
    assert.match(output, new RegExp(`^${name} opened with [1-9]$`, "m"), said);
  }
  const failed = lines.slice(1).filter((line) => !/^\w+ opened with \d$/.test(line));
  assert.ok(failed.length > available.length, said);
  for (const line of failed) {
    assert.match(line, /^EMFILE -\d+: open: .* failed with EMFILE \(.*ulimit -n/, said);
  }
});

// ---- What a process keeps and hands on

for (const backend of available) {
  const environment = { IO_BACKEND: backend };

  if (process.getuid?.() === 0) {
    test(`${backend}: an IO has no rights of its own after setuid`, () => {
      const { status, output, said } = runProgram("identity", { environment });
      assert.is(status, 0, said);
      assert.is(output, "before: opened\nas another user: EACCES\nback again: opened\n", said);
    });
  } else {
    skip(test, `${backend}: rights after setuid`, "only root can become another user");
  }
}

if (process.platform === "linux") {
  test("a child inherits no descriptor of any backend", () => {
    const { status, output, said } = runProgram("children");
    assert.is(status, 0, said);
    const expected = available.map((name) => `${name}: nothing more; many here\n`).join("");
    assert.is(output, expected, said);
  });
} else {
  skip(test, "what a child inherits", "descriptors are listed in /proc, which only Linux has");
}

test.run();
