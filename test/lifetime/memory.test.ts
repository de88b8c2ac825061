// Memory in flight that the program drops, transfers or releases: it stays the kernel's until the
// final completion, and no other memory is written.

import { MessageChannel } from "node:worker_threads";
import { type AcquiredBuffer, Completion, IO, type IOError, type Socket } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { collect, connectedPair, descriptors, ENDLESS_NS, until } from "./support.js";

const test = suite("lifetime/memory");
const MARK = 0xaa;
const SIZES_BYTES = [1, 64, 1000, 4096, 65536];

/** Fills the places of freed memory with zeros, which arriving data would change. */
class Churn {
  readonly #arrays: Uint8Array[] = [];

  fill(sizeBytes: number): void {
    for (let index = 0; index < 40; index++) this.#arrays.push(new Uint8Array(sizeBytes));
    for (let index = 0; index < 2000; index++) void [`${index}`, { index }];
  }

  check(): void {
    for (const array of this.#arrays) assert.is(array.indexOf(MARK), -1, "memory of a stranger");
    this.#arrays.length = 0;
  }
}

/** What becomes of a buffer after a receive into it was started. */
type Lose = (buffer: Uint8Array<ArrayBuffer>) => void;

async function receiveAndLose(io: IO, sizeBytes: number, lose: Lose): Promise<void> {
  const [client, server] = await connectedPair(io);
  const churn = new Churn();
  const start = (): Promise<number> => {
    const buffer = new Uint8Array(sizeBytes);
    const receiving = server.receive(buffer);
    io.ring.flush();
    lose(buffer);
    return receiving;
  };
  const receiving = start();
  await io.nop();
  for (let round = 0; round < 3; round++) {
    collect();
    churn.fill(sizeBytes);
  }
  await client.sendAll(new Uint8Array(sizeBytes).fill(MARK));
  const count = await receiving;
  assert.ok(count > 0 && count <= sizeBytes);
  churn.check();
  await Promise.all([client.close(), server.close()]);
}

async function loseInEverySize(lose: Lose): Promise<void> {
  const io = await IO.open();
  for (const sizeBytes of SIZES_BYTES) {
    for (let round = 0; round < 4; round++) await receiveAndLose(io, sizeBytes, lose);
  }
  await io.close();
}

test("a buffer that the program forgets", () => loseInEverySize(() => undefined));

test("a buffer that is transferred by structuredClone and collected", () =>
  loseInEverySize((buffer) => {
    structuredClone(buffer.buffer, { transfer: [buffer.buffer] });
    assert.is(buffer.byteLength, 0);
  }));

test("a buffer that is posted to a port that closes", () =>
  loseInEverySize((buffer) => {
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(buffer.buffer, [buffer.buffer]);
    port1.close();
    port2.close();
    assert.is(buffer.byteLength, 0);
  }));

test("a write whose buffer is forgotten sends what was in it", async () => {
  const io = await IO.open();
  const [client, server] = await connectedPair(io);
  const total = 8 * 1024 * 1024;
  const sending = ((): Promise<void> => client.sendAll(new Uint8Array(total).fill(MARK)))();
  const buffer = new Uint8Array(65536);
  const churn = new Churn();
  let received = 0;
  while (received < total) {
    const count = await server.receive(buffer);
    const wrong = buffer.subarray(0, count).findIndex((byte) => byte !== MARK);
    assert.is(wrong, -1, `byte ${received + wrong} was changed in flight`);
    received += count;
    if (received % 16 === 0) {
      collect();
      churn.fill(65536);
    }
  }
  await sending;
  churn.check();
  await io.close();
});

function overlap(one: Uint8Array, other: Uint8Array): boolean {
  if (one.buffer !== other.buffer) return false;
  const start = Math.max(one.byteOffset, other.byteOffset);
  return start < Math.min(one.byteOffset + one.byteLength, other.byteOffset + other.byteLength);
}

/** Ends a receive early in some way and watches the block that it used. */
async function releaseEarly(end: (io: IO, server: Socket, block: AcquiredBuffer) => Promise<void>) {
  const io = await IO.open();
  const [, server] = await connectedPair(io);
  for (let round = 0; round < 20; round++) {
    const block = io.buffers.acquire(4096);
    let settled = false;
    const ending = end(io, server, block).then(() => {
      settled = true;
    });
    io.ring.flush();
    io.buffers.release(block);
    const others: AcquiredBuffer[] = [];
    for (let count = 0; count < 40; count++) {
      const other = io.buffers.acquire(4096);
      assert.not(!settled && overlap(block, other), "given out while in flight");
      others.push(other);
    }
    await ending;
    for (const other of others) io.buffers.release(other);
  }
  await io.close();
}

const codeOf = (error: IOError): string => error.code;

test("an aborted receive keeps its block until the kernel lets go", () =>
  releaseEarly(async (_io, server, block) => {
    const aborting = new AbortController();
    const receiving = server.receive(block, { signal: aborting.signal }).then(String, codeOf);
    aborting.abort();
    assert.is(await receiving, "ABORT_ERR");
  }));

test("a receive whose time is over keeps its block until the kernel lets go", () =>
  releaseEarly(async (_io, server, block) => {
    const code = await server.receive(block, { timeoutMs: 1 }).then(String, codeOf);
    assert.is(code, "ETIMEDOUT");
  }));

test("a cancelled receive keeps its block until the kernel lets go", () =>
  releaseEarly(async (io, server, block) => {
    const receiving = server.receive(block).then(String, codeOf);
    void io.cancelAll();
    assert.is(await receiving, "ECANCELED");
  }));

test("a released block is refused, and given out again after its last operation", async () => {
  const io = await IO.open({ buffersMaxBytes: 1024 * 1024 });
  const [client, server] = await connectedPair(io);
  const block = io.buffers.acquire(1024 * 1024);
  const receiving = server.receive(block);
  io.buffers.release(block);
  assert.throws(
    () => io.buffers.release(block),
    (error: IOError) => error.code === "ERR_IO_BUFFER_RELEASED",
  );
  const refused = await server.send(block).then(String, codeOf);
  assert.is(refused, "ERR_IO_BUFFER_RELEASED");
  assert.throws(
    () => io.buffers.acquire(1024 * 1024),
    (error: IOError) => error.code === "ERR_IO_BUFFERS_LIMIT",
  );
  await client.sendAll(Buffer.from("x"));
  assert.is(await receiving, 1);
  io.buffers.release(io.buffers.acquire(1024 * 1024));
  await io.close();
});

test("100 operations in flight on what is closed all end, once", async () => {
  const io = await IO.open();
  // With the first file the engine opens the kernel's list of mounts, once in a process.
  await (await io.openFile(process.execPath)).close();
  const before = descriptors().length;
  for (let round = 0; round < 5; round++) {
    const [client, server] = await connectedPair(io);
    const file = await io.openFile(process.execPath);
    const calls = new Map<Completion, number>();
    const count = (completion: Completion): void => {
      calls.set(completion, (calls.get(completion) ?? 0) + 1);
    };
    for (let index = 0; index < 100; index++) {
      const receiving = new Completion();
      const reading = new Completion();
      for (const completion of [receiving, reading]) calls.set(completion, 0);
      io.ring.receive(receiving, count, server.descriptor, new Uint8Array(100));
      io.ring.read(reading, count, file.descriptor, io.buffers.acquire(4096), index * 4096);
    }
    if (round % 2 === 0) io.ring.flush();
    await Promise.all([server.close(), file.close(), client.close()]);
    for (const times of calls.values()) assert.is(times, 1);
    assert.is(await server.receive(new Uint8Array(1)).then(String, codeOf), "ERR_IO_CLOSED");
  }
  assert.is(descriptors().length, before);
  assert.is(io.stats().inFlight, 0);
  await io.close();
});

test("a vectored operation whose buffers are more than may stay known", async () => {
  const io = await IO.open();
  const file = await io.openFile("/dev/null", { write: true });
  const sizeBytes = 10 * 1024 * 1024;
  const large = [new Uint8Array(sizeBytes), new Uint8Array(sizeBytes)];
  assert.is(await file.writeVectored(large), 2 * sizeBytes);
  // Small ones, half of which were known before.
  const old = Array.from({ length: 600 }, () => new Uint8Array(64));
  for (const buffer of old) await file.write(buffer);
  const fresh = Array.from({ length: 500 }, () => new Uint8Array(64));
  assert.is(await file.writeVectored([...old.slice(0, 500), ...fresh]), 64_000);
  await io.close();
});

test("memory in use is counted, and is let go", async () => {
  const io = await IO.open();
  const [client, server] = await connectedPair(io);
  const sizeBytes = 64 * 1024 * 1024;
  const receiving = server.receive(new Uint8Array(sizeBytes));
  await io.nop();
  assert.ok(io.stats().bufferBytes >= sizeBytes);
  await client.sendAll(Buffer.from("x"));
  await receiving;
  await until(() => io.stats().bufferBytes < sizeBytes, "the large buffer is let go");
  await io.close();
});

test("the IO is closed by a callback, and a flush comes from a callback", async () => {
  const io = await IO.open();
  const { ring } = io;
  ring.timeout(new Completion(), () => undefined, ENDLESS_NS);
  let closing: Promise<void> | undefined;
  const order: string[] = [];
  ring.nop(new Completion(), () => {
    order.push("first");
    ring.nop(new Completion(), () => order.push("queued by a callback"));
    ring.flush();
    closing = io.close();
    closing = Promise.all([closing, io.close()]).then(() => undefined);
  });
  ring.nop(new Completion(), () => order.push("second"));
  await until(() => closing !== undefined, "the callback is called");
  await closing;
  assert.equal(order, ["first", "second", "queued by a callback"]);
});

test.run();
