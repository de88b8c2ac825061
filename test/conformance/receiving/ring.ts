// Receiving into provided buffers by the verbs of the ring, in both modes.

import { type BufferGroup, type Descriptor, type IO, MultishotCompletion } from "@io/core";
import * as assert from "uvu/assert";
import { pattern, sameBytes, text } from "../support/data.js";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { pairOfDescriptors, unixAddress } from "../support/network.js";
import {
  codeOfNumber,
  negative,
  outcome,
  refusalCode,
  roundTrips,
  Started,
  success,
  until,
} from "../support/verbs.js";

export function receivingRing(suite: Suite): void {
  for (const mode of MODES) {
    registerBytes(suite, mode);
    registerRunningOut(suite, mode);
    registerEnds(suite, mode);
    registerReturned(suite, mode);
    registerHeld(suite, mode);
    registerGroups(suite, mode);
  }
}

interface HeldChunk {
  readonly bufferId: number;
  readonly offset: number;
  readonly count: number;
}

/** A receive into provided buffers, and its chunks. */
class Receiver {
  readonly completion = new MultishotCompletion();
  readonly chunks: HeldChunk[] = [];
  /** The result of the last call, once it was the last. */
  last = Number.NaN;

  constructor(
    readonly io: IO,
    readonly descriptor: Descriptor,
    readonly group: BufferGroup,
  ) {}

  start(maxBytes = 0): this {
    const { io, completion, descriptor, group } = this;
    const called = (completion: MultishotCompletion, result: number): void => {
      assert.is(completion, this.completion);
      const { bufferId, offset } = completion;
      if (result > 0) this.chunks.push({ bufferId, offset, count: result });
      if (!completion.active) this.last = result;
    };
    io.ring.receiveMultishot(completion, called, descriptor, group, maxBytes);
    return this;
  }

  view({ bufferId, offset, count }: HeldChunk): Uint8Array {
    return this.group.view(bufferId, offset, count);
  }

  /** The bytes of all chunks, which are released. */
  takeAll(): Uint8Array {
    const bytes = Buffer.concat(this.chunks.map((chunk) => this.view(chunk)));
    for (const { bufferId } of this.chunks.splice(0)) this.group.release(bufferId);
    return bytes;
  }

  ended(): Promise<void> {
    return until(this.io, () => !this.completion.active, "the end of the receive");
  }

  get receivedBytes(): number {
    return this.chunks.reduce((total, chunk) => total + chunk.count, 0);
  }

  /** Waits for so many bytes, and starts the receive again when it ends before. */
  async received(count: number): Promise<void> {
    while (this.receivedBytes < count) {
      if (!this.completion.active) this.start();
      const moved = (): boolean => this.receivedBytes >= count || !this.completion.active;
      await until(this.io, moved, `${count} bytes`);
    }
  }

  async cancel(): Promise<number> {
    const { io, completion } = this;
    await outcome(io, (c, callback) => io.ring.cancel(c, callback, completion));
    await this.ended();
    return this.last;
  }
}

interface Pair {
  readonly io: IO;
  readonly near: Descriptor;
  readonly far: Descriptor;
  send(data: string | Uint8Array): Promise<number>;
}

async function openPair(trial: Trial, mode: Mode): Promise<Pair> {
  const io = await trial.open({ mode });
  const { near, far } = await pairOfDescriptors(io, unixAddress(trial));
  const send = (data: string | Uint8Array): Promise<number> =>
    success(io, (c, callback) => io.ring.send(c, callback, far, Buffer.from(data)));
  return { io, near, far, send };
}

const BUFFER_BYTES = 256;

function registerBytes(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: the bytes arrive in order, and none twice`, async (trial) => {
    const { io, near, send } = await openPair(trial, mode);
    const group = io.ring.bufferGroup({ bufferBytes: BUFFER_BYTES });
    const receiver = new Receiver(io, near, group).start();
    const sent = pattern(30_000);
    let done = 0;
    for (let size = 1; done < sent.length; size += 37) {
      const part = sent.subarray(done, done + size);
      await send(part);
      await receiver.received(part.length);
      assert.ok(sameBytes(receiver.takeAll(), part), `after ${done} bytes`);
      done += part.length;
    }
    await roundTrips(io, 1);
    assert.is(io.stats().buffersHeld, 0);
    assert.is(await receiver.cancel(), negative("ECANCELED"));
  });

  suite.test(`${mode}: many streams share a group and do not mix`, async (trial) => {
    const io = await trial.open({ mode });
    const group = io.ring.bufferGroup({ bufferBytes: BUFFER_BYTES });
    const streams = [];
    for (let index = 0; index < 20; index++) {
      const { near, far } = await pairOfDescriptors(io, unixAddress(trial));
      const receiver = new Receiver(io, near, group).start();
      streams.push({ far, receiver, data: pattern(3000, index) });
    }
    for (let at = 0; at < 3000; at += 300) {
      for (const { far, data } of streams) {
        const part = data.subarray(at, at + 300);
        await success(io, (c, callback) => io.ring.send(c, callback, far, part));
      }
      for (const { receiver, data } of streams) {
        await receiver.received(300);
        assert.ok(sameBytes(receiver.takeAll(), data.subarray(at, at + 300)));
      }
    }
  });
}

function registerRunningOut(suite: Suite, mode: Mode): void {
  suite.test(
    `${mode}: a receive ends when all buffers are held, and goes on after`,
    async (trial) => {
      const { io, near, send } = await openPair(trial, mode);
      const group = io.ring.bufferGroup({ bufferBytes: BUFFER_BYTES, maxBytes: 4 * BUFFER_BYTES });
      const sent = pattern(10 * BUFFER_BYTES);
      const receiver = new Receiver(io, near, group).start();
      await send(sent);
      await receiver.ended();
      assert.is(receiver.last, negative("ENOBUFS"));
      assert.is(group.bufferCount, 4);
      assert.is(group.freeBuffers, 0);
      assert.is(io.stats().buffersHeld, 4);
      let calls = 0;
      group.whenAvailable(() => calls++);
      await roundTrips(io);
      assert.is(calls, 0, "nothing was released yet");
      const parts: Uint8Array[] = [receiver.takeAll()];
      assert.is(calls, 1);
      while (Buffer.concat(parts).length < sent.length) {
        await receiver.received(1);
        parts.push(receiver.takeAll());
      }
      assert.ok(sameBytes(Buffer.concat(parts), sent));
      assert.is(io.stats().releasesRefused, 0);
    },
  );

  suite.test(`${mode}: a group grows while all its buffers are held`, async (trial) => {
    const { io, near, send } = await openPair(trial, mode);
    const group = io.ring.bufferGroup({ bufferBytes: BUFFER_BYTES, maxBytes: 64 * BUFFER_BYTES });
    assert.is(group.sizeBytes, 0, "nothing before the first receive");
    const receiver = new Receiver(io, near, group).start();
    const sent = pattern(64 * BUFFER_BYTES);
    await send(sent);
    await receiver.received(sent.length);
    assert.is(group.bufferCount, 64);
    assert.ok(sameBytes(receiver.takeAll(), sent));
  });

  suite.test(`${mode}: a receive ends at its limit of bytes`, async (trial) => {
    const { io, near, send } = await openPair(trial, mode);
    const group = io.ring.bufferGroup({ bufferBytes: BUFFER_BYTES });
    const sent = pattern(8 * BUFFER_BYTES);
    await send(sent);
    const receiver = new Receiver(io, near, group).start(3 * BUFFER_BYTES);
    await receiver.ended();
    assert.ok(receiver.last > 0, "the last call brings bytes too");
    const first = receiver.takeAll();
    assert.is(first.length, 3 * BUFFER_BYTES);
    receiver.start();
    await receiver.received(5 * BUFFER_BYTES);
    assert.ok(sameBytes(Buffer.concat([first, receiver.takeAll()]), sent));
  });
}

function registerEnds(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: the end of a stream is 0 and takes no buffer`, async (trial) => {
    const { io, near, far, send } = await openPair(trial, mode);
    const group = io.ring.bufferGroup();
    const receiver = new Receiver(io, near, group).start();
    await send("last");
    await receiver.received(4);
    await success(io, (c, callback) => io.ring.shutdown(c, callback, far, "send"));
    await receiver.ended();
    assert.is(receiver.last, 0);
    assert.is(text(receiver.takeAll()), "last");
  });

  suite.test(`${mode}: a close ends the receive, and held bytes stay`, async (trial) => {
    const { io, near, send } = await openPair(trial, mode);
    const group = io.ring.bufferGroup();
    const receiver = new Receiver(io, near, group).start();
    await send("kept");
    await receiver.received(4);
    await success(io, (c, callback) => io.ring.close(c, callback, near));
    assert.is(receiver.last, negative("ECANCELED"));
    assert.is(text(receiver.takeAll()), "kept");
  });

  suite.test(`${mode}: what is no socket cannot be received from`, async (trial) => {
    const io = await trial.open({ mode });
    const group = io.ring.bufferGroup();
    const file = await success(io, (c, callback) =>
      io.ring.open(c, callback, process.execPath, 1, 0),
    );
    const receiver = new Receiver(io, file, group).start();
    await receiver.ended();
    assert.is(receiver.last, negative("ENOTSOCK"));
    const closed = new Receiver(io, 123_456, group).start();
    await closed.ended();
    assert.is(closed.last, negative("EBADF"));
  });

  suite.test(`${mode}: a receive behind it has its turn when it has ended`, async (trial) => {
    const { io, near, send } = await openPair(trial, mode);
    const group = io.ring.bufferGroup();
    const receiver = new Receiver(io, near, group).start();
    const buffer = new Uint8Array(16);
    const single = new Started((c, callback) => io.ring.receive(c, callback, near, buffer));
    await send("first");
    await receiver.received(5);
    await roundTrips(io);
    assert.is(single.done, false);
    await receiver.cancel();
    await send("second");
    await until(io, () => single.done, "the single receive");
    assert.is(text(buffer, single.result), "second");
  });
}

function registerReturned(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a released buffer is refused everywhere`, async (trial) => {
    const { io, near, far, send } = await openPair(trial, mode);
    const group = io.ring.bufferGroup({ bufferBytes: BUFFER_BYTES });
    const receiver = new Receiver(io, near, group).start();
    await send(pattern(BUFFER_BYTES));
    await receiver.received(BUFFER_BYTES);
    const chunks = [...receiver.chunks];
    const views = chunks.map((chunk) => receiver.view(chunk));
    receiver.takeAll();
    for (const [index, { bufferId, offset, count }] of chunks.entries()) {
      const view = views[index] as Uint8Array;
      assert.is(
        refusalCode(() => group.view(bufferId, offset, count)),
        "ERR_IO_CHUNK_RELEASED",
      );
      assert.is(
        refusalCode(() => group.release(bufferId)),
        "ERR_IO_CHUNK_RELEASED",
      );
      const again = new MultishotCompletion();
      const sending = (): void => io.ring.send(again, () => undefined, far, view);
      assert.is(refusalCode(sending), "ERR_IO_CHUNK_RELEASED");
    }
    for (const bufferId of [-1, 0.5, 1e9, Number.NaN]) {
      assert.is(
        refusalCode(() => group.release(bufferId)),
        "ERR_IO_CHUNK_RELEASED",
      );
    }
    await roundTrips(io, 2);
    assert.is(io.stats().releasesRefused, 0, "none of it has reached the engine");
  });
}

function registerHeld(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: memory in a send is filled again only when it was sent`, async (trial) => {
    const { io, near, far, send } = await openPair(trial, mode);
    const group = io.ring.bufferGroup({ bufferBytes: 4096, maxBytes: 4096 });
    const receiver = new Receiver(io, near, group).start();
    const first = pattern(4096, 1);
    await send(first);
    await receiver.received(4096);
    // Another stream is full, so a send of the held bytes waits.
    const other = await pairOfDescriptors(io, unixAddress(trial));
    const filler = new Uint8Array(1 << 20);
    let filled = 0;
    let sending = new Started((c, callback) => io.ring.send(c, callback, other.near, filler));
    for (;;) {
      await roundTrips(io, 3);
      if (!sending.done) break;
      filled += sending.result;
      sending = new Started((c, callback) => io.ring.send(c, callback, other.near, filler));
    }
    const view = receiver.view(receiver.chunks[0] as HeldChunk);
    const waiting = new Started((c, callback) => io.ring.send(c, callback, other.near, view));
    await roundTrips(io, 3);
    receiver.takeAll();
    // There is one buffer, which the next bytes would overwrite.
    await send(pattern(4096, 2));
    if (!receiver.completion.active) receiver.start();
    await roundTrips(io, 5);
    const drained: Uint8Array[] = [];
    const buffer = new Uint8Array(1 << 20);
    const read = async (): Promise<void> => {
      const count = await success(io, (c, callback) =>
        io.ring.receive(c, callback, other.far, buffer),
      );
      drained.push(buffer.slice(0, count));
    };
    while (!waiting.done) await read();
    const expected = filled + sending.result + waiting.result;
    while (Buffer.concat(drained).length < expected) await read();
    const tail = Buffer.concat(drained).subarray(expected - waiting.result);
    assert.ok(sameBytes(tail, first.subarray(0, waiting.result)), "the held bytes were sent");
    assert.is(far > 0, true);
  });
}

function registerGroups(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a group in use stays, and a closed one is refused`, async (trial) => {
    const { io, near, send } = await openPair(trial, mode);
    const group = io.ring.bufferGroup();
    const receiver = new Receiver(io, near, group).start();
    assert.is(
      refusalCode(() => group.close()),
      "ERR_IO_GROUP_BUSY",
    );
    await send("kept");
    await receiver.received(4);
    const view = receiver.view(receiver.chunks[0] as HeldChunk);
    await receiver.cancel();
    const { buffers } = io.stats();
    group.close();
    group.close();
    assert.ok(io.stats().buffers < buffers, "its memory is let go");
    assert.is(io.stats().buffersHeld, 0);
    assert.is(text(view), "kept");
    group.release((receiver.chunks[0] as HeldChunk).bufferId);
    assert.is(
      refusalCode(() => new Receiver(io, near, group).start()),
      "ERR_IO_CLOSED",
    );
    await send("next");
    const next = new Receiver(io, near, io.ring.bufferGroup()).start();
    await next.received(4);
    assert.is(text(next.takeAll()), "next");
    assert.is(text(view), "kept");
    assert.is(io.stats().releasesRefused, 0);
  });

  suite.test(`${mode}: groups come and go, as many as there may be`, async (trial) => {
    const io = await trial.open({ mode });
    for (let round = 0; round < 3; round++) {
      const groups: BufferGroup[] = [];
      for (let count = 0; count < 256; count++) groups.push(io.ring.bufferGroup());
      assert.is(
        refusalCode(() => io.ring.bufferGroup()),
        "ENOSPC",
      );
      for (const group of groups) group.close();
    }
  });

  suite.test(`${mode}: arguments of groups and receives are checked`, async (trial) => {
    const { io, near } = await openPair(trial, mode);
    for (const bufferBytes of [0, -1, 0.5, Number.NaN, 2 ** 25, "1" as unknown as number]) {
      const make = (): unknown => io.ring.bufferGroup({ bufferBytes, maxBytes: 2 ** 30 });
      assert.is(refusalCode(make), codeOfNumber(bufferBytes), `bufferBytes ${bufferBytes}`);
    }
    for (const maxBytes of [0, 4095, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const make = (): unknown => io.ring.bufferGroup({ bufferBytes: 4096, maxBytes });
      assert.is(refusalCode(make), "ERR_OUT_OF_RANGE", `maxBytes ${maxBytes}`);
    }
    const group = io.ring.bufferGroup();
    for (const maxBytes of [-1, 0.5, Number.NaN, 2 ** 31]) {
      const receiver = new Receiver(io, near, group);
      assert.is(
        refusalCode(() => receiver.start(maxBytes)),
        "ERR_OUT_OF_RANGE",
      );
      assert.is(receiver.completion.active, false);
    }
    const before = io.stats().refused;
    const receiver = new Receiver(io, near, group);
    receiver.completion.link = true;
    receiver.start();
    new Started((c, callback) => io.ring.nop(c, callback));
    await receiver.ended();
    assert.is(receiver.last, negative("EINVAL"), "it cannot be linked");
    assert.is(io.stats().refused, before + 2);
  });
}
