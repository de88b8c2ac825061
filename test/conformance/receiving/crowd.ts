// Fast streams that share a group: a receive may fill many buffers at once, and ends and begins
// anywhere within one, while others fill the same buffers.

import {
  type BufferGroup,
  type Descriptor,
  type IO,
  MultishotCompletion,
  type Socket,
} from "@io/core";
import * as assert from "uvu/assert";
import { Random, seedOf } from "../../fuzz/support.js";
import { pattern, sameBytes } from "../support/data.js";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { connectTo } from "../support/network.js";
import { driven, negative, roundTrips, until } from "../support/verbs.js";

const STREAMS = 5;
const STREAM_BYTES = 300_000;
const NO_BUFFERS = negative("ENOBUFS");

/** Receives a stream, and keeps its chunks for a while. */
class Consumer {
  readonly #io: IO;
  readonly #descriptor: Descriptor;
  readonly #group: BufferGroup;
  readonly #random: Random;
  readonly #completion = new MultishotCompletion();
  readonly #parts: Uint8Array[] = [];
  readonly #kept: number[] = [];
  ended = false;
  result = 0;

  constructor(io: IO, descriptor: Descriptor, group: BufferGroup, random: Random) {
    this.#io = io;
    this.#descriptor = descriptor;
    this.#group = group;
    this.#random = random;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  start(): void {
    const maxBytes = 1 + this.#random.below(400 * this.#group.bufferBytes);
    const called = (completion: MultishotCompletion, result: number): void => {
      if (result > 0) this.#take(completion, result);
      if (completion.active) return;
      // The chunks that it keeps may be all there are.
      if (result === NO_BUFFERS) this.#release(0);
      if (result > 0) this.start();
      else if (result === NO_BUFFERS) this.#group.whenAvailable(() => this.start());
      else [this.ended, this.result] = [true, result];
    };
    const { ring } = this.#io;
    ring.receiveMultishot(this.#completion, called, this.#descriptor, this.#group, maxBytes);
  }

  #take({ bufferId, offset }: MultishotCompletion, count: number): void {
    this.#parts.push(this.#group.view(bufferId, offset, count).slice());
    this.#kept.push(bufferId);
    if (this.#random.below(8) === 0) this.#release(this.#random.below(4));
  }

  #release(left: number): void {
    while (this.#kept.length > left) {
      const [bufferId] = this.#kept.splice(this.#random.below(this.#kept.length), 1);
      this.#group.release(bufferId as number);
    }
  }

  close(): void {
    this.#release(0);
  }
}

interface Stream {
  readonly client: Socket;
  readonly consumer: Consumer;
  readonly data: Uint8Array;
}

async function runCrowd(trial: Trial, mode: Mode, entries: number, seed: number): Promise<void> {
  const random = new Random(seed);
  const io = await trial.open({ mode, entries });
  const listener = await driven(io, io.listen({ host: "127.0.0.1", port: 0 }));
  const bufferBytes = 100 + random.below(1500);
  const group = io.ring.bufferGroup({ bufferBytes, maxBytes: 600 * bufferBytes });
  const streams: Stream[] = [];
  for (let index = 0; index < STREAMS; index++) {
    const [client, served] = await driven(io, connectTo(io, listener));
    const consumer = new Consumer(io, served.descriptor, group, random);
    consumer.start();
    streams.push({ client, consumer, data: pattern(STREAM_BYTES, seed + index) });
  }
  const sent = Promise.all(
    streams.map(async ({ client, data }) => {
      await client.sendAll(data);
      await client.shutdown("send");
    }),
  );
  await driven(io, sent);
  await until(io, () => streams.every(({ consumer }) => consumer.ended), "the ends");
  for (const { consumer, data } of streams) {
    assert.is(consumer.result, 0);
    assert.ok(sameBytes(consumer.bytes, data), `buffers of ${bufferBytes} bytes`);
    consumer.close();
  }
  await roundTrips(io, 2);
  const { buffersHeld, releasesRefused } = io.stats();
  assert.equal([buffersHeld, releasesRefused], [0, 0]);
}

export function receivingCrowd(suite: Suite): void {
  for (const mode of MODES) {
    // With few entries only some of the buffers of a receive can be reported at a time.
    for (const entries of [128, 1024]) {
      const name = `${mode}: fast streams of one group do not mix, ${entries} entries`;
      suite.test(name, async (trial) => {
        const seed = seedOf(name);
        for (let round = 0; round < 3; round++) await runCrowd(trial, mode, entries, seed + round);
      });
    }
  }
}
