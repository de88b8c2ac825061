// The flags of writes and of opens: what they do, and what is said where they are not known.

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { type File, IO, OpenFlags, WriteFlags, type WriteOptions } from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import { MODES, type Mode, type Suite, type Trial } from "../support/harness.js";
import { failure, failureCode, negative, outcome, refusalCode, success } from "../support/verbs.js";

const NAMES = ["dsync", "uncached", "atomic", "append", "nowait"] as const;
type Name = (typeof NAMES)[number];
const CAPABILITIES = {
  dsync: "writeDsync",
  uncached: "writeUncached",
  atomic: "writeAtomic",
  append: "writeAppend",
  nowait: "writeNowait",
} as const;

export function filesFlags(suite: Suite): void {
  for (const name of NAMES) {
    suite.test(`a write with ${name} is made so, or says why not`, (trial) => flagged(trial, name));
  }
  suite.test("a write with nowait has the file system's answer, in a chain too", unwaited);
  suite.test("a write with nowait is refused by a pipe that is full", fullPipe);
  suite.test("writes with dsync: whole, vectored, in chains, at the current position", synced);
  suite.test("a flag of no kind is refused before anything is written", wrongFlags);
  suite.test("direct I/O names its alignment, and keeps to it", alignment);
  if (systemHere() === "linux") {
    suite.test("a temporary file has no name until it gets one", temporary);
    suite.test("noAtime and dsync of an open", openFlags);
  } else {
    suite.test("temporary and noAtime are refused", refusedOpens);
  }
  for (const mode of MODES) {
    suite.test(`${mode}: the ring writes with flags`, (trial) => onRing(trial, mode));
  }
}

function open(io: IO, path: string): Promise<File> {
  return io.openFile(path, { read: true, write: true, create: true });
}

async function flagged(trial: Trial, name: Name): Promise<void> {
  const io = await trial.open();
  writeFileSync(trial.path(), "before");
  const file = await open(io, trial.path());
  const { support, reason } = io.capabilities[CAPABILITIES[name]];
  const options: WriteOptions = { position: 0, [name]: true };
  const error = await file.write("now", options).then(
    () => null,
    (thrown) => thrown,
  );
  const content = readFileSync(trial.path(), "latin1");
  if (error === null) {
    assert.ok(["native", "emulated"].includes(support), `${name}: ${reason}`);
    assert.is(content, name === "append" ? "beforenow" : "nowore");
  } else {
    assert.is(content, "before", "nothing is written by a refused flag");
    // The kernel, the file system or the device does not know it, or (nowait) it would wait.
    assert.ok(["ENOTSUP", "EINVAL", "EAGAIN"].includes(error.code), error.message);
    assert.match(error.message, name === "nowait" ? /nowait|wait/ : name);
    assert.ok(["uncached", "atomic", "append", "nowait"].includes(name), "all know dsync");
  }
  if (support === "unsupported") {
    assert.is(error?.code, "ENOTSUP");
    assert.match(reason, "Linux has it since");
  }
  if (systemHere() === "linux" && name === "append") assert.is(error, null);
}

async function unwaited(trial: Trial): Promise<void> {
  const codes: string[] = [];
  const plain = await IO.open({ backend: systemHere() === "linux" ? "epoll" : "auto" });
  for (const io of [await trial.open(), plain]) {
    const file = await open(io, trial.path());
    const [bytes, how] = [Buffer.alloc(4096), { position: 0, nowait: true }];
    const single = (): Promise<unknown> => file.write(bytes, how);
    const vectored = (): Promise<unknown> => file.writeVectored([bytes, bytes], how);
    const chained = (): Promise<unknown> =>
      io.chain([file.prepareWrite(bytes, how), file.prepareWrite("x", 4096)]);
    for (const write of [single, vectored, chained]) {
      codes.push(
        await write().then(
          () => "",
          (error) => error.code,
        ),
      );
    }
    await file.close();
  }
  await plain.close();
  const [first = ""] = codes;
  assert.equal(codes, Array<string>(6).fill(first));
  assert.is(statSync(trial.path()).size, first === "" ? 8192 : 0);
}

async function fullPipe(trial: Trial): Promise<void> {
  const io = await trial.open();
  const [reader, writer] = io.pipe();
  const bytes = Buffer.alloc(4096);
  const write = (): Promise<string> =>
    writer.write(bytes, { nowait: true }).then(
      () => "",
      (error) => error.code,
    );
  let code = await write();
  for (let count = 0; code === "" && count < 10_000; count++) code = await write();
  assert.is(code, systemHere() === "linux" ? "EAGAIN" : "ENOTSUP");
  await reader.close();
}

async function synced(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await open(io, trial.path());
  await file.writeAll("abc", { position: 0, dsync: true });
  const views = [Buffer.from("de"), Buffer.from("f")];
  assert.is(await file.writeVectored(views, { position: 3, dsync: true }), 3);
  const members = [
    file.prepareWrite("g", { position: 6, dsync: true }),
    file.prepareWrite("h", { position: 7 }),
    file.prepareWrite("i", 8),
  ];
  assert.equal(await io.chain(members), [1, 1, 1]);
  assert.is(await file.write("AB", { dsync: true }), 2);
  assert.is(await file.write("C", { dsync: false, uncached: null }), 1);
  assert.is(readFileSync(trial.path(), "latin1"), "ABCdefghi");
  const reading = await io.openFile(trial.path());
  assert.is(await failureCode(reading.write("x", { position: 0, dsync: true })), "EBADF");
}

async function wrongFlags(trial: Trial): Promise<void> {
  const io = await trial.open();
  const file = await open(io, trial.path());
  const one = { dsync: 1 as never };
  const views = [Buffer.from("x")];
  assert.is(await failureCode(file.write("x", one)), "ERR_INVALID_ARG_TYPE");
  assert.is(await failureCode(file.writeVectored(views, one)), "ERR_INVALID_ARG_TYPE");
  assert.is(await failureCode(file.writeAll("x", { position: 0, ...one })), "ERR_INVALID_ARG_TYPE");
  assert.is(
    await failureCode(file.writeAll("x", { position: 0, append: true } as never)),
    "ERR_INVALID_ARG_VALUE",
  );
  assert.is(
    await failureCode(file.read(new Uint8Array(1), { dsync: true } as never)),
    "ERR_INVALID_ARG_VALUE",
  );
  assert.is(
    refusalCode(() => file.prepareWrite("x", one)),
    "ERR_INVALID_ARG_TYPE",
  );
  assert.is(
    refusalCode(() => file.prepareWrite("x", { signal: AbortSignal.abort() } as never)),
    "ERR_INVALID_ARG_VALUE",
  );
  assert.is(statSync(trial.path()).size, 0);
}

async function alignment(trial: Trial): Promise<void> {
  const io = await trial.open();
  const plain = await open(io, trial.path());
  assert.equal(plain.directAlignment, { memoryBytes: 1, positionBytes: 1 });
  const options = { read: true, write: true, direct: true };
  const opened = await io.openFile(trial.path(), options).catch((error) => {
    assert.is(error.code, "EINVAL"); // a file system without direct I/O
    return null;
  });
  if (opened === null) return;
  const { memoryBytes, positionBytes } = opened.directAlignment;
  const power = (value: number): boolean => value >= 1 && Math.log2(value) % 1 === 0;
  assert.ok(power(memoryBytes) && power(positionBytes), `${memoryBytes}, ${positionBytes}`);
  const found = (await plain.stat()).directAlignment;
  if (found !== null) assert.equal(opened.directAlignment, found);
  const length = positionBytes * 3;
  const block = io.buffers.acquire(Math.max(4096, length)).subarray(0, length).fill(9);
  await opened.writeAll(block, 0);
  assert.is(await opened.readFull(block, positionBytes), length - positionBytes);
}

async function temporary(trial: Trial): Promise<void> {
  const io = await trial.open();
  const folder = trial.path("folder");
  await io.mkdir(folder);
  const options = { write: true, read: true, temporary: true, mode: 0o640 };
  const file = await io.openFile(folder, options);
  await file.writeAll("complete", 0);
  assert.equal(readdirSync(folder), []);
  assert.is((await file.stat()).nlink, 0);
  assert.is((await file.stat()).mode & 0o777, 0o640 & ~process.umask());
  assert.is(await file.link(`${folder}/result`), undefined);
  assert.is(readFileSync(`${folder}/result`, "latin1"), "complete");
  const error = await failure(file.link(`${folder}/result`));
  assert.equal([error.code, error.dest], ["EEXIST", `${folder}/result`]);
  await file.link(`${folder}/second`);
  assert.is((await file.stat()).nlink, 2);
  const closed = await io.openFile(folder, { ...options, exclusive: true });
  assert.is(await failureCode(closed.link(`${folder}/third`)), "ENOENT");
  assert.is(existsSync(`${folder}/third`), false);
  assert.is(await failureCode(io.openFile(folder, { temporary: true })), "ERR_INVALID_ARG_VALUE");
}

async function openFlags(trial: Trial): Promise<void> {
  const io = await trial.open();
  writeFileSync(trial.path(), "content");
  const file = await io.openFile(trial.path(), { read: true, write: true, dsync: true });
  await file.writeAll("CON", 0);
  assert.is(readFileSync(trial.path(), "latin1"), "CONtent");
  await file.utimes(1000, 2_000_000_000_000);
  const quiet = await io.openFile(trial.path(), { noAtime: true });
  await quiet.readFull(new Uint8Array(7), 0);
  assert.is((await quiet.stat()).atimeMs, 1000);
}

async function refusedOpens(trial: Trial): Promise<void> {
  const io = await trial.open();
  writeFileSync(trial.path(), "content");
  const made = await failure(io.openFile(trial.path(), { write: true, temporary: true }));
  assert.is(made.code, "ENOTSUP");
  assert.match(made.message, "need Linux");
  assert.is(await failureCode(io.openFile(trial.path(), { noAtime: true })), "ENOTSUP");
  const file = await io.openFile(trial.path(), { write: true, dsync: true });
  await file.writeAll("CON", 0);
  assert.is(readFileSync(trial.path(), "latin1"), "CONtent");
  const named = await failure(file.link(trial.path("other")));
  assert.is(named.code, "ENOTSUP");
  assert.match(named.message, "only Linux");
}

async function onRing(trial: Trial, mode: Mode): Promise<void> {
  const io = await trial.open({ mode });
  const { ring } = io;
  const flags = OpenFlags.read | OpenFlags.write | OpenFlags.create;
  const file = await success(io, (c, done) => ring.open(c, done, trial.path(), flags, 0o600));
  const [data, { dsync, append }] = [Buffer.from("ab"), WriteFlags];
  const write = (offset: number, how: number): Promise<number> =>
    outcome(io, (c, done) => ring.write(c, done, file, data, offset, how));
  assert.is(await write(0, dsync), 2);
  const vectored = await outcome(io, (c, done) =>
    ring.writeVectored(c, done, file, [data, data], 2, dsync),
  );
  assert.is(vectored, 4);
  const appended = await write(0, append);
  if (systemHere() !== "linux") {
    assert.is(appended, negative("ENOTSUP"));
  } else {
    assert.is(appended, 2);
    assert.equal(await Promise.all([write(0, append), write(0, append)]), [2, 2]);
    assert.is(statSync(trial.path()).size, 12);
  }
  // An operation of the same slot without flags is made without them.
  assert.is(await write(0, 0), 2);
  const size = statSync(trial.path()).size;
  assert.is(await write(0, 0), 2);
  assert.is(statSync(trial.path()).size, size);
}
