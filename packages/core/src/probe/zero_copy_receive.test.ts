// The probe of zero-copy receive: a missing device is an answer, an invalid name is an error.

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { probe, probeZeroCopyReceive } from "../index.js";

const test = suite("zero_copy_receive");
const general = probeZeroCopyReceive();

test("an interface or a queue that is not there", () => {
  const expected: readonly [string, number, RegExp][] = [
    ["no-such-device", 0, /there is no interface no-such-device/],
    ["a-name-longer-than-any-interface-has", 0, /there is no interface a-name/],
    ["lo", 0, /lo cannot receive into foreign memory/],
    ["lo", 65_535, /\blo\b/],
  ];
  for (const [name, queue, why] of expected) {
    const { available, reason, advice } = probeZeroCopyReceive(name, queue);
    assert.not(available, name);
    // Without the kernel or the rights that comes first, whatever the interface.
    if (general.available) assert.match(reason, why);
    else assert.is(reason, general.reason);
    assert.ok(advice === undefined || advice.length > 10);
  }
});

test("what is no name and no queue", () => {
  for (const name of [null, 7, {}, "eth0\0"]) {
    assert.throws(
      () => probeZeroCopyReceive(name as string, 0),
      (error: { code: string }) => /^ERR_INVALID_ARG_(TYPE|VALUE)$/.test(error.code),
    );
  }
  for (const queue of [-1, 0.5, Number.NaN, 65_536, 2 ** 32, "0" as unknown as number]) {
    const right = typeof queue === "number" ? "ERR_OUT_OF_RANGE" : "ERR_INVALID_ARG_TYPE";
    assert.throws(
      () => probeZeroCopyReceive("lo", queue),
      (error: { code: string }) => error.code === right,
    );
  }
});

test("the doctor's table says it with the reason of this machine", () => {
  const { chosen, capabilities } = probe();
  const row = capabilities.zeroCopyReceive;
  if (chosen === "io_uring") {
    assert.is(row?.support, general.available ? "native" : "copied");
    assert.ok(row?.reason.includes(general.reason), row?.reason);
  } else {
    assert.is(row?.support, "copied");
  }
});

test.run();
