// Memory of io.buffers: pages, release, limits, and direct I/O with them.

import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AcquiredBuffer, Completion, type File, type IO, type OpenOptions } from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import { pattern, sameBytes } from "../support/data.js";
import type { Suite } from "../support/harness.js";
import { connected } from "../support/network.js";
import { failure, failureCode, refusalCode, roundTrips } from "../support/verbs.js";

const PAGE = 4096;
const MIB = 1024 * 1024;

export function memoryPages(suite: Suite): void {
  registerAcquire(suite);
  registerRelease(suite);
  registerReleased(suite);
  registerInFlight(suite);
  registerLimit(suite);
  registerUse(suite);
  const reason = whyNoDirect();
  if (reason === null) {
    registerDirect(suite);
    registerDirectTail(suite);
  } else {
    suite.skip("direct I/O", reason);
  }
}

/** Some file systems have no direct I/O: tmpfs before Linux 6.6, some that are shared. */
function whyNoDirect(): string | null {
  if (systemHere() === "openbsd") return "OpenBSD has no direct I/O";
  if (systemHere() === "macos") return null; // F_NOCACHE is known of every file
  if (constants.O_DIRECT === undefined) return "this system has no O_DIRECT";
  const folder = mkdtempSync(join(tmpdir(), "io-conformance-"));
  try {
    const flags = constants.O_DIRECT | constants.O_CREAT | constants.O_RDWR;
    closeSync(openSync(join(folder, "direct"), flags));
    return null;
  } catch (error) {
    return `the file system of ${tmpdir()} refuses it: ${error}`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function registerAcquire(suite: Suite): void {
  suite.test("a block has exactly the size that was asked for", async (trial) => {
    const { buffers } = await trial.open();
    const sizes = [1, 100, PAGE, PAGE + 1, 3 * PAGE, 100_000, MIB, MIB + 1];
    const blocks = sizes.map((size) => buffers.acquire(size));
    for (const [index, block] of blocks.entries()) {
      assert.instance(block, Uint8Array);
      assert.is(block.byteLength, sizes[index]);
      block.fill(index + 1);
    }
    for (const [index, block] of blocks.entries()) {
      assert.ok(
        block.every((byte) => byte === index + 1),
        "blocks overlap",
      );
    }
    assert.ok(buffers.sizeBytes >= sizes.reduce((sum, size) => sum + size, 0));
  });

  suite.test("an invalid size is refused", async (trial) => {
    const { buffers } = await trial.open();
    for (const size of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.is(
        refusalCode(() => buffers.acquire(size)),
        "ERR_OUT_OF_RANGE",
        `${size}`,
      );
    }
    assert.is(buffers.sizeBytes, 0);
  });
}

function registerRelease(suite: Suite): void {
  suite.test("a released block is given out again", async (trial) => {
    const { buffers } = await trial.open();
    const seen = new Set<number>();
    for (let index = 0; index < 1000; index++) {
      const block = buffers.acquire(PAGE);
      seen.add(block.byteOffset);
      buffers.release(block);
    }
    assert.is(seen.size, 1);
    assert.is(buffers.sizeBytes, MIB);
  });

  suite.test("leaving a scope releases", async (trial) => {
    const { buffers } = await trial.open();
    let inner: AcquiredBuffer;
    {
      using block = buffers.acquire(PAGE);
      inner = block;
    }
    assert.is(
      refusalCode(() => buffers.release(inner)),
      "ERR_IO_BUFFER_RELEASED",
    );
  });

  suite.test("a second release is refused, and so is one of strange memory", async (trial) => {
    const { buffers } = await trial.open();
    const other = await trial.open();
    const block = buffers.acquire(PAGE);
    assert.is(
      refusalCode(() => other.buffers.release(block)),
      "ERR_IO_BUFFER_RELEASED",
    );
    assert.is(
      refusalCode(() => buffers.release(block.subarray(0))),
      "ERR_IO_BUFFER_RELEASED",
    );
    assert.is(
      refusalCode(() => buffers.release(new Uint8Array(PAGE))),
      "ERR_IO_BUFFER_RELEASED",
    );
    buffers.release(block);
    assert.is(
      refusalCode(() => buffers.release(block)),
      "ERR_IO_BUFFER_RELEASED",
    );
    assert.is(
      refusalCode(() => block[Symbol.dispose]()),
      "ERR_IO_BUFFER_RELEASED",
    );
    const [one, two] = [buffers.acquire(PAGE), buffers.acquire(PAGE)];
    assert.is.not(one.byteOffset, two.byteOffset, "a block was free twice");
  });
}

function registerReleased(suite: Suite): void {
  suite.test("a released block is refused by every operation", async (trial) => {
    const { io, client } = await connected(trial);
    const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
    const block = io.buffers.acquire(PAGE);
    await file.writeAll(block, 0);
    const prepared = file.prepareWrite(block, 0);
    io.buffers.release(block);
    const promises = [
      file.read(block, 0),
      file.write(block, 0),
      file.readFull(block.subarray(1), 0),
      file.writeAll(block, 0),
      file.readVectored([Buffer.alloc(1), block], 0),
      file.writeVectored([block], 0),
      client.send(block),
      client.sendAll(block),
      client.sendVectored([block]),
      client.receive(block),
      io.chain([prepared]),
    ];
    for (const promise of promises) {
      assert.is(await failureCode(promise), "ERR_IO_BUFFER_RELEASED");
    }
    assert.is(
      refusalCode(() => io.ring.read(new Completion(), () => undefined, file.descriptor, block, 0)),
      "ERR_IO_BUFFER_RELEASED",
    );
  });
}

function registerInFlight(suite: Suite): void {
  suite.test("a block released in flight is not given out before it completes", async (trial) => {
    const { io, client, served } = await connected(trial);
    const block = io.buffers.acquire(PAGE);
    const offset = block.byteOffset;
    const receiving = client.receive(block);
    await roundTrips(io);
    io.buffers.release(block);
    assert.is(await failureCode(client.send(block)), "ERR_IO_BUFFER_RELEASED");
    const others = Array.from({ length: 255 }, () => io.buffers.acquire(PAGE));
    assert.ok(others.every((other) => other.byteOffset !== offset));
    for (const other of others) other.fill(0xee);
    await served.sendAll(Buffer.from("late"));
    assert.is(await receiving, 4);
    assert.ok(others.every((other) => other.every((byte) => byte === 0xee)));
    assert.is(io.buffers.acquire(PAGE).byteOffset, offset, "free again once it has completed");
  });

  suite.test("a block released in two vectored operations waits for both", async (trial) => {
    const { io, client, served } = await connected(trial);
    const block = io.buffers.acquire(PAGE);
    const receives = [client.receive(block.subarray(0, 2)), client.receive(block.subarray(2, 4))];
    await roundTrips(io);
    io.buffers.release(block);
    await served.sendAll(Buffer.from("12"));
    await Promise.race(receives);
    assert.is.not(io.buffers.acquire(PAGE).byteOffset, block.byteOffset);
    await served.sendAll(Buffer.from("34"));
    await Promise.all(receives);
    assert.is(io.buffers.acquire(PAGE).byteOffset, block.byteOffset);
  });
}

function registerLimit(suite: Suite): void {
  suite.test("the limit of memory refuses, and what is released can be acquired", async (trial) => {
    const io = await trial.open({ buffersMaxBytes: MIB });
    const pages = Array.from({ length: 256 }, () => io.buffers.acquire(PAGE));
    assert.is(io.buffers.sizeBytes, MIB);
    assert.is(
      refusalCode(() => io.buffers.acquire(1)),
      "ERR_IO_BUFFERS_LIMIT",
    );
    for (const page of pages) io.buffers.release(page);
    const again = Array.from({ length: 256 }, () => io.buffers.acquire(PAGE));
    assert.is(new Set(again.map((page) => page.byteOffset)).size, 256);
    assert.is(io.buffers.sizeBytes, MIB);
    assert.is(
      refusalCode(() => io.buffers.acquire(2 * MIB)),
      "ERR_IO_BUFFERS_LIMIT",
    );
  });

  suite.test("memory released in one size can be acquired in another", async (trial) => {
    const io = await trial.open({ buffersMaxBytes: MIB });
    io.buffers.release(io.buffers.acquire(MIB));
    const small = io.buffers.acquire(PAGE);
    io.buffers.release(small);
    io.buffers.release(io.buffers.acquire(MIB));
  });

  suite.test("what is left of a slab is not lost when a larger block comes", async (trial) => {
    const io = await trial.open({ buffersMaxBytes: 2 * MIB });
    io.buffers.acquire(PAGE);
    io.buffers.acquire(MIB);
    for (let index = 0; index < 255; index++) io.buffers.acquire(PAGE);
  });
}

function registerUse(suite: Suite): void {
  suite.test("parts of blocks are buffers, up to their ends and not beyond", async (trial) => {
    const io = await trial.open();
    const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
    const end = 4 * PAGE;
    const block = io.buffers.acquire(end);
    block.set(pattern(end));
    await file.writeAll(block.subarray(10, 2 * PAGE + 10), 0);
    assert.ok(sameBytes(readFileSync(trial.path()), pattern(end).subarray(10, 2 * PAGE + 10)));
    assert.is(await file.read(block.subarray(end), 0), 0);
    assert.is(await file.write(block.subarray(end), 0), 0);
    const neighbours = [io.buffers.acquire(PAGE), io.buffers.acquire(PAGE)] as const;
    const across = new Uint8Array(block.buffer, neighbours[0].byteOffset + PAGE - 4, 8);
    const code = await failureCode(file.read(across, 0));
    assert.ok(["ERR_OUT_OF_RANGE", "ERR_IO_BUFFER_RELEASED"].includes(code), code);
  });

  suite.test("blocks move data through sockets and vectors", async (trial) => {
    const { io, client, served } = await connected(trial);
    const [one, two, three] = [1, 2, 3].map(() => io.buffers.acquire(PAGE)) as [
      AcquiredBuffer,
      AcquiredBuffer,
      AcquiredBuffer,
    ];
    one.set(pattern(PAGE, 1));
    two.set(pattern(PAGE, 2));
    assert.is(await client.sendVectored([one, two]), 2 * PAGE);
    assert.is(await served.receiveFull(three), PAGE);
    assert.ok(sameBytes(three, one));
    assert.is(await served.receiveFull(three), PAGE);
    assert.ok(sameBytes(three, two));
  });
}

async function openDirect(io: IO, path: string, options: OpenOptions): Promise<File> {
  const file = await io.openFile(path, { ...options, direct: true });
  assert.is(file.direct, true);
  return file;
}

/** Why what is misaligned is taken, or null. */
function whyUnaligned(): string | null {
  return systemHere() === "macos" ? "direct I/O asks for no alignment on macOS" : null;
}

function registerDirect(suite: Suite): void {
  suite.test("direct: pages go to the disk and come back", async (trial) => {
    const io = await trial.open();
    const file = await openDirect(io, trial.path(), { read: true, write: true, create: true });
    const page = io.buffers.acquire(4 * PAGE);
    page.set(pattern(4 * PAGE));
    assert.is(await file.write(page, 0), 4 * PAGE);
    await file.writeAll(page, 4 * PAGE);
    const back = io.buffers.acquire(8 * PAGE);
    assert.is(await file.read(back.subarray(0, PAGE), PAGE), PAGE);
    assert.ok(sameBytes(back.subarray(0, PAGE), page.subarray(PAGE, 2 * PAGE)));
    assert.is(await file.readFull(back, 0), 8 * PAGE);
    assert.ok(sameBytes(back.subarray(4 * PAGE), page));
    assert.is(
      await file.readVectored([back.subarray(0, PAGE), back.subarray(PAGE, 2 * PAGE)], 0),
      2 * PAGE,
    );
    assert.ok(sameBytes(back.subarray(0, 2 * PAGE), page.subarray(0, 2 * PAGE)));
    const results = await io.chain([file.prepareWrite(page, 0), file.prepareSync("data")]);
    assert.equal(results, [4 * PAGE, 0]);
  });

  const name = "direct: what is misaligned is EINVAL, and says what to do";
  const unaligned = whyUnaligned();
  if (unaligned !== null) {
    suite.skip(name, unaligned);
    return;
  }
  suite.test(name, async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path(), new Uint8Array(4 * PAGE));
    const file = await openDirect(io, trial.path(), { read: true, write: true });
    const page = io.buffers.acquire(2 * PAGE);
    const cases: [ArrayBufferView, number][] = [
      [page.subarray(1, PAGE + 1), 0],
      [page.subarray(0, PAGE), 1],
      [page.subarray(0, 100), 0],
    ];
    for (const [view, position] of cases) {
      for (const error of [
        await failure(file.read(view, position)),
        await failure(file.write(view, position)),
      ]) {
        assert.is(error.code, "EINVAL");
        assert.match(error.message, "multiples");
      }
    }
  });
}

function registerDirectTail(suite: Suite): void {
  for (const tail of [1, 511, 512, 700, PAGE - 1]) {
    suite.test(`direct: the tail of ${tail} bytes of a file is read`, async (trial) => {
      const io = await trial.open();
      const content = pattern(2 * PAGE + tail);
      writeFileSync(trial.path(), content);
      const file = await openDirect(io, trial.path(), { read: true });
      await checkTail(io, file, content, tail);
    });
  }

  suite.test("direct: writeAll keeps to whole pages, truncate cuts the tail", async (trial) => {
    const io = await trial.open();
    const file = await openDirect(io, trial.path(), { read: true, write: true, create: true });
    const page = io.buffers.acquire(PAGE);
    page.set(pattern(PAGE));
    if (whyUnaligned() === null)
      assert.is(await failureCode(file.writeAll(page.subarray(0, 100), 0)), "EINVAL");
    await file.writeAll(page, 0);
    await file.truncate(100);
    assert.ok(sameBytes(readFileSync(trial.path()), pattern(PAGE).subarray(0, 100)));
  });
}

async function checkTail(io: IO, file: File, content: Uint8Array, tail: number): Promise<void> {
  const block = io.buffers.acquire(4 * PAGE).fill(0xaa);
  assert.is(await file.read(block.subarray(0, PAGE), 2 * PAGE), tail);
  assert.ok(sameBytes(block.subarray(0, tail), content.subarray(2 * PAGE)));
  assert.is(await file.readFull(block, 0), content.byteLength);
  assert.ok(sameBytes(block.subarray(0, content.byteLength), content));
  assert.is(await file.readFull(block.subarray(0, PAGE), 3 * PAGE), 0);
}
