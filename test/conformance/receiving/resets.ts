// A peer that has sent much and reset the connection before the receive began: the bytes arrive,
// and then the receive ends, as it would after a later reset.

import { once } from "node:events";
import { connect } from "node:net";
import { type BufferGroup, Completion, type IO, MultishotCompletion, type Socket } from "@io/core";
import * as assert from "uvu/assert";
import { pattern, sameBytes } from "../support/data.js";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { driven, negative, until } from "../support/verbs.js";

/** Many more of them are there than the kernel receives in a row. */
const BUFFER_BYTES = 256;
const SENT_BYTES = 50_000;

interface Reset {
  readonly io: IO;
  readonly socket: Socket;
  readonly group: BufferGroup;
  readonly sent: Uint8Array;
}

async function resetBefore(trial: Trial, mode: Mode): Promise<Reset> {
  const io = await trial.open({ mode });
  const listener = await driven(io, io.listen({ host: "127.0.0.1", port: 0 }));
  const peer = connect(listener.address.port, "127.0.0.1");
  const socket = await driven(io, listener.accept());
  const sent = pattern(SENT_BYTES);
  await new Promise<void>((resolve) => peer.write(sent, () => resolve()));
  peer.resetAndDestroy();
  await once(peer, "close");
  const group = io.ring.bufferGroup({ bufferBytes: BUFFER_BYTES });
  return { io, socket, group, sent };
}

/** Receives until the end, and starts the receive again when it ends before. */
class Reading {
  readonly completion = new MultishotCompletion();
  readonly #parts: Uint8Array[] = [];
  result = Number.NaN;

  constructor({ io, socket, group }: Reset, maxBytes: number) {
    const start = (): void => {
      const { completion } = this;
      io.ring.receiveMultishot(completion, called, socket.descriptor, group, maxBytes);
    };
    const called = ({ active, bufferId, offset }: MultishotCompletion, count: number): void => {
      if (count > 0) {
        this.#parts.push(group.view(bufferId, offset, count).slice());
        group.release(bufferId);
      }
      if (active) return;
      if (count > 0) start();
      else if (count === negative("ENOBUFS")) group.whenAvailable(start);
      else this.result = count;
    };
    start();
  }

  get ended(): boolean {
    return !Number.isNaN(this.result);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

export function receivingResets(suite: Suite): void {
  for (const mode of MODES) {
    for (const maxBytes of [0, 20_000, 1_000_000]) {
      const limit = maxBytes === 0 ? "no limit" : `a limit of ${maxBytes}`;
      suite.test(`${mode}: a reset that came first ends a receive, ${limit}`, async (trial) => {
        const reset = await resetBefore(trial, mode);
        const reading = new Reading(reset, maxBytes);
        await until(reset.io, () => reading.ended, "the end");
        assert.is(reading.result, negative("ECONNRESET"));
        assert.ok(sameBytes(reading.bytes, reset.sent));
        await driven(reset.io, reset.socket.close());
      });
    }

    for (const how of ["cancel", "cancelAll", "close"] as const) {
      suite.test(`${mode}: ${how} ends a receive that a reset came before`, async (trial) => {
        const reset = await resetBefore(trial, mode);
        const { io, socket, sent } = reset;
        const reading = new Reading(reset, 0);
        await until(io, () => reading.bytes.byteLength === sent.byteLength, "the bytes");
        if (how === "cancel") io.ring.cancel(new Completion(), () => undefined, reading.completion);
        if (how === "cancelAll") io.ring.cancelAll(new Completion(), () => undefined);
        if (how === "close") await driven(io, socket.close());
        await until(io, () => reading.ended, "the end");
        const ends = [negative("ECONNRESET"), negative("ECANCELED")];
        assert.ok(ends.includes(reading.result), `${reading.result}`);
        await driven(io, socket.close());
        assert.is(io.stats().buffersHeld, 0);
      });
    }
  }
}
