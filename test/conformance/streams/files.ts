// Files to sockets: whole ones and ranges, at the peer's pace, and the ways to end them early.

import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import type { Completion, File, IO, IOOptions, Socket } from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import { runChildTool } from "../support/children.js";
import { hash, pattern } from "../support/data.js";
import { guarded, type Suite, type Trial } from "../support/harness.js";
import { connected, FAMILIES } from "../support/network.js";
import { failure, failureCode, negative, outcome } from "../support/verbs.js";

// More than any socket holds, so that a sender has to wait for its peer.
const LARGE_BYTES = 24 * 1024 * 1024;

interface Scene {
  readonly io: IO;
  readonly file: File;
  readonly content: Uint8Array;
  readonly client: Socket;
  readonly served: Socket;
}

async function scene(
  trial: Trial,
  sizeBytes: number,
  family = FAMILIES[0]!,
  options: IOOptions = {},
): Promise<Scene> {
  const content = pattern(sizeBytes);
  writeFileSync(trial.path("sent"), content);
  const { io, client, served } = await connected(trial, family, options);
  const file = await io.openFile(trial.path("sent"), { read: true });
  return { io, file, content, client, served };
}

/** Sends with one socket and receives with the other, until the sender has ended the stream. */
async function sendAndReceive(
  { client, served }: Scene,
  send: (socket: Socket) => Promise<number>,
): Promise<[sentBytes: number, received: Uint8Array]> {
  const pieces: Uint8Array[] = [];
  const receiving = (async () => {
    for (;;) {
      const piece = new Uint8Array(100_000);
      const count = await client.receive(piece);
      if (count === 0) return;
      pieces.push(piece.subarray(0, count));
    }
  })();
  const sentBytes = await guarded("sendFile", send(served));
  await served.shutdown("send");
  await guarded("the end of the stream", receiving);
  return [sentBytes, Buffer.concat(pieces)];
}

function registerWhole(suite: Suite): void {
  for (const family of FAMILIES) {
    if (family.missing !== null) continue;
    suite.test(`sendFile over ${family.name}: every byte, in order`, async (trial) => {
      const made = await scene(trial, 1_234_567, family);
      const [sent, received] = await sendAndReceive(made, (socket) => socket.sendFile(made.file));
      assert.is(sent, made.content.byteLength);
      assert.is(hash(received), hash(made.content));
    });
  }

  suite.test("sendFile waits for a peer that takes its time", async (trial) => {
    const made = await scene(trial, LARGE_BYTES);
    const [sent, received] = await sendAndReceive(made, (socket) => socket.sendFile(made.file));
    assert.is(sent, LARGE_BYTES);
    assert.is(hash(received), hash(made.content));
  });

  suite.test("sendFile does without io.buffers when there are none", async (trial) => {
    const made = await scene(trial, 200_000, FAMILIES[0]!, { buffersMaxBytes: 0 });
    const [sent, received] = await sendAndReceive(made, (socket) => socket.sendFile(made.file));
    assert.is(sent, 200_000);
    assert.is(hash(received), hash(made.content));
  });

  suite.test("sendFile sends a range, and no more than there is", async (trial) => {
    const made = await scene(trial, 700_001);
    const ranges: [offset: number, lengthBytes: number | undefined, start: number, end: number][] =
      [
        [0, 1, 0, 1],
        [699_999, undefined, 699_999, 700_001],
        [13, 600_000, 13, 600_013],
        [5, 0, 0, 0],
        [700_001, undefined, 0, 0],
        [9_000_000_000, 10, 0, 0],
        [700_000, 10, 700_000, 700_001],
      ];
    const expected: Uint8Array[] = [];
    const [, received] = await sendAndReceive(made, async (socket) => {
      let sum = 0;
      for (const [offset, lengthBytes, start, end] of ranges) {
        const sent = await socket.sendFile(made.file, offset, lengthBytes);
        assert.is(sent, end - start, `${offset}, ${lengthBytes}`);
        expected.push(made.content.subarray(start, end));
        sum += sent;
      }
      return sum;
    });
    assert.is(hash(received), hash(Buffer.concat(expected)));
    assert.is(await made.file.read(new Uint8Array(4)), 4, "the current position is where it was");
  });

  const uncached = "sendFile of a file that was opened past the page cache";
  if (systemHere() === "openbsd") {
    suite.skip(uncached, "OpenBSD has no direct I/O");
    return;
  }
  suite.test(uncached, async (trial) => {
    const made = await scene(trial, 300_000);
    const direct = await made.io.openFile(trial.path("sent"), { read: true, direct: true });
    const [sent, received] = await sendAndReceive(made, (socket) => socket.sendFile(direct));
    assert.is(sent, 300_000);
    assert.is(hash(received), hash(made.content));
  });
}

// Files that sendfile(2) refuses although a read works, or of which it sends nothing although they
// have bytes.
const MADE_BY_KERNEL = [
  "/proc/version",
  "/proc/filesystems",
  "/proc/sys/kernel/ostype",
  "/sys/kernel/mm/transparent_hugepage/enabled",
];

function registerSpecial(suite: Suite): void {
  for (const path of MADE_BY_KERNEL) {
    const name = `sendFile of ${path}, which has no size`;
    if (!existsSync(path)) {
      suite.skip(name, "this system has no such file");
      continue;
    }
    suite.test(name, async (trial) => {
      const made = await scene(trial, 1);
      const file = await made.io.openFile(path);
      const [sent, received] = await sendAndReceive(made, (socket) => socket.sendFile(file));
      assert.is(Buffer.from(received).toString(), readFileSync(path, "utf8"));
      assert.is(sent, received.byteLength);
    });
  }

  suite.test("sendFile of a FIFO sends what is in it", async (trial) => {
    const made = await scene(trial, 1);
    const path = trial.path("fifo");
    runChildTool("mkfifo", path);
    const kept = openSync(path, "r+");
    trial.defer(() => closeSync(kept));
    writeSync(kept, "through a pipe");
    const file = await made.io.openFile(path);
    const [sent, received] = await sendAndReceive(made, (socket) => socket.sendFile(file, 0, 14));
    assert.is(Buffer.from(received).toString(), "through a pipe");
    assert.is(sent, 14);
  });

  suite.test("sendFile of a device", async (trial) => {
    const made = await scene(trial, 1);
    const file = await made.io.openFile("/dev/zero");
    const sending = (socket: Socket): Promise<number> => socket.sendFile(file, 0, 100_000);
    const [sent, received] = await sendAndReceive(made, sending);
    assert.is(sent, 100_000);
    assert.equal(Buffer.from(received), Buffer.alloc(100_000));
  });

  suite.test("sendFile of a folder is EISDIR", async (trial) => {
    const made = await scene(trial, 1);
    const folder = await made.io.openFile(trial.path("."), { directory: true });
    assert.is(await failureCode(guarded("sendFile", made.served.sendFile(folder))), "EISDIR");
  });
}

/** A sendFile that waits for its peer. */
async function blocked(trial: Trial): Promise<Scene & { sending: Promise<number> }> {
  const made = await scene(trial, LARGE_BYTES);
  const sending = made.served.sendFile(made.file);
  sending.catch(() => undefined);
  const first = new Uint8Array(1000);
  await made.client.receiveFull(first);
  assert.equal(first, made.content.subarray(0, 1000));
  return { ...made, sending };
}

function registerEnds(suite: Suite): void {
  suite.test("sendFile fails when the peer resets in the middle", async (trial) => {
    const { client, sending } = await blocked(trial);
    // Bytes that were received and not read make the close a reset.
    await client.close();
    const { code } = await failure(guarded("sendFile", sending));
    assert.ok(["ECONNRESET", "EPIPE"].includes(code), code);
  });

  suite.test("sendFile ends with its socket", async (trial) => {
    const { served, sending } = await blocked(trial);
    await guarded("close", served.close());
    const code = await failureCode(guarded("sendFile", sending));
    assert.ok(["ECANCELED", "ERR_IO_CLOSED"].includes(code), code);
  });

  suite.test("a file can be closed while it is being sent", async (trial) => {
    const { file, sending, client, served } = await blocked(trial);
    await guarded("close", file.close());
    // A part that was read before may still be on its way to a peer that takes nothing.
    await client.close();
    await failure(guarded("sendFile", sending));
    await served.close();
  });

  suite.test("sendFile can be aborted, and has a time limit", async (trial) => {
    const made = await scene(trial, LARGE_BYTES);
    const abort = new AbortController();
    const sending = made.served.sendFile(made.file, 0, undefined, { signal: abort.signal });
    await made.client.receiveFull(new Uint8Array(1000));
    abort.abort();
    assert.is(await failureCode(guarded("sendFile", sending)), "ABORT_ERR");
    const late = made.served.sendFile(made.file, 0, undefined, { timeoutMs: 5 });
    assert.is(await failureCode(guarded("sendFile", late)), "ETIMEDOUT");
  });

  suite.test("io.close() ends a sendFile", async (trial) => {
    const { io, sending } = await blocked(trial);
    await trial.close(io);
    const code = await failureCode(guarded("sendFile", sending));
    assert.ok(["ECANCELED", "ERR_IO_CLOSED"].includes(code), code);
  });
}

function registerRefusals(suite: Suite): void {
  suite.test("sendFile refuses what cannot be meant", async (trial) => {
    const { file, served } = await scene(trial, 10);
    for (const offset of [-1, 1.5, Number.NaN, 2 ** 53]) {
      assert.is(await failureCode(served.sendFile(file, offset)), "ERR_OUT_OF_RANGE");
      if (offset === 2 ** 53) continue;
      assert.is(await failureCode(served.sendFile(file, 0, offset)), "ERR_OUT_OF_RANGE");
    }
    const other = await trial.open();
    const foreign = await other.openFile(trial.path("sent"), { read: true });
    assert.is(await failureCode(served.sendFile(foreign)), "ERR_INVALID_ARG_VALUE");
    await file.close();
    const code = await failureCode(served.sendFile(file));
    assert.is(code, "ERR_IO_CLOSED");
    await served.close();
    assert.is(await failureCode(served.sendFile(file)), "ERR_IO_CLOSED");
  });

  suite.test("the verb of the ring says when there is no such call", async (trial) => {
    const { io, file, served, client } = await scene(trial, 1000);
    const supported = io.capabilities.sendFile.support !== "copied";
    const send = (descriptor: number, from: number): Promise<number> =>
      outcome(io, (completion: Completion, callback) =>
        io.ring.sendFile(completion, callback, descriptor, from, 100, 500),
      );
    const result = await send(served.descriptor, file.descriptor);
    assert.is(result, supported ? 500 : negative("EOPNOTSUPP"));
    if (!supported) return;
    assert.is(await client.receiveFull(new Uint8Array(500)), 500);
    assert.is(await send(file.descriptor, served.descriptor), negative("ENOTSOCK"));
    assert.is(await send(served.descriptor, served.descriptor), negative("EBADF"));
    assert.is(await send(served.descriptor, 12345), negative("EBADF"));
  });
}

export function streamsFiles(suite: Suite): void {
  registerWhole(suite);
  registerSpecial(suite);
  registerEnds(suite);
  registerRefusals(suite);
}
