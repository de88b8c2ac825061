// Sends of UDP that find their socket full: in which order they go, and how they end. They wait in
// a network namespace that is made for each program and is gone with it.

import * as assert from "uvu/assert";
import { runInNamespace, whyNoNamespace } from "../support/children.js";
import type { Suite } from "../support/harness.js";

/** A device whose queue lets nothing out for hours, and an address behind it. */
const SET_UP = [
  "ip link add sink0 type ifb",
  "ip address add 10.77.0.1/24 dev sink0",
  "ip link set sink0 up",
  "ip neighbour add 10.77.0.2 lladdr 02:00:00:00:00:02 dev sink0 nud permanent",
  "tc qdisc add dev sink0 root handle 1: tbf rate 8bit burst 1540 limit 64m",
].join(" && ");

let known: string | null | undefined;

export function waitingSends(suite: Suite): void {
  known ??= whyNoNamespace(SET_UP);
  const test = (name: string, program: string, check: (seen: Seen) => void): void => {
    if (known !== null) {
      suite.skip(name, known as string);
      return;
    }
    suite.test(name, async () => {
      const { status, output } = await runInNamespace(SET_UP, program, suite.backend);
      assert.is(status, 0, output);
      check(JSON.parse(output) as Seen);
    });
  };

  test("those that have room go in order, the rest when there is some", "order", (seen) => {
    // A few have room, and they are the first.
    assert.match(String(seen["before"]), /^r{2,30}p{70,98}$/);
    assert.equal([seen["after"], seen["inFlight"]], ["r".repeat(100), 0]);
  });

  test("single ones end by their signal or their time limit", "single", (seen) => {
    const codes = ["ABORT_ERR", "ABORT_ERR", "ABORT_ERR", "ETIMEDOUT"];
    assert.equal(seen, { codes, others: "p", inFlight: 0 });
  });

  test("every one of many has its own time limit", "late", (seen) => {
    assert.equal(seen, { codes: ["ETIMEDOUT", "no error"], last: "ETIMEDOUT", inFlight: 0 });
  });

  for (const program of ["cancelAll", "close", "closeIO"]) {
    test(`all end by ${program}`, program, (seen) => {
      assert.equal(seen, { codes: ["ECANCELED"], some: true });
    });
  }

  test("a datagram in the queue of the device keeps its memory", "unreleased", (seen) => {
    const held = suite.backend === "io_uring" ? "pending" : "resolved";
    assert.equal(seen, { count: 1000, before: held, closed: held, inFlight: 0 });
  });
}

/** What a program prints. */
type Seen = Record<string, unknown>;
