// Zero-copy sends where there are none: a wrong argument fails with its own error, and a send whose
// copy cannot be avoided goes with a copy.

import type { IO } from "@io/core";
import * as assert from "uvu/assert";
import { isBsdHere } from "../../support/system.js";
import { runInNamespace, whyNoNamespace } from "../support/children.js";
import { pattern, sameBytes } from "../support/data.js";
import { connectedPair, FAMILIES, widen } from "../support/datagrams.js";
import type { Suite } from "../support/harness.js";
import { failureCode, negative, outcome, success } from "../support/verbs.js";
import { canSpare, MODES, narrow } from "../support/zero_copy.js";

export function zeroCopyWrong(suite: Suite): void {
  registerWrong(suite);
  registerUnconnected(suite);
  registerTooLong(suite);
  registerLocked(suite);
}

function registerWrong(suite: Suite): void {
  suite.test("what cannot be sent fails by its own name", async (trial) => {
    const { io, client, served } = await narrow(trial);
    const options = { zeroCopy: "always" } as const;
    const data = pattern(20_000);
    const open = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    widen(open);
    assert.is(await failureCode(open.send(data, options)), "EDESTADDRREQ");
    const target = open.localAddress;
    assert.is(await failureCode(open.sendTo(new Uint8Array(70_000), target, options)), "EMSGSIZE");
    assert.is(await open.sendTo(new Uint8Array(60_000), target, options), 60_000);
    const wrong = { zeroCopy: "sometimes" as "auto" };
    assert.is(await failureCode(client.send(data, wrong)), "ERR_INVALID_ARG_VALUE");
    assert.is(await failureCode(open.sendTo(data, target, wrong)), "ERR_INVALID_ARG_VALUE");
    const { sent, released } = client.sendZeroCopy(data, wrong);
    assert.is(await failureCode(sent), "ERR_INVALID_ARG_VALUE");
    await released;
    await client.shutdown("send");
    assert.is(await failureCode(client.send(data, options)), "EPIPE");
    assert.is(await failureCode(client.sendAll(data, options)), "EPIPE");
    assert.is(await served.receive(new Uint8Array(8)), 0);
    assert.is(io.stats().inFlight, 0);
  });
}

function registerUnconnected(suite: Suite): void {
  for (const zeroCopy of MODES) {
    suite.test(`zeroCopy ${zeroCopy}: a socket that is not connected says so`, async (trial) => {
      const io = await trial.open();
      const data = pattern(20_000);
      for (const [family, codes] of [
        ["ipv4", ["EDESTADDRREQ"]],
        ["unix", isBsdHere() ? ["ENOTCONN", "EDESTADDRREQ"] : ["ENOTCONN"]],
      ] as const) {
        const open = await io.openDatagram({ family });
        const assertSays = (code: string): void => assert.ok(codes.includes(code as never), code);
        assertSays(await failureCode(open.send(data, { zeroCopy })));
        assertSays(await failureCode(open.sendVectored([data, data], { zeroCopy })));
        const { sent, released } = open.sendZeroCopy(data, { zeroCopy });
        assertSays(await failureCode(sent));
        await released;
      }
      // Of a stream; the ring gives sockets that are not connected.
      const stream = (family: "ipv4" | "unix") =>
        success(io, (c, callback) => io.ring.socket(c, callback, family));
      const sending = (descriptor: number) =>
        outcome(io, (c, callback) => io.ring.send(c, callback, descriptor, data, zeroCopy));
      const alone = await sending(await stream("ipv4"));
      assert.ok(alone === negative("EPIPE") || (isBsdHere() && alone === negative("ENOTCONN")));
      assert.is(await sending(await stream("unix")), negative("ENOTCONN"));
      assert.equal([io.stats().inFlight, io.stats().zeroCopyUnreleased], [0, 0]);
    });
  }
}

function registerTooLong(suite: Suite): void {
  for (const family of FAMILIES) {
    if (family.missing !== null) continue;
    suite.test(`${family.name}: a datagram over the limit is refused`, async (trial) => {
      const { io, near, far } = await connectedPair(trial, family);
      near.setOptions({ sendBufferBytes: 65_536 });
      far.setOptions({ receiveBufferBytes: 65_536 });
      const data = new Uint8Array((family.longestBytes ?? 1_000_000) + 1);
      const halves = [data.subarray(0, 40_000), data.subarray(40_000)];
      const { localAddress } = far;
      for (const zeroCopy of MODES) {
        const options = { zeroCopy };
        assert.is(await failureCode(near.send(data, options)), "EMSGSIZE");
        assert.is(await failureCode(near.sendVectored(halves, options)), "EMSGSIZE");
        const addressed = await failureCode(near.sendTo(data, localAddress!, options));
        assert.ok(addressed === "EMSGSIZE" || (isBsdHere() && addressed === "EISCONN"), addressed);
        const { sent, released } = near.sendZeroCopy(data, options);
        assert.is(await failureCode(sent), "EMSGSIZE");
        await released;
      }
      assert.equal([near.stats().zeroCopySends, io.stats().inFlight], [0, 0]);
      // Nothing of it has arrived, and the socket goes on.
      const small = pattern(9000);
      assert.is(await near.send(small, { zeroCopy: "always" }), 9000);
      const buffer = new Uint8Array(10_000);
      assert.is((await far.receive(buffer)).byteLength, 9000);
      assert.ok(sameBytes(buffer.subarray(0, 9000), small));
    });
  }

  suite.test("too many buffers are refused, and hold nothing", async (trial) => {
    const { io, client } = await narrow(trial);
    const many = new Array<Uint8Array>(1025).fill(new Uint8Array(1));
    for (const zeroCopy of MODES) {
      assert.is(await failureCode(client.sendVectored(many, { zeroCopy })), "ERR_OUT_OF_RANGE");
    }
    assert.is(io.stats().inFlight, 0);
  });
}

/**
 * In a user namespace no process has the right to lock memory without a limit. The limit has room
 * for the ring, and for what Node holds itself: from Linux 6.14 on the rings of its event loops
 * count too (28 KiB each since Node 22). Which of them there are differs, so that no limit leaves
 * room for a certain number of pages.
 */
const LIMITED = [
  "ip link set lo up",
  "(ulimit -S -l 1024)",
  'ulimit -S -l "$(ulimit -H -l)"',
  "prlimit -V > /dev/null",
].join(" && ");

/**
 * What the child said. The limit is the user's, so other tests that hold memory at this moment
 * may leave nothing for it: then it is asked again, when they may have ended.
 */
async function sendLocked(backend: string, spares: boolean): Promise<number[][]> {
  for (let left = 5; ; left--) {
    const { status, output } = await runInNamespace(LIMITED, "locked", backend);
    assert.is(status, 0, output);
    const said = JSON.parse(output) as number[][];
    if (!spares || (said[0]?.[0] === 1 && said[2]?.[0] === 2) || left === 0) return said;
  }
}

function registerLocked(suite: Suite): void {
  const name = "a send over the memory limit is copied";
  const missing = whyNoNamespace(LIMITED);
  if (missing !== null) {
    suite.skip(name, missing);
    return;
  }
  suite.test(name, async (trial) => {
    const io: IO = await trial.open();
    const spares = canSpare(io);
    // Without a copy, plainly, and without a copy again: a refusal does not stick to the socket.
    const [allowed, forbidden, again] = await sendLocked(suite.backend, spares);
    assert.equal(allowed, [...(spares ? [1, 0] : [0, 1]), 60_000, 0]);
    assert.equal(forbidden, [...(spares ? [1, 1] : [0, 2]), 60_000, 0]);
    assert.equal(again, [...(spares ? [2, 1] : [0, 3]), 60_000, 0]);
  });
}
