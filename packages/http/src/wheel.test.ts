// The wheel of deadlines: none is missed, none comes early, and one that was put off costs nothing.

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Wheel, WheelEntry } from "./wheel.js";

const test = suite("wheel");

class Entry extends WheelEntry {
  constructor(override readonly onDeadline: () => void) {
    super();
  }
}

test("deadlines come in order, beyond a turn too, and none that was removed", async () => {
  const wheel = new Wheel(
    1,
    () => undefined,
    () => false,
  );
  const come: string[] = [];
  const early: string[] = [];
  const all = new Promise<void>((resolve) => {
    const add = (name: string, ticks: number): Entry => {
      const until = wheel.now + ticks;
      const entry = new Entry(() => {
        come.push(name);
        if (wheel.now < until) early.push(name);
        if (come.length === 5) resolve();
      });
      wheel.set(entry, ticks);
      return entry;
    };
    add("far", 700);
    add("soon", 5);
    add("later", 50);
    wheel.remove(add("removed", 10));
    wheel.set(add("none", 10), 0);
    // Put off, and put forward.
    wheel.set(add("off", 5), 60);
    wheel.set(add("forward", 500), 7);
  });
  const keeping = setInterval(() => undefined, 1000);
  await all;
  clearInterval(keeping);
  assert.equal(come, ["soon", "forward", "later", "off", "far"]);
  assert.equal(
    early.filter((name) => name !== "forward"),
    [],
  );
});

test.run();
