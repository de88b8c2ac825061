// A reader of a socket: lines, delimiters and lengths, whatever pieces the bytes come in, and its
// limits.

import type { Socket } from "@io/core";
import * as assert from "uvu/assert";
import { pattern, sameBytes } from "../support/data.js";
import type { Suite } from "../support/harness.js";
import { connected, FAMILIES } from "../support/network.js";
import { failure, failureCode, roundTrips } from "../support/verbs.js";

export function streamsReader(suite: Suite): void {
  for (const family of FAMILIES.slice(0, 3)) {
    if (family.missing !== null) {
      suite.skip(`${family.name}: a reader`, family.missing);
      continue;
    }
    suite.test(`${family.name}: lines, delimiters and lengths in turn`, async (trial) => {
      const { client, served } = await connected(trial, family);
      const reader = served.reader();
      const sending = sendInPieces(client, "GET / HTTP/1.1\r\nhost: x\r\n\r\nbody\n\nrest", 3);
      assert.is(await reader.readLine(), "GET / HTTP/1.1");
      assert.is((await reader.readUntil("\r\n\r\n"))?.toString(), "host: x\r\n\r\n");
      assert.is((await reader.readExactly(4))?.toString(), "body");
      assert.equal([await reader.readLine(), await reader.readLine()], ["", ""]);
      await sending;
      assert.is((await reader.readUntil(Buffer.from("t")))?.toString(), "rest");
      assert.is(reader.bufferedBytes, 0);
      await client.sendAll("what there is");
      assert.is((await reader.read())?.toString(), "what there is");
      await client.sendAll("the last line");
      await client.shutdown("send");
      assert.is(await reader.readLine(), "the last line");
      assert.equal(
        [await reader.readLine(), await reader.read(), await reader.readExactly(1)],
        [null, null, null],
      );
      assert.is(await reader.readUntil("x"), null);
      assert.is((await reader.readExactly(0))?.byteLength, 0);
    });
  }
  registerSizes(suite);
  registerLimits(suite);
  registerEnds(suite);
}

async function sendInPieces(socket: Socket, text: string, size: number): Promise<void> {
  for (let at = 0; at < text.length; at += size) await socket.sendAll(text.slice(at, at + size));
}

function registerSizes(suite: Suite): void {
  suite.test("records of every length come whole, and the buffer stays small", async (trial) => {
    const { client, served } = await connected(trial);
    const reader = served.reader({ maxBytes: 4096 });
    const lengths = [0, 1, 2, 3, 100, 0, 4095, 4096, 4097, 16_384, 16_385, 1, 300_000, 7, 0];
    const whole = pattern(lengths.reduce((sum, length) => sum + length, 0));
    const sending = client.sendAll(whole);
    let at = 0;
    for (const length of lengths) {
      const record = (await reader.readExactly(length)) as Buffer;
      assert.ok(sameBytes(record, whole.subarray(at, at + length)), `${length} bytes at ${at}`);
      at += length;
    }
    await sending;
    const lines = Array.from({ length: 2000 }, (_, index) => "y".repeat(index % 211));
    const sent = client.sendAll(lines.map((line) => `${line}\r\n`));
    for (const line of lines) assert.is(await reader.readLine(), line);
    await sent;
  });

  suite.test("a delimiter that comes in two halves is found", async (trial) => {
    const { io, client, served } = await connected(trial);
    const reader = served.reader();
    const reading = reader.readUntil("--end--");
    for (const piece of ["--en", "--e", "nd", "--", "next"]) {
      await client.sendAll(piece);
      await roundTrips(io, 2);
    }
    assert.is((await reading)?.toString(), "--en--end--");
    assert.is((await reader.read())?.toString(), "next");
  });
}

function registerLimits(suite: Suite): void {
  suite.test("a delimiter that does not come within the limit", async (trial) => {
    const { client, served } = await connected(trial);
    const reader = served.reader({ maxBytes: 8 });
    await client.sendAll("1234567\n12345678\n1");
    assert.is(await reader.readLine(), "1234567");
    assert.is(await failureCode(reader.readLine()), "ERR_IO_READER_LIMIT");
    const error = await failure(reader.readUntil("\n"));
    assert.is(error.code, "ERR_IO_READER_LIMIT");
    assert.match(error.message, /first 8 bytes \(maxBytes\)/);
    // Nothing was lost, and one read may have another limit.
    assert.is(await reader.readLine({ maxBytes: 9 }), "12345678");
    assert.is((await reader.read())?.toString(), "1");
    // A peer that sends without an end is not taken in.
    const sending = client.sendAll(new Uint8Array(8 << 20)).catch(() => undefined);
    assert.is(await failureCode(reader.readUntil("\n")), "ERR_IO_READER_LIMIT");
    assert.ok(reader.bufferedBytes <= 16_384, `${reader.bufferedBytes} bytes`);
    await served.close();
    await sending;
  });

  suite.test("one read of a reader at a time", async (trial) => {
    const { client, served } = await connected(trial);
    const reader = served.reader();
    const first = reader.readLine();
    const refused = await failure(reader.read());
    assert.is(refused.code, "ERR_IO_RECEIVING");
    await client.sendAll("one\n");
    assert.is(await first, "one");
  });
}

function registerEnds(suite: Suite): void {
  suite.test("a read that fails keeps what it has received", async (trial) => {
    const { io, client, served } = await connected(trial);
    const reader = served.reader();
    await client.sendAll("half");
    const late = await failure(reader.readLine({ timeoutMs: 5 }));
    assert.equal([late.code, late.transferred], ["ETIMEDOUT", 4]);
    const controller = new AbortController();
    const aborting = failure(reader.readExactly(9, { signal: controller.signal }));
    await client.sendAll(" a");
    await roundTrips(io, 3);
    controller.abort();
    const aborted = await aborting;
    assert.is(aborted.code, "ABORT_ERR");
    await client.sendAll(" line\n");
    assert.is(await reader.readLine(), "half a line");
    const unread = await failure(reader.readLine({ signal: AbortSignal.abort() }));
    assert.is(unread.code, "ABORT_ERR");
  });

  suite.test("a stream that ends too early", async (trial) => {
    const { client, served } = await connected(trial);
    const reader = served.reader();
    await client.sendAll("abc");
    await client.shutdown("send");
    const cut = await failure(reader.readExactly(4));
    assert.equal([cut.code, cut.transferred], ["ERR_IO_UNEXPECTED_END", 3]);
    assert.match(cut.message, /ended after 3 bytes of 4/);
    assert.is(await failureCode(reader.readUntil("x")), "ERR_IO_UNEXPECTED_END");
    assert.is((await reader.read())?.toString(), "abc");
    assert.is(await reader.read(), null);
  });

  suite.test("a reader of a connection that is reset, or closed", async (trial) => {
    const { io, listener, client, served } = await connected(trial);
    const reader = served.reader();
    await client.sendAll("x");
    const reading = failure(reader.readLine());
    await roundTrips(io, 3);
    await client.reset();
    assert.equal([(await reading).code, (await reading).transferred], ["ECONNRESET", 1]);
    const other = await io.connect({ port: listener.address.port as number });
    const closing = failureCode(other.reader().read());
    await roundTrips(io, 2);
    await other.close();
    assert.is(await closing, "ECANCELED");
    assert.is(await failureCode(other.reader().read()), "ERR_IO_CLOSED");
  });
}
