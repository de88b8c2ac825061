// Chains of any verb with promises: `io.prepare`, the place of an operation in its chain, and what
// a failure says.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type File, type IO, type IOError, OpenFlags, StatRecord } from "@io/core";
import * as assert from "uvu/assert";
import { runChildTool } from "../support/children.js";
import type { Suite, Trial } from "../support/harness.js";
import { connected, pairOfDescriptors } from "../support/network.js";
import {
  failure,
  failureCode,
  idle,
  negative,
  outcome,
  refusalCode,
  roundTrips,
  success,
  until,
} from "../support/verbs.js";

export function prepared(suite: Suite): void {
  registerVerbs(suite);
  registerSockets(suite);
  registerOwnFile(suite);
  registerFailures(suite);
  registerRefused(suite);
  registerLimits(suite);
  registerAborts(suite);
  registerClose(suite);
}

const CANCELED = negative("ECANCELED");

async function openFifo(trial: Trial, io: IO): Promise<File> {
  runChildTool("mkfifo", trial.path("fifo"));
  return io.openFile(trial.path("fifo"), { read: true, write: true });
}

function registerVerbs(suite: Suite): void {
  suite.test("io.prepare has every verb of the ring that completes once", async (trial) => {
    const io = await trial.open();
    const others = ["flush", "bufferGroup", "setOption", "getOption"];
    const names = Object.keys(io.prepare);
    for (const name of names) assert.type(io.ring[name as "nop"], "function", name);
    for (const name of ["nop", "open", "close", "send", "accept", "watchAdd", "receiveControl"]) {
      assert.ok(names.includes(name), name);
    }
    for (const name of [...others, "acceptMultishot", "receiveMultishot"]) {
      assert.not(names.includes(name), name);
    }
  });

  suite.test("verbs on paths and files are one chain", async (trial) => {
    const io = await trial.open();
    const file = await io.openFile(trial.path("draft"), { write: true, create: true });
    const { prepare } = io;
    const record = new StatRecord();
    const [made, written, , , , stat] = await io.chain([
      prepare.mkdir(trial.path("folder"), 0o700),
      file.prepareWrite("all of it", 0),
      prepare.truncate(file.descriptor, 3),
      file.prepareSync("data"),
      prepare.rename(trial.path("draft"), trial.path("folder/file")),
      prepare.stat(trial.path("folder/file"), record).with({ value: () => record.stat }),
      prepare.timeout(1_000_000),
      prepare.unlink(trial.path("folder/file"), false),
    ]);
    assert.equal([made, written, stat.size], [0, 9, 3]);
    assert.not(existsSync(trial.path("folder/file")));
    assert.not(existsSync(trial.path("draft")));
  });

  suite.test("a prepared operation may be run again, in other places", async (trial) => {
    const io = await trial.open();
    const mkdir = io.prepare.mkdir(trial.path("folder"), 0o700);
    const rmdir = io.prepare.unlink(trial.path("folder"), true);
    assert.equal(await io.chain([mkdir, rmdir, mkdir, rmdir]), [0, 0, 0, 0]);
    const [first, last] = await io.chain([mkdir.with({ value: () => "made" }), rmdir]);
    assert.equal([first, last], ["made", 0]);
    const both = mkdir.with({ value: (result) => `${result}` }).with({ hard: true });
    assert.equal(await io.chain([both, both, rmdir.with({ hard: null })]).catch(codeOf), "EEXIST");
    assert.not(existsSync(trial.path("folder")));
  });

  suite.test("what makes a value may throw", async (trial) => {
    const io = await trial.open();
    const why = new RangeError("of the program's own");
    const value = (): never => {
      throw why;
    };
    const chained = io.chain([io.prepare.nop(), io.prepare.nop().with({ value })]);
    assert.is(await chained.catch((error: unknown) => error), why);
    const { member, results } = why as Partial<IOError>;
    assert.equal([member, results], [1, [0, 0]]);
    const frozen = Object.freeze(new RangeError("of the program's own"));
    const throws = (): never => {
      throw frozen;
    };
    const failed = io.chain([io.prepare.nop().with({ value: throws })]);
    assert.is(await failed.catch((error: unknown) => error), frozen);
    assert.equal(await io.chain([io.prepare.nop()]), [0]);
  });

  suite.test("a list belongs to the operation once that is prepared", async (trial) => {
    const io = await trial.open();
    const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
    const written = [Buffer.from("first"), Buffer.from("second")];
    const read = [new Uint8Array(5)];
    const members = [
      io.prepare.writeVectored(file.descriptor, written, 0),
      io.prepare.readVectored(file.descriptor, read, 0),
      io.prepare.nop(),
    ];
    written.pop();
    read.push(new Uint8Array(100));
    assert.equal(await io.chain(members), [11, 5, 0]);
  });
}

function codeOf(error: { readonly code?: string }): string | undefined {
  return error.code;
}

function registerSockets(suite: Suite): void {
  suite.test("a question and its answer are one chain", async (trial) => {
    const { io, client, served } = await connected(trial);
    const [here, there] = [client.descriptor, served.descriptor];
    const [question, answer] = [new Uint8Array(8), new Uint8Array(8)];
    const [sent, received, , answered] = await io.chain([
      io.prepare.send(here, Buffer.from("question")),
      io.prepare.receive(there, question),
      io.prepare.sendVectored(there, [Buffer.from("an"), Buffer.from("swer")]),
      io.prepare.receive(here, answer),
      io.prepare.shutdown(here, "send"),
    ]);
    assert.equal([sent, received, answered], [8, 8, 6]);
    assert.is(Buffer.from(question).toString(), "question");
    assert.is(Buffer.from(answer.subarray(0, 6)).toString(), "answer");
    assert.is(await served.receive(new Uint8Array(1)), 0);
  });

  suite.test("a send without a copy is a member, and has one result", async (trial) => {
    const { io, client, served } = await connected(trial);
    const bytes = Buffer.alloc(50_000, 7);
    const receiving = served.receiveFull(new Uint8Array(bytes.length));
    const results = await io.chain([
      io.prepare.nop(),
      io.prepare.send(client.descriptor, bytes, "always"),
      io.prepare.mkdir(trial.path("behind"), 0o700),
    ]);
    assert.is(results.length, 3);
    assert.ok(results[1] > 0, `${results}`);
    assert.ok(existsSync(trial.path("behind")));
    if (results[1] < bytes.length) await client.sendAll(bytes.subarray(results[1]));
    assert.is(await receiving, bytes.length);
  });

  suite.test("a client that the chain itself opens asks and is answered", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ host: "127.0.0.1", port: 0 });
    const serving = listener.accept().then(async (socket) => {
      await socket.sendAll("welcome");
      await socket.close();
    });
    const memory = new Uint8Array(7);
    const here = io.ring.chainDescriptor;
    const { descriptors } = io.stats();
    const [, , received] = await io.chain([
      io.prepare.socket("ipv4"),
      io.prepare.connect(here, listener.address),
      io.prepare.receive(here, memory),
      io.prepare.close(here),
    ]);
    await serving;
    assert.is(Buffer.from(memory.subarray(0, received)).toString(), "welcome".slice(0, received));
    assert.is(io.stats().descriptors, descriptors);
  });
}

function registerOwnFile(suite: Suite): void {
  suite.test("a chain opens a file, reads what is there, and closes it", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path(), "content");
    const { descriptors } = io.stats();
    const here = io.ring.chainDescriptor;
    const memory = new Uint8Array(16);
    const [, text, closed] = await io.chain([
      io.prepare.open(trial.path(), OpenFlags.read, 0),
      io.prepare
        .read(here, memory, 0)
        .with({ hard: true, value: (count) => Buffer.from(memory.subarray(0, count)).toString() }),
      io.prepare.close(here),
    ]);
    assert.equal([text, closed], ["content", 0]);
    assert.is(io.stats().descriptors, descriptors);
    // Without that the file is too short, and is closed nevertheless.
    const error = await failure(
      io.chain([
        io.prepare.open(trial.path(), OpenFlags.read, 0),
        io.prepare.readVectored(here, [memory.subarray(0, 8), memory.subarray(8)], 0),
        io.prepare.close(here),
      ]),
    );
    assert.equal([error.code, error.member, error.results], ["ERR_IO_CHAIN_SHORT", 1, [0, 7, 0]]);
    assert.match(error.message, /7 of 16 bytes, so the ones behind it were not started/);
    const open = io.prepare.open(trial.path(), OpenFlags.read, 0);
    const close = io.prepare.close(here).with({ hard: true });
    const whole = await io.openFile(trial.path(), { read: true });
    const last = await failure(io.chain([open, close, whole.prepareRead(memory, 0)]));
    assert.match(last.message, /7 of 16 bytes$/);
    await whole.close();
    assert.is(io.stats().descriptors, descriptors);
  });

  suite.test("a chain that opens a file for the program gives its descriptor", async (trial) => {
    const io = await trial.open();
    const flags = OpenFlags.write | OpenFlags.create;
    const [, opened] = await io.chain([
      io.prepare.mkdir(trial.path("folder"), 0o700),
      io.prepare.open(trial.path("folder/file"), flags, 0o600),
    ]);
    const results = await io.chain([
      io.prepare.write(opened, Buffer.from("x"), 0),
      io.prepare.close(opened),
    ]);
    assert.equal(results, [1, 0]);
    assert.is(readFileSync(trial.path("folder/file"), "latin1"), "x");
  });
}

function registerFailures(suite: Suite): void {
  suite.test("a failure says which operation it was, and what came of all", async (trial) => {
    const io = await trial.open();
    const [from, to] = [trial.path("none"), trial.path("to")];
    const error = await failure(
      io.chain([
        io.prepare.mkdir(trial.path("first"), 0o700),
        io.prepare.rename(from, to),
        io.prepare.mkdir(trial.path("third"), 0o700),
      ]),
    );
    assert.equal([error.code, error.operation, error.syscall], ["ENOENT", "rename", "rename"]);
    assert.equal([error.path, error.dest], [from, to]);
    assert.equal([error.member, error.results], [1, [0, negative("ENOENT"), CANCELED]]);
    assert.match(error.message, "operation 2 of 3");
    assert.ok(existsSync(trial.path("first")));
    assert.not(existsSync(trial.path("third")));
  });

  suite.test("behind a hard one that has failed the next one runs", async (trial) => {
    const io = await trial.open();
    const missing = trial.path("none");
    const error = await failure(
      io.chain([
        io.prepare.unlink(missing, false).with({ hard: true }),
        io.prepare.mkdir(trial.path("made"), 0o700),
        io.prepare.rename(missing, trial.path("to")),
        io.prepare.mkdir(trial.path("never"), 0o700),
      ]),
    );
    const none = negative("ENOENT");
    assert.equal([error.operation, error.member], ["unlink", 0]);
    assert.equal(error.results, [none, 0, none, CANCELED]);
    assert.equal([error.path, error.dest], [missing, undefined]);
    assert.ok(existsSync(trial.path("made")));
    assert.not(existsSync(trial.path("never")));
  });

  suite.test("one that ends with ECANCELED by itself is the one that failed", async (trial) => {
    const io = await trial.open();
    const { near } = await pairOfDescriptors(io);
    const chained = failure(
      io.chain([
        io.prepare.receive(near, new Uint8Array(4)).with({ hard: true }),
        io.prepare.unlink(trial.path("none"), false),
        io.prepare.nop(),
      ]),
    );
    await roundTrips(io);
    await success(io, (completion, done) => io.ring.close(completion, done, near));
    const error = await chained;
    assert.equal([error.code, error.operation, error.member], ["ECANCELED", "receive", 0]);
    assert.equal(error.results, [CANCELED, negative("ENOENT"), CANCELED]);
  });

  suite.test("an operation that the engine refuses is the one that failed", async (trial) => {
    const io = await trial.open();
    const file = await io.openFile(trial.path(), { write: true, create: true });
    const { descriptor } = file;
    await file.close();
    const error = await failure(
      io.chain([
        io.prepare.mkdir(trial.path("never"), 0o700),
        io.prepare.truncate(descriptor, 0),
        io.prepare.nop(),
      ]),
    );
    assert.equal([error.code, error.operation, error.member], ["EBADF", "truncate", 1]);
    assert.equal(error.results, [CANCELED, negative("EBADF"), CANCELED]);
    assert.not(existsSync(trial.path("never")));
  });
}

function registerRefused(suite: Suite): void {
  suite.test("a wrong argument is an error of the chain, which starts nothing", async (trial) => {
    const io = await trial.open();
    const first = io.prepare.mkdir(trial.path("never"), 0o700);
    const { prepare } = io;
    const wrong = [
      [prepare.timeout(-1), "ERR_OUT_OF_RANGE"],
      [prepare.unlink(7 as never, false), "ERR_INVALID_ARG_TYPE"],
      [prepare.read(0, null as never, 0), "ERR_INVALID_ARG_TYPE"],
      [prepare.writeVectored(0, [null] as never, 0), "ERR_INVALID_ARG_TYPE"],
      [prepare.cancel(new Uint8Array(1) as never), "ERR_INVALID_ARG_TYPE"],
      [(prepare.rename as () => ReturnType<typeof prepare.nop>)(), "ERR_INVALID_ARG_TYPE"],
    ] as const;
    for (const [one, code] of wrong) {
      const alone = await failure(io.chain([one]));
      assert.equal([alone.code, alone.member, alone.results], [code, 0, [CANCELED]]);
      const among = await failure(io.chain([first, prepare.nop(), one, first]));
      assert.equal([among.code, among.member], [code, 2]);
      assert.equal(among.results, [CANCELED, CANCELED, CANCELED, CANCELED]);
    }
    await idle(io);
    assert.not(existsSync(trial.path("never")));
    assert.is(io.stats().inFlight, 0);
    assert.equal(await io.chain([first, prepare.unlink(trial.path("never"), true)]), [0, 0]);
    assert.equal(trial.takeUncaught(), []);
  });

  suite.test("an argument that uses the IO itself ends the chain", async (trial) => {
    const io = await trial.open();
    const uses: Promise<unknown>[] = [];
    const address = {
      family: "ipv4",
      get host(): string {
        uses.push(io.stat(trial.path("none")).catch(codeOf));
        return "127.0.0.1";
      },
      port: 9,
    } as const;
    const first = io.prepare.mkdir(trial.path("never"), 0o700);
    const error = await failure(
      io.chain([first, io.prepare.connect(0, address), first, io.prepare.nop()]),
    );
    assert.is(error.code, "ERR_IO_CHAIN_OPEN");
    assert.equal(new Set(await Promise.all(uses)), new Set(["ENOENT"]));
    await idle(io);
    assert.not(existsSync(trial.path("never")));
    assert.equal(
      new Set(trial.takeUncaught().map((one) => codeOf(one as IOError))),
      new Set(["ERR_IO_CHAIN_OPEN"]),
    );
  });

  suite.test("an operation of another IO is refused", async (trial) => {
    const [io, other] = [await trial.open(), await trial.open()];
    const mixed = io.chain([io.prepare.nop(), other.prepare.nop()]);
    assert.is(await failureCode(mixed), "ERR_INVALID_ARG_TYPE");
    assert.is(
      refusalCode(() => io.prepare.nop().with({ timeoutMs: -1 })),
      "ERR_OUT_OF_RANGE",
    );
    const kept = io.prepare.nop();
    await trial.close(io);
    assert.is(await failureCode(io.chain([kept])), "ERR_IO_CLOSED");
  });
}

function registerLimits(suite: Suite): void {
  suite.test("an operation of a chain has a limit of its own", async (trial) => {
    const io = await trial.open();
    const fifo = await openFifo(trial, io);
    const reading = fifo.prepareRead(new Uint8Array(4)).with({ timeoutMs: 10 });
    const mkdir = io.prepare.mkdir(trial.path("behind"), 0o700);
    const late = negative("ETIMEDOUT");
    const error = await failure(io.chain([io.prepare.nop(), reading, mkdir]));
    assert.equal([error.code, error.operation, error.member], ["ETIMEDOUT", "read", 1]);
    assert.equal(error.results, [0, late, CANCELED]);
    assert.not(existsSync(trial.path("behind")));
    const hard = await failure(io.chain([reading.with({ hard: true }), mkdir]));
    assert.equal([hard.member, hard.results], [0, [late, 0]]);
    assert.ok(existsSync(trial.path("behind")));
    // One that is not reached leaves nothing behind.
    await fifo.write("text");
    const long = reading.with({ timeoutMs: 3_600_000 });
    assert.equal(await io.chain([long, io.prepare.nop()]), [4, 0]);
    await idle(io);
  });

  suite.test("the limit of the whole chain and one of its operations", async (trial) => {
    const io = await trial.open();
    const fifo = await openFifo(trial, io);
    const long = fifo.prepareRead(new Uint8Array(4)).with({ timeoutMs: 3_600_000, hard: true });
    const error = await failure(
      io.chain([long, io.prepare.timeout(3600e9), io.prepare.nop()], { timeoutMs: 10 }),
    );
    assert.equal([error.code, error.operation, error.member], ["ETIMEDOUT", "chain", 0]);
    assert.equal(error.results, [CANCELED, CANCELED, CANCELED]);
    await idle(io);
  });
}

function registerAborts(suite: Suite): void {
  suite.test("an abort closes what the chain has opened", async (trial) => {
    const io = await trial.open();
    const { near } = await pairOfDescriptors(io);
    writeFileSync(trial.path(), "content");
    const { descriptors } = io.stats();
    const controller = new AbortController();
    const here = io.ring.chainDescriptor;
    const chained = failure(
      io.chain(
        [
          io.prepare.open(trial.path(), OpenFlags.read, 0),
          io.prepare.receive(near, new Uint8Array(4)).with({ hard: true }),
          io.prepare.timeout(3600e9),
          io.prepare.close(here),
        ],
        { signal: controller.signal },
      ),
    );
    await until(io, () => io.stats().descriptors > descriptors, "the open");
    await roundTrips(io);
    controller.abort();
    const error = await chained;
    assert.equal([error.code, error.operation, error.member], ["ABORT_ERR", "chain", 1]);
    assert.equal(error.results, [0, CANCELED, CANCELED, 0]);
    assert.is(io.stats().descriptors, descriptors);
  });
}

function registerClose(suite: Suite): void {
  suite.test("a chain closes a file: it is closed when that has succeeded", async (trial) => {
    const io = await trial.open();
    const [draft, name] = [trial.path("draft"), trial.path("name")];
    const { descriptors } = io.stats();
    const file = await io.openFile(draft, { write: true, create: true });
    const broken = failure(
      io.chain([io.prepare.unlink(trial.path("none"), false), file.prepareClose()]),
    );
    assert.is((await broken).code, "ENOENT");
    await file.write("still open");
    const results = await io.chain([
      file.prepareWrite("new content", 0),
      file.prepareSync("data"),
      file.prepareClose(),
      io.prepare.rename(draft, name),
    ]);
    assert.equal(results, [11, 0, 0, 0]);
    assert.is(readFileSync(name, "latin1"), "new content");
    assert.is(io.stats().descriptors, descriptors);
    assert.is(await failureCode(file.write("x")), "ERR_IO_CLOSED");
    assert.is(
      refusalCode(() => file.prepareClose()),
      "ERR_IO_CLOSED",
    );
    await file.close();
    await file[Symbol.asyncDispose]();
  });

  suite.test("a close() meanwhile waits for a close of a chain that has begun", async (trial) => {
    const io = await trial.open();
    const { descriptors } = io.stats();
    const file = await io.openFile(trial.path(), { write: true, create: true });
    const chained = io.chain([file.prepareClose()]);
    await file.close();
    assert.equal(await chained, [0]);
    const other = await io.openFile(trial.path(), { write: true });
    const [first, second] = [other.prepareClose(), other.prepareClose()];
    const both = [io.chain([first]), failureCode(io.chain([second]))] as const;
    await other[Symbol.asyncDispose]();
    assert.equal(await Promise.all(both), [[0], "EBADF"]);
    assert.is(io.stats().descriptors, descriptors);
  });

  suite.test("a close() closes a file whose chain has not come to its close", async (trial) => {
    const io = await trial.open();
    const file = await io.openFile(trial.path(), { write: true, create: true });
    const { near } = await pairOfDescriptors(io);
    const { descriptors } = io.stats();
    const chained = failure(
      io.chain([io.prepare.receive(near, new Uint8Array(4)), file.prepareClose()]),
    );
    await roundTrips(io);
    await file.close();
    assert.is(io.stats().descriptors, descriptors - 1);
    await io.cancelAll();
    assert.is((await chained).code, "ECANCELED");
    await file.close();
  });

  suite.test("a close of a chain whose file was closed before", async (trial) => {
    const io = await trial.open();
    const file = await io.openFile(trial.path(), { write: true, create: true });
    const closing = file.prepareClose();
    await file.close();
    const other = await io.openFile(trial.path(), { read: true });
    assert.is(await failureCode(io.chain([io.prepare.nop(), closing])), "EBADF");
    assert.is(await outcome(io, (c, done) => io.ring.sync(c, done, other.descriptor, "data")), 0);
  });
}
