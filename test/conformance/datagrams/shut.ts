// Receiving from a datagram socket whose receiving was shut down: datagrams that have arrived come
// first, and then the end, for every verb, and whenever the receive began.

import {
  type BufferGroup,
  Completion,
  type DatagramSocket,
  MultishotCompletion,
  SocketAddress,
} from "@io/core";
import * as assert from "uvu/assert";
import { connectedPair, FAMILIES, type Pair } from "../support/datagrams.js";
import { guarded, type Suite } from "../support/harness.js";
import { negative, success } from "../support/verbs.js";

/** A receive of one kind, until it has ended: its results. */
type Receive = (pair: Pair, groups: Groups) => Promise<number[]>;

interface Groups {
  readonly bytes: BufferGroup;
  readonly messages: BufferGroup;
}

function plain({ io, near }: Pair): Promise<number[]> {
  return new Promise((resolve) => {
    const memory = new Uint8Array(16);
    io.ring.receive(new Completion(), (_, result) => resolve([result]), near.descriptor, memory);
  });
}

function reading({ io, near }: Pair): Promise<number[]> {
  return new Promise((resolve) => {
    const memory = new Uint8Array(16);
    io.ring.read(new Completion(), (_, result) => resolve([result]), near.descriptor, memory, -1);
  });
}

function readingVectored({ io, near }: Pair): Promise<number[]> {
  return new Promise((resolve) => {
    const memories = [new Uint8Array(2), new Uint8Array(16)];
    const done = (_: unknown, result: number): void => resolve([result]);
    io.ring.readVectored(new Completion(), done, near.descriptor, memories, -1);
  });
}

const message =
  (verb: "receiveMessage" | "peekMessage"): Receive =>
  ({ io, near }) =>
    new Promise((resolve, reject) => {
      const peer = new SocketAddress();
      const memory = new Uint8Array(16);
      io.ring[verb](
        new Completion(),
        (_, result) => {
          if (result === 0 && peer.address !== null) reject(new Error("a sender"));
          else resolve([result]);
        },
        near.descriptor,
        memory,
        peer,
      );
    });

const multishot =
  (maxBytes: number): Receive =>
  ({ io, near }, { bytes }) =>
    new Promise((resolve) => {
      const results: number[] = [];
      const multishot = new MultishotCompletion();
      const callback = (_: unknown, result: number): void => {
        results.push(result);
        if (!multishot.active) resolve(results);
      };
      io.ring.receiveMultishot(multishot, callback, near.descriptor, bytes, maxBytes);
    });

const messages: Receive = ({ io, near }, { messages: group }) =>
  new Promise((resolve) => {
    const results: number[] = [];
    const multishot = new MultishotCompletion();
    io.ring.receiveMessageMultishot(
      multishot,
      (_, result) => {
        results.push(result);
        if (!multishot.active) resolve(results);
      },
      near.descriptor,
      group,
    );
  });

const KINDS: readonly [name: string, receive: Receive, end: number][] = [
  ["receive", plain, 0],
  ["read", reading, 0],
  ["readVectored", readingVectored, 0],
  ["receiveMessage", message("receiveMessage"), 0],
  ["peekMessage", message("peekMessage"), 0],
  ["receiveMultishot", multishot(0), 0],
  ["receiveMultishot with a limit", multishot(11_545), 0],
  ["receiveMessageMultishot", messages, negative("ENOTCONN")],
];

async function shutDown({ io, near }: Pair): Promise<void> {
  await success(io, (completion, callback) =>
    io.ring.shutdown(completion, callback, near.descriptor, "both"),
  );
}

const settled = async (socket: DatagramSocket): Promise<void> => {
  await socket.send(new Uint8Array(0));
};

export function datagramsShut(suite: Suite): void {
  suite.test(
    "a socket pair, which does not block: all receives end by a shutdown",
    async (trial) => {
      const io = await trial.open();
      for (const [name, receive, end] of KINDS) {
        for (const isEarly of [true, false]) {
          const [near, far] = io.socketPair("datagram");
          const pair = { io, near, far };
          const groups = {
            bytes: io.ring.bufferGroup(),
            messages: io.ring.bufferGroup({ messages: true }),
          };
          const early = isEarly ? receive(pair, groups) : null;
          await settled(near);
          await shutDown(pair);
          assert.equal(await guarded(name, early ?? receive(pair, groups)), [end], name);
          await Promise.all([near.close(), far.close()]);
        }
      }
    },
  );

  for (const family of FAMILIES) {
    if (family.missing !== null) continue;
    for (const [name, receive, end] of KINDS) {
      suite.test(`${family.name}: ${name} ends after a shutdown`, async (trial) => {
        const pair = await connectedPair(trial, family);
        await shutDown(pair);
        const { ring } = pair.io;
        const groups = {
          bytes: ring.bufferGroup(),
          messages: ring.bufferGroup({ messages: true }),
        };
        // An EINVAL of another receive changes nothing of it.
        const stray = await success(pair.io, (c, callback) => ring.socket(c, callback, "unix"));
        await guarded(
          "a receive without a peer",
          multishot(4096)({ ...pair, near: { descriptor: stray } as DatagramSocket }, groups),
        );
        assert.equal(await guarded(name, receive(pair, groups)), [end]);
        assert.equal(await guarded(name, receive(pair, groups)), [end]);
      });

      suite.test(`${family.name}: ${name} that waits ends by a shutdown`, async (trial) => {
        const pair = await connectedPair(trial, family);
        const { ring } = pair.io;
        const groups = {
          bytes: ring.bufferGroup(),
          messages: ring.bufferGroup({ messages: true }),
        };
        const receiving = receive(pair, groups);
        await settled(pair.near);
        await shutDown(pair);
        assert.equal(await guarded(name, receiving), [end]);
      });

      if (name === "peekMessage") continue; // it takes nothing
      suite.test(`${family.name}: ${name} takes what had arrived before`, async (trial) => {
        const pair = await connectedPair(trial, family);
        const { ring } = pair.io;
        const groups = {
          bytes: ring.bufferGroup(),
          messages: ring.bufferGroup({ messages: true }),
        };
        await pair.far.send(Buffer.from("abc"));
        await shutDown(pair);
        const first = await guarded(name, receive(pair, groups));
        const rest = first.at(-1) === end ? first : [...first, ...(await receive(pair, groups))];
        assert.equal(rest, [3, end]);
      });
    }
  }
}
