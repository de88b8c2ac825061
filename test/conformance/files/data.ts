// Reading and writing: positions, ends, vectors, whole buffers, in both layers.

import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { Completion, type File, type IO, OpenFlags, type Position } from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import { bytesOf, pattern, sameBytes, text, VIEW_KINDS } from "../support/data.js";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { failureCode, negative, outcome, refusalCode, success } from "../support/verbs.js";

export function filesData(suite: Suite): void {
  registerEnds(suite);
  registerCurrent(suite);
  registerPositions(suite);
  registerVectors(suite);
  registerAll(suite);
  registerViews(suite);
  for (const mode of MODES) registerRing(suite, mode);
}

async function fileWith(trial: Trial, content: string | Uint8Array): Promise<File> {
  const io = await trial.open();
  writeFileSync(trial.path(), content);
  return io.openFile(trial.path(), { read: true, write: true });
}

function registerEnds(suite: Suite): void {
  suite.test("a read is short at the end of the file, and 0 beyond it", async (trial) => {
    const file = await fileWith(trial, "0123456789");
    const buffer = new Uint8Array(8).fill(1);
    assert.is(await file.read(buffer, 0), 8);
    assert.is(text(buffer), "01234567");
    buffer.fill(1);
    assert.is(await file.read(buffer, 7), 3);
    assert.equal([...buffer], [...Buffer.from("789"), 1, 1, 1, 1, 1]);
    assert.is(await file.read(buffer, 10), 0);
    assert.is(await file.read(buffer, 1_000_000), 0);
    assert.is(await file.read(buffer, Number.MAX_SAFE_INTEGER - 8), 0);
    assert.equal([...buffer.subarray(3)], [1, 1, 1, 1, 1]);
  });

  suite.test("a write beyond the end leaves a hole of zeros", async (trial) => {
    const file = await fileWith(trial, "ab");
    assert.is(await file.write(Buffer.from("z"), 6), 1);
    assert.is(readFileSync(trial.path(), "latin1"), "ab\0\0\0\0z");
  });

  suite.test("an empty buffer moves 0 bytes", async (trial) => {
    const file = await fileWith(trial, "abc");
    const empties = [
      new Uint8Array(0),
      Buffer.from("xyz").subarray(3),
      new DataView(new ArrayBuffer(4), 4),
    ];
    for (const empty of empties) {
      assert.is(await file.read(empty, 0), 0);
      assert.is(await file.write(empty, 0), 0);
      assert.is(await file.readFull(empty, 0), 0);
      await file.writeAll(empty, 0);
      assert.is(await file.readVectored([empty], 0), 0);
      assert.is(await file.writeVectored([empty, empty], 0), 0);
    }
    assert.is(readFileSync(trial.path(), "latin1"), "abc");
  });

  suite.test("many reads at once each get their own place", async (trial) => {
    const content = pattern(64 * 1024);
    const file = await fileWith(trial, content);
    const buffers = Array.from({ length: 128 }, () => new Uint8Array(512));
    const counts = await Promise.all(
      buffers.map((buffer, index) => file.read(buffer, index * 512)),
    );
    assert.equal(counts, Array(128).fill(512));
    assert.ok(sameBytes(Buffer.concat(buffers), content));
  });
}

function registerCurrent(suite: Suite): void {
  suite.test("without a position reads and writes follow each other", async (trial) => {
    const file = await fileWith(trial, "0123456789");
    const buffer = new Uint8Array(4);
    assert.is(await file.read(buffer), 4);
    assert.is(text(buffer), "0123");
    assert.is(await file.read(buffer, 8), 2);
    assert.is(await file.read(buffer), 4);
    assert.is(text(buffer), "4567");
    assert.is(await file.write(Buffer.from("AB")), 2);
    assert.is(await file.readVectored([buffer]), 0);
    assert.is(await file.writeVectored([Buffer.from("C"), Buffer.from("D")]), 2);
    assert.is(readFileSync(trial.path(), "latin1"), "01234567ABCD");
  });
}

const BAD_POSITIONS: readonly Position[] = [
  -1,
  -0.5,
  0.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 53,
  -1n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 64n,
];

function registerPositions(suite: Suite): void {
  suite.test("an invalid position is refused, in every operation", async (trial) => {
    const file = await fileWith(trial, "abc");
    const buffer = new Uint8Array(3);
    for (const position of BAD_POSITIONS) {
      const promises = [
        file.read(buffer, position),
        file.write(buffer, position),
        file.readFull(buffer, position),
        file.writeAll(buffer, position),
        file.readVectored([buffer], position),
        file.writeVectored([buffer], position),
        file.truncate(position),
        file.allocate(position, 1),
        file.allocate(0, position),
      ];
      for (const promise of promises) {
        assert.is(await failureCode(promise), "ERR_OUT_OF_RANGE", `${position}`);
      }
      assert.is(
        refusalCode(() => file.prepareRead(buffer, position)),
        "ERR_OUT_OF_RANGE",
      );
      assert.is(
        refusalCode(() => file.prepareWrite(buffer, position)),
        "ERR_OUT_OF_RANGE",
      );
    }
    assert.is(readFileSync(trial.path(), "latin1"), "abc");
  });

  suite.test("a bigint is a position", async (trial) => {
    const file = await fileWith(trial, "0123456789");
    const buffer = new Uint8Array(2);
    assert.is(await file.read(buffer, 4n), 2);
    assert.is(text(buffer), "45");
    assert.is(await file.write(buffer, 8n), 2);
    assert.is(await file.readFull(buffer, 0n), 2);
    await file.truncate(9n);
    if (systemHere() !== "openbsd") await file.allocate(0n, 4n);
    assert.is(readFileSync(trial.path(), "latin1"), "012345674");
    assert.is(await file.read(buffer, 2n ** 53n - 3n), 0);
  });

  suite.test("positions beyond 4 GiB are exact", async (trial) => {
    const file = await fileWith(trial, "");
    const position = 5 * 2 ** 32 + 3;
    assert.is(await file.write(Buffer.from("far"), position), 3);
    assert.is((await file.stat()).size, position + 3);
    const buffer = new Uint8Array(5);
    assert.is(await file.read(buffer, position - 2), 5);
    assert.is(text(buffer), "\0\0far");
  });
}

function registerVectors(suite: Suite): void {
  suite.test("a vectored write gathers and a vectored read scatters", async (trial) => {
    const file = await fileWith(trial, "");
    const parts = [Buffer.from("one "), Buffer.from("two "), Buffer.from("three")];
    assert.is(await file.writeVectored(parts, 2), 13);
    assert.is(readFileSync(trial.path(), "latin1"), "\0\0one two three");
    const [first, second, third] = [new Uint8Array(3), new Uint8Array(7), new Uint8Array(10)];
    assert.is(await file.readVectored([first, second, third], 2), 13);
    assert.equal([text(first), text(second), text(third, 3)], ["one", " two th", "ree"]);
    assert.is(await file.readVectored([first], 100), 0);
  });

  suite.test("a vector of 1,024 buffers is taken, none and more are refused", async (trial) => {
    const file = await fileWith(trial, "");
    const content = pattern(4096);
    const parts = Array.from({ length: 1024 }, (_, index) =>
      content.subarray(4 * index, 4 * index + 4),
    );
    assert.is(await file.writeVectored(parts, 0), 4096);
    assert.ok(sameBytes(readFileSync(trial.path()), content));
    const back = parts.map(() => new Uint8Array(4));
    assert.is(await file.readVectored(back, 0), 4096);
    assert.ok(sameBytes(Buffer.concat(back), content));
    for (const wrong of [[], [...parts, new Uint8Array(1)]]) {
      assert.is(await failureCode(file.readVectored(wrong, 0)), "ERR_OUT_OF_RANGE");
      assert.is(await failureCode(file.writeVectored(wrong, 0)), "ERR_OUT_OF_RANGE");
    }
  });

  suite.test("many large vectors in one turn all arrive", async (trial) => {
    const file = await fileWith(trial, "");
    const parts = Array.from({ length: 1000 }, (_, index) => new Uint8Array(1).fill(index & 0xff));
    const writes = Array.from({ length: 20 }, (_, index) =>
      file.writeVectored(parts, 1000 * index),
    );
    assert.equal(await Promise.all(writes), Array(20).fill(1000));
    const one = Buffer.concat(parts);
    assert.ok(readFileSync(trial.path()).equals(Buffer.concat(Array(20).fill(one))));
  });
}

function registerAll(suite: Suite): void {
  suite.test("writeAll and readFull move all of it", async (trial) => {
    const file = await fileWith(trial, "");
    const content = pattern(3_000_001);
    assert.is(await file.writeAll(content, 5), undefined);
    const buffer = new Uint8Array(content.byteLength);
    assert.is(await file.readFull(buffer, 5), content.byteLength);
    assert.ok(sameBytes(buffer, content));
  });

  suite.test("readFull resolves with fewer only at the end of the file", async (trial) => {
    const file = await fileWith(trial, "0123456789");
    const buffer = new Uint8Array(16).fill(1);
    assert.is(await file.readFull(buffer, 4), 6);
    assert.is(text(buffer, 6), "456789");
    assert.is(buffer[6], 1);
    assert.is(await file.readFull(buffer, 10), 0);
  });

  suite.test("readFull of a file that shrinks meanwhile ends at its end", async (trial) => {
    const file = await fileWith(trial, pattern(8192));
    truncateSync(trial.path(), 5000);
    assert.is(await file.readFull(new Uint8Array(8192), 0), 5000);
  });
}

function registerViews(suite: Suite): void {
  for (const { name, make } of VIEW_KINDS) {
    suite.test(`${name} is a buffer, and nothing around it is touched`, async (trial) => {
      const content = pattern(64, 3);
      const file = await fileWith(trial, content);
      const view = make(64);
      const whole = new Uint8Array(view.buffer);
      const expected = whole.slice();
      expected.set(content.subarray(0, 64), view.byteOffset);
      assert.is(await file.read(view, 0), 64);
      if (name !== "a Buffer of Node's pool") assert.ok(sameBytes(whole, expected));
      assert.ok(sameBytes(view, content));
      assert.is(await file.write(view, 64), 64);
      assert.is(await file.readFull(view, 64), 64);
      await file.writeAll(view, 128);
      assert.is(await file.readVectored([view], 128), 64);
      assert.is(await file.writeVectored([view], 192), 64);
      assert.ok(readFileSync(trial.path()).equals(Buffer.concat(Array(4).fill(bytesOf(view)))));
    });
  }

  suite.test("what is no view is refused", async (trial) => {
    const file = await fileWith(trial, "abc");
    const wrong = ["abc", 7, null, undefined, [1, 2], { byteLength: 4 }];
    for (const buffer of wrong as unknown as Uint8Array[]) {
      const promises = [
        file.read(buffer, 0),
        file.readFull(buffer, 0),
        file.readVectored([buffer], 0),
        file.writeVectored([buffer], 0),
      ];
      // Text is written, as Node writes it.
      if (typeof buffer !== "string") {
        promises.push(
          file.write(buffer, 0),
          file.writeAll(buffer, 0).then(() => 0),
        );
      }
      for (const promise of promises) {
        assert.is(await failureCode(promise), "ERR_INVALID_ARG_TYPE", String(buffer));
      }
    }
  });
}

function registerRing(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: the ring reads and writes, with and without a place`, async (trial) => {
    const io = await trial.open({ mode });
    const descriptor = await openForBoth(io, trial.path());
    const content = Buffer.from("0123456789");
    const write = (offset: number): Promise<number> =>
      outcome(io, (completion, callback) =>
        io.ring.write(completion, callback, descriptor, content, offset),
      );
    const buffer = new Uint8Array(8);
    const read = (offset: number): Promise<number> =>
      outcome(io, (completion, callback) =>
        io.ring.read(completion, callback, descriptor, buffer, offset),
      );
    assert.is(await write(-1), 10);
    assert.is(await write(10), 10);
    assert.is(await read(4), 8);
    assert.is(text(buffer), "45678901");
    assert.is(await read(-1), 8);
    assert.is(await read(18), 2);
    assert.is(await read(20), 0);
    const refused = [-2, 0.5, Number.NaN, 2 ** 53];
    for (const offset of refused) {
      const completion = new Completion();
      const ring = io.ring;
      const callback = (): void => undefined;
      for (const call of [
        () => ring.read(completion, callback, descriptor, buffer, offset),
        () => ring.write(completion, callback, descriptor, buffer, offset),
        () => ring.readVectored(completion, callback, descriptor, [buffer], offset),
        () => ring.writeVectored(completion, callback, descriptor, [buffer], offset),
      ]) {
        assert.is(refusalCode(call), "ERR_OUT_OF_RANGE", `${offset}`);
      }
      assert.is(completion.active, false);
    }
  });

  suite.test(`${mode}: the ring reads and writes vectors`, async (trial) => {
    const io = await trial.open({ mode });
    const descriptor = await openForBoth(io, trial.path());
    const parts = [Buffer.from("abc"), Buffer.from("defg")];
    const count = await outcome(io, (completion, callback) =>
      io.ring.writeVectored(completion, callback, descriptor, parts, -1),
    );
    assert.is(count, 7);
    const into = [new Uint8Array(5), new Uint8Array(5)] as const;
    const back = await outcome(io, (completion, callback) =>
      io.ring.readVectored(completion, callback, descriptor, into, 1),
    );
    assert.is(back, 6);
    assert.equal([text(into[0]), text(into[1], 1)], ["bcdef", "g"]);
    const stranger = await outcome(io, (completion, callback) =>
      io.ring.readVectored(completion, callback, descriptor + 1, into, 0),
    );
    assert.is(stranger, negative("EBADF"));
  });
}

async function openForBoth(io: IO, path: string): Promise<number> {
  const flags = OpenFlags.read | OpenFlags.write | OpenFlags.create;
  return success(io, (completion, callback) =>
    io.ring.open(completion, callback, path, flags, 0o600),
  );
}
