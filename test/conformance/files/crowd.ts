// Many file operations at once, beside other operations: one that waits for a disk delays no other,
// and all of them complete one by one.

import { close, constants, open, openSync } from "node:fs";
import { Completion, OpenFlags } from "@io/core";
import * as assert from "uvu/assert";
import { runChildTool } from "../support/children.js";
import { guarded, MODES, type Mode, type Suite } from "../support/harness.js";
import { Started, success, until } from "../support/verbs.js";

const FILE_OPERATIONS = 400;

function registerCrowd(suite: Suite, mode: Mode): void {
  suite.test(
    `${mode}: ${FILE_OPERATIONS} file operations in flight all end once`,
    async (trial) => {
      const io = await trial.open({ mode });
      const { ring } = io;
      const flags = OpenFlags.read | OpenFlags.write | OpenFlags.create;
      const descriptor = await success(io, (completion, callback) =>
        ring.open(completion, callback, trial.path(), flags, 0o600),
      );
      const pages = Array.from({ length: FILE_OPERATIONS }, (_, index) =>
        new Uint8Array(64).fill(index),
      );
      const writes = pages.map(
        (page, index) =>
          new Started((completion, callback) =>
            index % 5 === 4
              ? ring.sync(completion, callback, descriptor, "data")
              : ring.write(completion, callback, descriptor, page, index * 64),
          ),
      );
      await until(io, () => writes.every((write) => write.done), "the writes");
      for (const [index, write] of writes.entries()) {
        assert.is(write.result, index % 5 === 4 ? 0 : 64, `write ${index}`);
      }
      const into = pages.map(() => new Uint8Array(64));
      const reads = into.map(
        (page, index) =>
          new Started((completion, callback) =>
            ring.read(completion, callback, descriptor, page, index * 64),
          ),
      );
      await until(io, () => reads.every((read) => read.done), "the reads");
      for (const [index, page] of into.entries()) {
        if (index % 5 !== 4) assert.equal(page, pages[index], `read ${index}`);
      }
      ring.close(new Completion(), () => undefined, descriptor);
    },
  );
}

/** Opens that wait for the other end of a FIFO, each of which holds one of libuv's threads. */
function occupyLibuv(path: string, count: number): () => Promise<void> {
  const opened = Array.from(
    { length: count },
    () =>
      new Promise<number>((resolve, reject) => {
        open(path, constants.O_RDONLY, (error, number) =>
          error ? reject(error) : resolve(number),
        );
      }),
  );
  return async () => {
    const other = openSync(path, constants.O_RDWR);
    for (const number of [other, ...(await Promise.all(opened))]) close(number);
  };
}

export function filesCrowd(suite: Suite): void {
  for (const mode of MODES) registerCrowd(suite, mode);

  suite.test("files are served while all of libuv's threads are held by others", async (trial) => {
    runChildTool("mkfifo", trial.path("fifo"));
    const free = occupyLibuv(trial.path("fifo"), 8);
    try {
      const io = await trial.open();
      const served = async (): Promise<void> => {
        await using file = await io.openFile(trial.path(), {
          read: true,
          write: true,
          create: true,
        });
        await file.write(new Uint8Array(10), 0);
        await file.sync("full");
        assert.is((await io.stat(trial.path())).size, 10);
        assert.is(await file.read(new Uint8Array(16), 0), 10);
      };
      await guarded("the file", served());
    } finally {
      await free();
    }
  });
}
