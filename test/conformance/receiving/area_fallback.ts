// No network device of this machine can write into memory of the program: the same calls use
// provided buffers instead, and say why. A device that does not exist is an error.

import { IO, type IOOptions, type ZeroCopyReceiveOptions } from "@io/core";
import * as assert from "uvu/assert";
import { pattern, sameBytes } from "../support/data.js";
import type { Suite } from "../support/harness.js";
import { connected, FAMILIES } from "../support/network.js";
import { failure, roundTrips } from "../support/verbs.js";

const NO_DEVICE = { interface: "no-such-device", queue: 0 };

export function areaFallback(suite: Suite): void {
  registerReasons(suite);
  registerStreams(suite);
  registerRefusals(suite);
}

function registerReasons(suite: Suite): void {
  suite.test("an interface that is not there is named, and receiving goes on", async (trial) => {
    const io = await trial.open({ zeroCopyReceive: NO_DEVICE });
    const { support, reason, advice } = io.zeroCopyReceive;
    assert.is(support, "emulated");
    assert.equal(io.capabilities.zeroCopyReceive, { support, reason });
    if (suite.backend === "io_uring") {
      assert.match(reason, "there is no interface no-such-device in this network namespace");
      assert.match(advice ?? "", "ip link");
    } else {
      assert.match(reason, `the backend is ${suite.backend}, and only io_uring`);
    }
  });

  suite.test("so is a queue that is not there, and a device that has none", async (trial) => {
    for (const queue of [0, 65_535]) {
      const io = await trial.open({ zeroCopyReceive: { interface: "lo", queue } });
      const { support, reason } = io.zeroCopyReceive;
      assert.is(support, "emulated");
      assert.ok(reason.length > 20, reason);
      if (suite.backend !== "io_uring") continue;
      // Missing rights or an old kernel are reported before the results of a trial.
      if (queue !== 0) assert.match(reason, /lo has no receive queue 65535|io_uring/);
    }
  });

  suite.test("without the option it is off, and says how to ask", async (trial) => {
    const io = await trial.open();
    assert.is(io.zeroCopyReceive.support, "off");
    assert.match(io.zeroCopyReceive.reason, "zeroCopyReceive");
  });

  suite.test("with `required` it is an error for people", async () => {
    const zeroCopyReceive = { ...NO_DEVICE, required: true };
    const error = await failure(IO.open({ backend: suite.backend, zeroCopyReceive }));
    assert.is(error.code, "ERR_IO_ZERO_COPY_RECEIVE");
    assert.match(error.message, /no-such-device|only io_uring/);
  });
}

function registerStreams(suite: Suite): void {
  for (const family of FAMILIES) {
    if (family.missing !== null) {
      suite.skip(family.name, family.missing);
      continue;
    }
    suite.test(`${family.name}: every byte comes in provided buffers`, async (trial) => {
      const { io, client, served } = await connected(trial, family, { zeroCopyReceive: NO_DEVICE });
      const sent = pattern(400_000);
      const sending = client.sendAll(sent).then(() => client.shutdown("send"));
      let done = 0;
      for await (using chunk of served.chunks({ chunkBytes: 8192 })) {
        assert.ok(chunk.byteLength <= 8192);
        assert.ok(sameBytes(chunk.bytes, sent.subarray(done, done + chunk.byteLength)));
        done += chunk.byteLength;
      }
      await sending;
      assert.is(done, sent.length);
      await roundTrips(io, 1);
      const { buffersHeld, zeroCopyChunks, zeroCopyChunksHeld, zeroCopyRefused } = io.stats();
      assert.equal(
        [buffersHeld, zeroCopyChunks, zeroCopyChunksHeld, zeroCopyRefused],
        [0, 0, 0, 0],
      );
      assert.is(served.stats().zeroCopyChunkBytes, 0);
    });
  }
}

function registerRefusals(suite: Suite): void {
  const wrong: readonly [string, string, unknown][] = [
    ["nothing in it", "ERR_INVALID_ARG_TYPE", {}],
    ["a name alone", "ERR_INVALID_ARG_TYPE", "eth0"],
    ["an empty name", "ERR_INVALID_ARG_TYPE", { interface: "", queue: 0 }],
    ["a number for a name", "ERR_INVALID_ARG_TYPE", { interface: 7, queue: 0 }],
    ["a name with a zero in it", "ERR_INVALID_ARG_TYPE", { interface: "lo\0", queue: 0 }],
    ["no queue", "ERR_INVALID_ARG_TYPE", { interface: "lo" }],
    ["a queue below 0", "ERR_OUT_OF_RANGE", { interface: "lo", queue: -1 }],
    ["half a queue", "ERR_OUT_OF_RANGE", { interface: "lo", queue: 0.5 }],
    ["a queue beyond all", "ERR_OUT_OF_RANGE", { interface: "lo", queue: 65_536 }],
    [
      "a device and none",
      "ERR_INVALID_ARG_TYPE",
      { interface: "lo", queue: 0, withoutDevice: true },
    ],
    ["withoutDevice: false", "ERR_INVALID_ARG_TYPE", { withoutDevice: false }],
    ["required: 1", "ERR_INVALID_ARG_TYPE", { withoutDevice: true, required: 1 }],
    ["too little memory", "ERR_OUT_OF_RANGE", { withoutDevice: true, sizeBytes: 65_535 }],
    ["too much memory", "ERR_OUT_OF_RANGE", { withoutDevice: true, sizeBytes: 2 ** 30 + 1 }],
    ["memory in words", "ERR_INVALID_ARG_TYPE", { withoutDevice: true, sizeBytes: "1 MiB" }],
    ["no number", "ERR_OUT_OF_RANGE", { withoutDevice: true, sizeBytes: Number.NaN }],
  ];
  suite.test("options that are none are refused, in words", async () => {
    for (const [what, code, given] of wrong) {
      const zeroCopyReceive = given as ZeroCopyReceiveOptions;
      const options: IOOptions = { backend: suite.backend, zeroCopyReceive };
      const error = await failure(IO.open(options));
      assert.is(error.code, code, what);
      assert.match(error.message, "zeroCopyReceive", what);
    }
  });
}
