// Programs that end in the middle of their I/O: by process.exit(), by an exception, by a signal, or
// by reaching their end. None crashes, none hangs.

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runProgram } from "./support.js";

const test = suite("lifetime/ending");

interface Expected {
  readonly status?: number;
  readonly signal?: NodeJS.Signals;
  readonly says?: RegExp;
  readonly complains?: RegExp;
}

function program(name: string, expected: Expected): void {
  test(name, () => {
    const ended = runProgram(name);
    if (expected.signal === undefined) assert.is(ended.status, expected.status ?? 0, ended.said);
    else assert.is(ended.signal, expected.signal, ended.said);
    if (expected.says !== undefined) assert.match(ended.stdout, expected.says, ended.said);
    if (expected.complains !== undefined)
      assert.match(ended.stderr, expected.complains, ended.said);
    else assert.is(ended.stderr, "", ended.said);
  });
}

program("exitInTheMiddle", { status: 3, says: /exiting/ });
program("exitInACallback", { status: 3 });
program("exitInADetachedCallback", { status: 3 });
program("uncaughtInACallback", { status: 1, complains: /thrown by a callback/ });
program("uncaughtIsHandled", {
  says: /^(?=[\s\S]*handled: first\nhandled: second)(?=[\s\S]*first second third)/,
});
program("detachedWithWorkInFlight", { says: /end of the program/ });
program("idleAndNotClosed", { says: /end of the program/ });
program("droppedAndCollected", {
  says: /end of the program/,
  // A warning for each, and nothing else.
  complains:
    /^(?:\(node:\d+\) \[IO_FORGOTTEN\] .*\nIO\.open\(.*\n|\(Use `node --trace-warnings .*\n)+$/,
});
program("abortInTheMiddle", { signal: "SIGTERM" });
program("exitEventUsesTheIO", { says: /exit event/ });
program("exitOverBusyWorkers", { status: 3 });
program("killRunningWorker", { says: /terminated/ });
program("exitOverRunningWorker", { status: 3 });
program("twoLoops", { says: /elapsed/ });
program("unreferenced", { says: /end of the program/ });
program("unreferencedLater", { says: /end of the program/ });
program("referencedAgain", { says: /^(?:alive\n){5}end of the program/ });
program("workBesideUnreferenced", { says: /^elapsed\nend of the program/ });
program("refusedKeepsAlive", { says: /16000 called back/ });
program("childSeesNothing", { says: /^(?:more: 0\n){3}end of the program/ });
program("endlessTimerOnly", { says: /cancelled\nend of the program/ });

test.run();
