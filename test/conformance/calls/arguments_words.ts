// The messages of wrong calls, with the true cause, and arguments that both Node and this library
// take.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import * as core from "@io/core";
import { Completion, type File, IO, IOError, SocketAddress } from "@io/core";
import * as assert from "uvu/assert";
import { isBsdHere, systemHere } from "../../support/system.js";
import { isThere, type Suite } from "../support/harness.js";
import { connected } from "../support/network.js";
import {
  failure,
  failureCode,
  negative,
  outcome,
  refusalCode,
  roundTrips,
} from "../support/verbs.js";

/** What a call throws. */
function refusal(call: () => unknown): IOError {
  try {
    call();
  } catch (error) {
    assert.instance(error, IOError, `threw ${error}`);
    return error as IOError;
  }
  throw new Error("returned instead of throwing");
}

/** A call with arguments that its types forbid. */
function wrongly(target: object, name: string, ...given: unknown[]): Promise<unknown> {
  const method = (target as Record<string, unknown>)[name] as (...all: unknown[]) => unknown;
  return Promise.resolve(Reflect.apply(method, target, given));
}

function registerAccess(suite: Suite): void {
  suite.test("a file that was opened for one of the two alone says so", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path(), "content");
    const reading = await io.openFile(trial.path());
    const bytes = new Uint8Array(4);
    const refused = [
      reading.write(bytes, 0),
      reading.writeAll(bytes, 0),
      reading.writeVectored([bytes], 0),
      reading.truncate(1),
      io.chain([reading.prepareWrite(bytes, 0)]),
      // OpenBSD has no such call. Under macOS it is made of others, which give other errors.
      ...(["openbsd", "macos"].includes(systemHere()) ? [] : [reading.allocate(0, 1)]),
    ].map(failure);
    for (const { code, message } of await Promise.all(refused)) {
      assert.ok(["EBADF", "EINVAL"].includes(code), message);
      assert.match(message, "opened for reading alone: open it with write: true");
    }
    const writing = await io.openFile(trial.path("other"), { write: true, create: true });
    const { served } = await connected(trial);
    const refusedReads = [
      writing.read(bytes, 0),
      writing.readFull(bytes, 0),
      writing.readVectored([bytes], 0),
      io.chain([writing.prepareRead(bytes, 0)]),
    ].map(failure);
    for (const { code, message } of await Promise.all(refusedReads)) {
      assert.is(code, "EBADF");
      assert.match(message, "opened for writing alone: open it with read: true");
    }
    assert.is(await failureCode(served.sendFile(reading)), "ERR_INVALID_ARG_VALUE");
    assert.is(readFileSync(trial.path(), "utf8"), "content");
  });

  suite.test("a file is not emptied by mistake", async (trial) => {
    const io = await trial.open();
    writeFileSync(trial.path(), "content");
    for (const options of [{ truncate: true }, { read: true, truncate: true }]) {
      const error = await failure(io.openFile(trial.path(), options));
      assert.is(error.code, "ERR_INVALID_ARG_VALUE");
      assert.match(error.message, "give write: true");
    }
    assert.is(readFileSync(trial.path(), "utf8"), "content");
    const file = await io.openFile(trial.path(), { write: true, truncate: true });
    assert.is((await file.stat()).size, 0);
  });
}

function registerTaken(suite: Suite): void {
  for (const Memory of [ArrayBuffer, SharedArrayBuffer]) {
    suite.test(`a whole ${Memory.name} stands for a view of all of it`, async (trial) => {
      const { io, client, served } = await connected(trial);
      const memory = new Memory(6);
      const view = new Uint8Array(memory);
      const sent = Buffer.from("abcdef");
      view.set(sent);
      const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
      assert.is(await file.write(memory, 0), 6);
      await file.writeAll(memory, 6);
      await io.chain([file.prepareWrite(memory, 12)]);
      await Promise.all([client.sendAll(memory), served.receiveFull(view)]);
      assert.is(readFileSync(trial.path(), "utf8"), "abcdefabcdefabcdef");
      for (const read of [
        () => file.read(memory, 0),
        () => file.readFull(memory, { position: 6 }),
        () => io.chain([file.prepareRead(memory, 12)]).then(([count]) => count),
        () => client.sendAll(sent).then(() => served.receiveFull(memory)),
      ]) {
        view.fill(0);
        assert.is(await read(), 6);
        assert.ok(sent.equals(view), `${read}`);
      }
      const near = await io.openDatagram({ host: "127.0.0.1", port: 0 });
      await near.sendTo(memory, near.localAddress);
      assert.is((await near.receive(memory)).byteLength, 6);
      assert.ok(sent.equals(view));
    });
  }

  suite.test("an ArrayBuffer that was transferred is refused", async (trial) => {
    const io = await trial.open();
    const file = await io.openFile(trial.path(), { write: true, create: true });
    const memory = new ArrayBuffer(6);
    structuredClone(memory, { transfer: [memory] });
    assert.is(await failureCode(file.write(memory)), "ERR_IO_BUFFER_DETACHED");
  });

  suite.test("a mode may be octal digits that begin with a 0", async (trial) => {
    const io = await trial.open();
    for (const [index, mode] of ["0600", "0o600", 0o600].entries()) {
      const path = trial.path(`file${index}`);
      await (await io.openFile(path, { write: true, create: true, mode })).close();
      assert.is((await io.stat(path)).mode & 0o777, 0o600, `${mode}`);
    }
    for (const mode of ["600", "0o", "0800", "", "06 00", "rw-------", "0x180"]) {
      const error = await failure(io.mkdir(trial.path("folder"), { mode }));
      assert.is(error.code, "ERR_INVALID_ARG_VALUE", mode);
      assert.match(error.message, 'or octal digits such as "0644"');
    }
  });
}

type Row = [call: () => Promise<unknown>, said: RegExp];

function rowsOfFiles(io: IO, file: File, bytes: Uint8Array): Row[] {
  return [
    [() => wrongly(io, "openFile", "a", "w"), /^openFile: the options are "w", a string: .* write/],
    [() => wrongly(io, "openFile", "a", { flags: "w" }), /no option "flags": it takes read, write/],
    [() => wrongly(io, "openFile", "a", { mode: "644" }), /mode is "644", a string: .* "0644"/],
    [() => wrongly(io, "openFile", "a", { mode: 0o10000 }), /mode is 4096: .* 0o644/],
    [() => wrongly(io, "mkdir", "a", { parents: true }), /no option "parents": it takes mode, /],
    [
      () => wrongly(file, "read", bytes, { offset: 4 }),
      /^read: there is no option "offset": it takes position, signal and timeoutMs/,
    ],
    [
      () => wrongly(file, "read", bytes, AbortSignal.timeout(1)),
      /^read: the options are an instance of AbortSignal: give an object with position/,
    ],
    [
      () => wrongly(file, "stat", Promise.resolve()),
      /^stat: the options are an instance of Promise: give an object with bigint, signal/,
    ],
    [
      () => wrongly(file, "readVectored", [new ArrayBuffer(8)]),
      /^readVectored: the buffer is an ArrayBuffer: .*new Uint8Array\(buffer\)/,
    ],
    [() => wrongly(file, "writeAll", bytes), /^writeAll: the position is missing/],
    [() => wrongly(file, "readFull", bytes), /^readFull: the position is missing/],
  ];
}

/** A verb of the ring names itself, whatever it was not given. */
function rowsOfRing({ ring }: IO): Row[] {
  const none = (): void => undefined;
  const give = (call: () => unknown) => async () => call();
  return [
    [give(() => wrongly(ring, "nop", none)), /^nop: the completion is a function: give a Compl/],
    [give(() => wrongly(ring, "cancelAll", {})), /^cancelAll: the completion is an object/],
    [give(() => wrongly(ring, "nop", new Completion())), /^nop: the callback is undefined/],
    [
      give(() => wrongly(ring, "timeout", new Completion(), 7, 5)),
      /^timeout: the callback is 7: give a function/,
    ],
  ];
}

function registerMessages(suite: Suite): void {
  suite.test("a message has the argument, what was given and what is right", async (trial) => {
    const { io, served: socket } = await connected(trial);
    const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
    const bytes = new Uint8Array(4);
    const datagrams = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    const rows: Row[] = [
      [
        () => wrongly(io, "listen", { port: "4017" }),
        /the port is "4017", a string: give .* 65535/,
      ],
      [
        () => wrongly(io, "listen", 4000),
        /^listen: the options are 4000: give an object with host, port/,
      ],
      [() => wrongly(io, "listen"), /^listen: the options are undefined/],
      [() => wrongly(io, "connect", 80, "host"), /^connect: the options are 80/],
      [() => wrongly(io, "listen", {}), /^listen: no port is given/],
      [() => wrongly(io, "listen", { host: "127.0.0.1" }), /^listen: no port is given/],
      [() => wrongly(io, "listen", { host: "", port: 0 }), /^listen: the host is empty/],
      [
        () => wrongly(io, "connect", { host: "127.0.0.1", port: 9, family: "ipv6" }),
        /^connect: the family is "ipv6", and the host "127.0.0.1" is not of it/,
      ],
      [
        () => wrongly(io, "listen", { port: 0, family: 6 }),
        /^listen: the family is 6: give "ipv4"/,
      ],
      [() => wrongly(socket, "receive", bytes, { timeout: 5 }), /no option "timeout": .*timeoutMs/],
      [() => wrongly(socket, "receive", 7), /^receive: the buffer is 7: give a TypedArray/],
      [
        () => wrongly(socket, "sendAll", {}),
        /^sendAll: the data is an object: give a string, a Typ/,
      ],
      ...rowsOfFiles(io, file, bytes),
      ...rowsOfRing(io),
      [() => wrongly(socket, "sendFile", "f.txt"), /the file is "f.txt", a string: .*openFile/],
      [() => wrongly(socket, "shutdown", "write"), /"write", .*"receive" or "send" or "both"/],
      [
        () => wrongly(datagrams, "sendTo", bytes, 9),
        /^sendTo: the target is 9: give a SocketAddress/,
      ],
      [
        () => wrongly(datagrams, "sendTo", bytes, { host: "localhost", port: 9 }),
        /^sendTo: "localhost" is no IPv4 address such as 127\.0\.0\.1: look a name up/,
      ],
      [
        () => io.rename(trial.path("one"), trial.path("two")),
        /of '.*one' to '.*two' failed: ENOENT/,
      ],
      [() => IO.open({ queueDepth: 1 } as object), /^open: there is no option "queueDepth"/],
      [() => wrongly(IO, "open", "epoll"), /^open: the options are "epoll", a string/],
    ];
    for (const [call, said] of rows) assert.match((await failure(call())).message, said);
    const keepAlive = { idle: 10 } as object;
    const set = refusal(() => socket.setOptions({ noDelay: false, keepAlive }));
    assert.match(set.message, /^setOptions: there is no option "keepAlive.idle": it takes idleMs/);
    const renamed = await failure(io.rename(trial.path("one"), trial.path("two")));
    assert.equal([renamed.path, renamed.dest], [trial.path("one"), trial.path("two")]);
  });
}

function registerMade(suite: Suite): void {
  suite.test("what is not made with new says how it is made", () => {
    const { BufferGroup, Buffers, Chunk, DatagramSocket, File, Listener } = core;
    const { ChunkStream, Socket, Timer } = core;
    const classes = { BufferGroup, Buffers, Chunk, DatagramSocket, File, IO, Listener };
    for (const [name, made] of Object.entries({ ...classes, ChunkStream, Socket, Timer })) {
      const make = made as unknown as new () => unknown;
      const { code, message } = refusal(() => new make());
      assert.is(code, "ERR_INVALID_ARG_TYPE", name);
      assert.match(message, "not made with new: call ");
    }
  });

  suite.test("a name that cannot be looked up is an IOError", async (trial) => {
    const io = await trial.open();
    const datagrams = await io.openDatagram({ family: "ipv4" });
    // Too long for a label, so no server is asked.
    const host = "x".repeat(300);
    const failing = [
      io.connect({ host, port: 1 }),
      io.listen({ host, port: 1 }),
      io.openDatagram({ host, port: 1 }),
      datagrams.connect({ host, port: 1 }),
    ].map(failure);
    for (const error of await Promise.all(failing)) {
      assert.is(error.syscall, "getaddrinfo");
      assert.instance(error.cause, Error);
      assert.match(error.message, `the name "${host}" cannot be looked up`);
    }
  });
}

function registerNames(suite: Suite): void {
  suite.test("paths of sockets and hosts with a zero byte are refused", async (trial) => {
    const io = await trial.open();
    const secret = await io.listen({ path: trial.path("secret") });
    const path = `${trial.path("secret")}\0.public`;
    const datagrams = await io.openDatagram({ family: "unix" });
    const host = "127.0.0.1\0.example";
    const text = Buffer.from("x");
    const failing = [
      io.connect({ path }),
      io.listen({ path: `${trial.path("made")}\0x` }),
      io.openDatagram({ path: `${trial.path("made")}\0x` }),
      datagrams.bind({ path: `${trial.path("made")}\0x` }),
      datagrams.connect({ path }),
      datagrams.sendTo(text, { path }),
      datagrams.sendTo(text, { host, port: 9 }),
      io.connect({ host, port: 9 }),
      io.listen({ host, port: 0 }),
      io.connect({ host: "::1%lo\0x", port: 9 }),
    ].map(failureCode);
    for (const code of await Promise.all(failing)) {
      assert.is(code, "ERR_INVALID_ARG_VALUE");
    }
    const unix = { family: "unix", path } as const;
    const ipv4 = { family: "ipv4", host, port: 9 } as const;
    for (const address of [unix, ipv4]) {
      const calls = [
        () => SocketAddress.of(address),
        () => io.ring.connect(new Completion(), () => undefined, 0, address),
        () => io.ring.bind(new Completion(), () => undefined, 0, address),
      ];
      for (const call of calls) assert.is(refusalCode(call), "ERR_INVALID_ARG_VALUE");
    }
    assert.is(isThere(trial.path("made")), false);
    await secret.close();
  });
}

function registerPaths(suite: Suite): void {
  suite.test("a path may be a URL or bytes, and need not be UTF-8", async (trial) => {
    const io = await trial.open();
    const folder = dirname(trial.path());
    const url = pathToFileURL(trial.path("a file"));
    const made = await io.openFile(url, { write: true, create: true });
    assert.is(made.path, trial.path("a file"));
    assert.is((await io.stat(url)).isFile(), true);
    const bytes = Buffer.concat([Buffer.from(`${folder}/`), Buffer.of(0x66, 0xff, 0xe4)]);
    await io.rename(url, bytes);
    const names = readdirSync(folder, { encoding: "buffer" });
    assert.ok(
      names.some((name) => name.equals(Buffer.of(0x66, 0xff, 0xe4))),
      String(names),
    );
    const file = await io.openFile(bytes);
    // The text names the same bytes again.
    assert.is((await io.stat(file.path)).isFile(), true);
    await io.unlink(file.path);
    assert.equal(readdirSync(folder), []);
    await io.mkdir(pathToFileURL(trial.path("folder")));
    await io.unlink(Buffer.from(trial.path("folder")), { directory: true });
    const web = new URL("https://example.org/x");
    assert.is(await failureCode(io.openFile(web)), "ERR_INVALID_ARG_VALUE");
  });
}

function registerUnusualNames(suite: Suite): void {
  suite.test("a unix peer whose name is not UTF-8 is answered by its address", async (trial) => {
    const io = await trial.open();
    const server = await io.openDatagram({ path: trial.path("server") });
    const client = await io.openDatagram({ path: `${trial.path("client")}\udcff\udce4` });
    await client.sendTo("question", server.localAddress);
    const buffer = new Uint8Array(16);
    const { address } = await server.receive(buffer);
    assert.instance(address!.path, Buffer);
    assert.ok((address!.path as Buffer).equals(client.localAddress.path as Buffer));
    await server.sendTo("answer", address!);
    assert.is((await client.receive(buffer)).byteLength, 6);
    await server.sendTo("answer", SocketAddress.of(address!));
    assert.is((await client.receive(buffer)).byteLength, 6);
    const listener = await io.listen({ path: `${trial.path("stream")}\udcff` });
    const connecting = io.connect(listener.address);
    const served = await listener.accept();
    assert.equal((await connecting).remoteAddress!.path, listener.address.path);
    await served.close();
  });

  suite.test("an interface is named by its number, too", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ host: "::1%1", port: 0 });
    const connecting = io.connect({ host: "::1%1", port: listener.address.port });
    const served = await listener.accept();
    await (await connecting).close();
    await served.close();
    assert.is(await failureCode(io.connect({ host: "::1%nosuch", port: 9 })), "ENODEV");
  });

  if (isBsdHere()) {
    suite.skip("an abstract name may have all of its bytes", "only Linux has abstract names");
    return;
  }
  suite.test("an abstract name may have all of its bytes", async (trial) => {
    const io = await trial.open();
    const unique = `\0${process.pid}-${io.backend}-\0-`;
    for (const length of [unique.length, 107, 108]) {
      const path = unique.padEnd(length, "y");
      const listener = await io.listen({ path });
      assert.is(listener.address.path, path);
      const connecting = io.connect(listener.address);
      const served = await listener.accept();
      assert.is((await connecting).remoteAddress!.path, path);
      await served.close();
      await listener.close();
    }
    assert.is(await failureCode(io.listen({ path: unique.padEnd(109, "y") })), "ENAMETOOLONG");
    const server = await io.openDatagram({ path: unique.padEnd(108, "z") });
    const client = await io.openDatagram({ path: unique.padEnd(108, "c") });
    await client.sendTo("question", server.localAddress);
    const { address } = await server.receive(new Uint8Array(16));
    assert.is(await server.sendTo("answer", address!), 6);
  });
}

function registerSignals(suite: Suite): void {
  suite.test("what is no signal leaves no time limit and loses no connection", async (trial) => {
    const { io, listener, client } = await connected(trial);
    const signal = new AbortController() as unknown as AbortSignal;
    const options = { signal, timeoutMs: 0.001 };
    assert.match(
      (await failure(listener.accept(options))).message,
      /controller itself: give its signal/,
    );
    const buffer = new Uint8Array(1);
    const promises = [client.receive(buffer, options), client.send(buffer, options)];
    const failing = [...promises, io.nop(options), io.sleep(0.000001, options)].map(failureCode);
    for (const code of await Promise.all(failing)) assert.is(code, "ERR_INVALID_ARG_TYPE");
    // Neither has the time limit of the refused call.
    await io.sleep(2);
    const waiting = listener.accept();
    const another = await io.connect(listener.address);
    assert.is((await waiting).remoteAddress!.port, another.localAddress!.port);
  });

  suite.test("options that throw reject the call, and nothing else", async (trial) => {
    const { io, client } = await connected(trial);
    const problem = new Error("of the caller");
    const options = {
      timeoutMs: 0.001,
      get signal(): AbortSignal {
        throw problem;
      },
    };
    const before = io.stats().inFlight;
    const failing = [client.receive(new Uint8Array(1), options), io.nop(options)];
    for (const result of await Promise.allSettled(failing)) {
      assert.is(result.status === "rejected" && result.reason, problem);
    }
    assert.is(io.stats().inFlight, before);
    await io.sleep(2);
  });

  suite.test("null means that an option is absent", async (trial) => {
    const { io, client, served } = await connected(trial);
    await io.sleep(2, { timeoutMs: null, signal: null });
    assert.is(await io.nop(null), 0);
    await client.send(Buffer.from("x"), { zeroCopy: null });
    assert.is(await served.receive(new Uint8Array(1), null), 1);
    writeFileSync(trial.path(), "abcdefgh");
    const file = await io.openFile(trial.path(), { write: null, mode: null });
    const [first, second] = [new Uint8Array(4), new Uint8Array(4)];
    // As in Node: from the current position.
    assert.is(await file.read(first, null), 4);
    assert.is(await file.read(second, null), 4);
    assert.is(Buffer.concat([first, second]).toString(), "abcdefgh");
  });

  suite.test(
    "one signal for many operations ends all of them, without a warning",
    async (trial) => {
      const { io, served, listener } = await connected(trial);
      const warnings: Error[] = [];
      // Objects of other tests can become garbage at any moment, and are named then.
      const onWarning = (warning: Error & { code?: string }): void => {
        if (warning.code !== "IO_FORGOTTEN") warnings.push(warning);
      };
      process.on("warning", onWarning);
      trial.defer(() => process.off("warning", onWarning));
      const { signal, abort } = controller();
      const sleeping = Array.from({ length: 50 }, () => io.sleep(1_000_000, { signal }));
      const receiving = served.chunks({ signal }).next();
      const accepting = Array.from({ length: 20 }, () => listener.accept({ signal }));
      await roundTrips(io);
      abort();
      for (const result of await Promise.allSettled([...sleeping, receiving, ...accepting])) {
        assert.is(result.status === "rejected" && result.reason.code, "ABORT_ERR");
      }
      await roundTrips(io);
      assert.equal(warnings, []);
    },
  );
}

function controller(): { signal: AbortSignal; abort(): void } {
  const made = new AbortController();
  return { signal: made.signal, abort: () => made.abort() };
}

function registerText(suite: Suite): void {
  suite.test("text is sent and written as UTF-8", async (trial) => {
    const { io, client, served } = await connected(trial);
    const buffer = new Uint8Array(64);
    await client.sendAll("hällo");
    assert.is(await client.send("2"), 1);
    const { sent, released } = client.sendZeroCopy("3");
    assert.is(await sent, 1);
    await released;
    const count = await served.receiveFull(buffer.subarray(0, 8));
    assert.is(Buffer.from(buffer.subarray(0, count)).toString(), "hällo23");
    const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
    await file.writeAll("ä", 0);
    assert.is(await file.write("b", 2), 1);
    await io.chain([file.prepareWrite("c", 3), file.prepareSync("data")]);
    assert.is(readFileSync(trial.path(), "utf8"), "äbc");
    const near = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    assert.is(await near.sendTo("ä", near.localAddress), 2);
    assert.is((await near.receive(buffer)).byteLength, 2);
  });

  suite.test("a number that is no descriptor is EBADF in every verb", async (trial) => {
    const io = await trial.open();
    const result = await outcome(io, (completion, callback) =>
      io.ring.read(completion, callback, -1, new Uint8Array(1), 0),
    );
    assert.is(result, negative("EBADF"));
  });
}

/** What a message says of the cause, by the code that the system gives. */
const CAUSES: Readonly<Record<string, RegExp>> = {
  EPIPE: /its peer has closed it, or shutdown\("send"\) was called/,
  EDESTADDRREQ: /the socket is not connected: name the receiver by sendTo\(\)/,
  ENOTCONN: /the socket is not connected: it never was, or the connection has ended/,
  EINVAL: /the new path lies inside the old one|the socket has an address already/,
};

function registerCauses(suite: Suite): void {
  suite.test(
    "the message of a system error tells the true cause, and who it was about",
    async (trial) => {
      const { io, client } = await connected(trial);
      const udp = await io.openDatagram({ host: "127.0.0.1", port: 0 });
      const unix = await io.openDatagram({ family: "unix" });
      await io.mkdir(trial.path("folder"));
      await client.shutdown("send");
      const rows: [call: () => Promise<unknown>, about: string][] = [
        [() => client.send("x"), `send to '127.0.0.1:${client.remoteAddress!.port}' failed`],
        [() => client.sendAll("x"), `send to '127.0.0.1:${client.remoteAddress!.port}' failed`],
        [() => udp.send("x"), "send failed"],
        [() => unix.send("x"), "send failed"],
        [() => udp.bind({ host: "127.0.0.1", port: 0 }), "bind of '127.0.0.1:0' failed"],
        [() => io.rename(trial.path("folder"), trial.path("folder/below")), "rename of '"],
      ];
      for (const [call, about] of rows) {
        const { code, message } = await failure(call());
        assert.ok(message.startsWith(about), message);
        assert.match(message, CAUSES[code] ?? new RegExp(`no cause is known of ${code}`));
      }
    },
  );
}

export function registerWords(suite: Suite): void {
  registerCauses(suite);
  registerAccess(suite);
  registerTaken(suite);
  registerMessages(suite);
  registerMade(suite);
  registerNames(suite);
  registerPaths(suite);
  registerUnusualNames(suite);
  registerSignals(suite);
  registerText(suite);
}
