// WHATWG streams over sockets: bytes, a reader's own memory, back-pressure, and every way to end.

import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { toWeb } from "../index.js";
import net from "../net/index.js";

const test = suite("WHATWG streams over sockets");

/** Two ends of a connection, which are destroyed behind the body. */
async function withPair(body: (client: Socket, served: Socket) => Promise<void>): Promise<void> {
  const server: Server = net.createServer({ allowHalfOpen: true }).listen(0);
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const { port } = server.address() as AddressInfo;
  const client = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(client, "connect");
  const [served] = await accepted;
  try {
    await body(client, served);
  } finally {
    client.destroy();
    served.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
}

test("an echo by pipeTo, and the ends of both directions", () =>
  withPair(async (client, served) => {
    const ofServer = toWeb(served);
    const echoed = ofServer.readable.pipeTo(ofServer.writable as never);
    const { readable, writable } = toWeb(client);
    const writer = writable.getWriter();
    const bytes = Buffer.alloc(3_000_000, "0123456789abc");
    const written = (async () => {
      await writer.write("text,");
      await writer.write(new Uint8Array([1, 2, 3]).buffer);
      for (let start = 0; start < bytes.length; start += 100_000) {
        await writer.write(bytes.subarray(start, start + 100_000));
      }
      await writer.close();
    })();
    const parts: Uint8Array[] = [];
    for await (const part of readable) parts.push(part);
    await written;
    await echoed;
    const expected = Buffer.concat([Buffer.from("text,"), Buffer.from([1, 2, 3]), bytes]);
    assert.is(Buffer.compare(Buffer.concat(parts), expected), 0);
  }));

test("a reader with memory of its own gets it back filled, and the rest with the next", () =>
  withPair(async (client, served) => {
    served.end("0123456789");
    const reader = toWeb(client).readable.getReader({ mode: "byob" });
    let memory = new Uint8Array(4);
    const parts: string[] = [];
    for (;;) {
      const { value, done } = await reader.read(memory);
      if (done) break;
      assert.is(value.buffer.byteLength, 4, "it is the same memory");
      parts.push(Buffer.from(value).toString());
      memory = new Uint8Array(value.buffer);
    }
    assert.is(parts.join(""), "0123456789");
    assert.ok(parts.every((part) => part.length <= 4));
  }));

test("a peer waits when there is no reader, and a writer waits for its peer", () =>
  withPair(async (client, served) => {
    const { readable } = toWeb(client);
    const { writable } = toWeb(served);
    const writer = writable.getWriter();
    const piece = new Uint8Array(1_000_000);
    const totalBytes = 128 * piece.length;
    // More than the buffers of a connection hold, and less than what is sent.
    const limitBytes = 32 * piece.length;
    let writtenBytes = 0;
    const writing = (async () => {
      while (writtenBytes < totalBytes) {
        await writer.write(piece);
        writtenBytes += piece.length;
      }
    })();
    let readBytes = 0;
    const reader = readable.getReader();
    while (readBytes < totalBytes) {
      readBytes += (await reader.read()).value?.length ?? 0;
      const aheadBytes = writtenBytes - readBytes;
      assert.ok(aheadBytes < limitBytes, `${aheadBytes} bytes were taken without a reader`);
      assert.ok(client.readableLength <= 256 * 1024, `${client.readableLength} bytes are held`);
    }
    await writing;
  }));

test("to cancel destroys the socket, and the peer sees its end", () =>
  withPair(async (client, served) => {
    const ended = once(served.resume(), "end");
    const reader = toWeb(client).readable.getReader();
    const waiting = reader.read();
    await reader.cancel("enough");
    assert.ok((await waiting).done);
    assert.ok(client.destroyed);
    await ended;
  }));

test("to abort destroys the socket, with the reason", () =>
  withPair(async (client) => {
    const { readable, writable } = toWeb(client);
    const closed = new Promise((resolve) => client.once("close", resolve));
    await writable.abort(Object.assign(new Error("no more"), { code: "MY_REASON" }));
    assert.ok(client.destroyed);
    assert.is(await codeOf(readable.getReader().read()), "MY_REASON");
    await closed;
  }));

test("a reset fails both, and a read that waits", () =>
  withPair(async (client, served) => {
    const { readable, writable } = toWeb(client);
    const waiting = codeOf(readable.getReader().read());
    served.resetAndDestroy();
    assert.is(await waiting, "ECONNRESET");
    assert.is(await codeOf(writable.getWriter().write("x")), "ECONNRESET");
  }));

test("a socket that is destroyed under them fails both", () =>
  withPair(async (client) => {
    const { readable, writable } = toWeb(client);
    const waiting = codeOf(readable.getReader().read());
    client.destroy();
    assert.is(await waiting, "ERR_STREAM_PREMATURE_CLOSE");
    assert.is(await codeOf(writable.getWriter().closed), "ERR_STREAM_PREMATURE_CLOSE");
  }));

test("what is neither bytes nor text is refused", () =>
  withPair(async (client) => {
    const writer = toWeb(client).writable.getWriter();
    assert.is(await codeOf(writer.write(5 as never)), "ERR_INVALID_ARG_TYPE");
    assert.throws(
      () => toWeb({} as never),
      (error: NodeJS.ErrnoException) => error.code === "ERR_INVALID_ARG_TYPE",
    );
  }));

test.run();
