// An IO that loses something it needs: a call that the program forbids itself, or a descriptor of
// its own that other code closes. Its operations end with an error that says so; nothing hangs, and
// the process goes on.

import { fileURLToPath } from "node:url";
import { probe } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { skip } from "../support/skip.js";
import { buildTools, run } from "./support.js";

const test = suite("fallback/lost");
const program = fileURLToPath(new URL("./lost_program.js", import.meta.url));
const tools = buildTools();
const hasIoUring = probe().candidates.some(
  ({ name, available }) => name === "io_uring" && available,
);

interface Report {
  received: string;
  late: string;
  accepting: string;
  later: string[];
  last: string;
  closed: string;
  ended: string;
  again: string;
}

function reportOf(backend: string, what: string): Report {
  const { status, output, said } = run([program, backend, "attached", what]);
  assert.is(status, 0, said);
  return JSON.parse(output) as Report;
}

/** Everything has ended with the reason, but for closes. */
function checkLost(report: Report, reason: RegExp): void {
  // Operations that completed before the loss was seen have ended as usual.
  assert.match(report.received, /^(done$|ENOTRECOVERABLE: )/);
  for (const end of [report.late, report.last]) {
    assert.match(end, /^ENOTRECOVERABLE: /);
    assert.match(end, reason);
    assert.match(end, /open another IO/);
  }
  assert.match(report.accepting, /^ENOTRECOVERABLE: /);
  for (const end of report.later) assert.match(end, /^(done$|ENOTRECOVERABLE: )/);
  assert.is(report.closed, "done");
  assert.is(report.ended, "done");
  assert.is(report.again, "done");
}

function checkUnhurt(report: Report): void {
  assert.equal(report.later, ["done", "done", "done", "done"]);
  assert.is(report.received, "done");
  assert.match(report.late, /^ETIMEDOUT: /);
  for (const end of [report.last, report.closed, report.ended, report.again]) {
    assert.is(end, "done");
  }
}

const noTools = typeof tools === "string" ? tools : null;
const noRing = noTools ?? (hasIoUring ? null : "there is no io_uring here");

function testOrSkip(name: string, reason: string | null, body: () => void): void {
  if (reason === null) test(name, body);
  else skip(test, name, reason);
}

testOrSkip("io_uring_enter is forbidden later", noRing, () => {
  if (typeof tools === "string") return;
  checkLost(reportOf("io_uring", tools.forbidEnter), /because io_uring_enter failed with EPERM/);
});

testOrSkip("io_uring_enter is forbidden later, in a loop of its own", noRing, () => {
  if (typeof tools === "string") return;
  const { status, output, said } = run([program, "io_uring", "detached", tools.forbidEnter]);
  assert.is(status, 0, said);
  const { results, ended } = JSON.parse(output) as { results: number[]; ended: string };
  assert.is(results.length, 3);
  assert.is(results[0], 0);
  const lost = -131; // ENOTRECOVERABLE of Linux, which node:os does not name
  assert.equal(results.slice(1), [lost, lost]);
  assert.is(ended, "done");
});

testOrSkip("other code closes the eventfd of io_uring", noRing, () => {
  checkLost(reportOf("io_uring", "[eventfd]"), /because (read|write) failed with EBADF/);
});

testOrSkip("other code closes the number of the ring, which is not needed", noRing, () => {
  checkUnhurt(reportOf("io_uring", "[io_uring]"));
});

testOrSkip("other code closes the epoll", noTools, () => {
  checkLost(
    reportOf("epoll", "[eventpoll]"),
    /because (fcntl of the epoll|epoll_wait) failed with EBADF/,
  );
});

testOrSkip("other code closes the epoll while many writes wait for a thread", noTools, () => {
  const { status, output, said } = run([program, "epoll", "crowded", "[eventpoll]"]);
  assert.is(status, 0, said);
  const report = JSON.parse(output) as Report & { ends: string[] };
  assert.match(report.last, /^ENOTRECOVERABLE: /);
  assert.is(report.ends.length, 400);
  for (const end of report.ends) assert.match(end, /^(done$|ENOTRECOVERABLE: )/);
  assert.is(report.closed, "done");
  assert.is(report.ended, "done");
});

testOrSkip("other code closes the timer of epoll", noTools, () => {
  const report = reportOf("epoll", "[timerfd]");
  assert.match(report.late, /^ENOTRECOVERABLE: .*because timerfd_settime failed with EBADF/);
  for (const end of [report.closed, report.ended, report.again]) assert.is(end, "done");
});

testOrSkip("other code closes the eventfd of epoll, and its timer stands in", noTools, () => {
  checkUnhurt(reportOf("epoll", "[eventfd]"));
});

test.run();
