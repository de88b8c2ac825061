// The stacks of errors: they name the functions of the program that wait, and none of the library.

import { mkdirSync, writeFileSync } from "node:fs";
import type {
  ChunkStream,
  DatagramSocket,
  File,
  IO,
  IOError,
  Listener,
  OperationOptions,
  Socket,
} from "@io/core";
import * as assert from "uvu/assert";
import type { Suite, Trial } from "../support/harness.js";
import { connected } from "../support/network.js";
import { failure, turn, until } from "../support/verbs.js";

interface Things {
  readonly io: IO;
  readonly folder: File;
  readonly file: File;
  readonly client: Socket;
  readonly served: Socket;
  readonly datagrams: DatagramSocket;
  readonly listener: Listener;
  readonly path: (name: string) => string;
}

type Call = (things: Things) => Promise<unknown>;

/** The methods of a class that give a promise, but for those whose only failure is the system's. */
type Promising<T> = {
  [K in keyof T]: T[K] extends (...given: never[]) => Promise<unknown> ? K : never;
}[keyof T] &
  string;
type Never = "close" | "reset" | "return" | "cancelAll" | "available" | "adopt";
type Rows<T> = { readonly [K in Exclude<Promising<T>, Never>]: Call };

const NOWHERE = "/nowhere/at/all";
const LIMIT = { timeoutMs: 0 };
const ABORTED = (): OperationOptions => ({ signal: AbortSignal.timeout(2) });
const bytes = (): Uint8Array => new Uint8Array(8);
const tooLong = "x".repeat(300);

const OF_IO: Rows<IO> = {
  openFile: ({ io }) => io.openFile(NOWHERE),
  copyFile: ({ io }) => io.copyFile(NOWHERE, NOWHERE),
  stat: ({ io }) => io.stat(NOWHERE),
  rename: ({ io }) => io.rename(NOWHERE, NOWHERE),
  link: ({ io }) => io.link(NOWHERE, NOWHERE),
  symlink: ({ io }) => io.symlink("target", NOWHERE),
  readlink: ({ io }) => io.readlink(NOWHERE),
  unlink: ({ io }) => io.unlink(NOWHERE),
  mkdir: ({ io }) => io.mkdir(NOWHERE),
  listen: ({ io, listener }) => io.listen({ port: listener.address.port as number }),
  connect: ({ io, path }) => io.connect({ path: path("none") }),
  openDatagram: ({ io, datagrams }) => {
    return io.openDatagram({ host: "127.0.0.1", port: datagrams.localAddress?.port as number });
  },
  waitProcess: ({ io }) => io.waitProcess(0x7fffffff),
  poll: ({ io }) => io.poll(0x7fffffff, "readable"),
  openDirectory: ({ io, path }) => io.openDirectory(path("none")),
  readdir: ({ io, path }) => io.readdir(path("none")),
  mkdtemp: ({ io, path }) => io.mkdtemp(path("none/below")),
  rm: ({ io, path }) => io.rm(path("none")),
  statfs: ({ io, path }) => io.statfs(path("none")),
  realpath: ({ io, path }) => io.realpath(path("none")),
  chmod: ({ io, path }) => io.chmod(path("none"), 0),
  chown: ({ io, path }) => io.chown(path("none"), -1, -1),
  utimes: ({ io, path }) => io.utimes(path("none"), 0, 0),
  access: ({ io, path }) => io.access(path("none")),
  exists: ({ io, path }) => io.exists(path("file/below/none"), { signal: AbortSignal.abort() }),
  watch: ({ io, path }) => io.watch(path("none")),
  getXattr: ({ io, path }) => io.getXattr(path("none"), "user.none"),
  setXattr: ({ io, path }) => io.setXattr(path("none"), "user.none", ""),
  listXattr: ({ io, path }) => io.listXattr(path("none")),
  removeXattr: ({ io, path }) => io.removeXattr(path("none"), "user.none"),
  cp: ({ io, path }) => io.cp(path("none"), path("to")),
  nop: ({ io }) => io.nop({ signal: AbortSignal.abort() }),
  sleep: ({ io }) => io.sleep(1000, LIMIT),
  chain: ({ io, folder }) => io.chain([folder.prepareRead(bytes(), 0)]),
};

const OF_FILES: Rows<File> = {
  advise: ({ file }) => file.advise("normal", { signal: AbortSignal.abort() }),
  syncRange: ({ file }) => file.syncRange({ signal: AbortSignal.abort() }),
  chmod: ({ file }) => file.chmod(0o600, { signal: AbortSignal.abort() }),
  chown: ({ file }) => file.chown(-1, -1, { signal: AbortSignal.abort() }),
  utimes: ({ file }) => file.utimes(0, 0, { signal: AbortSignal.abort() }),
  getXattr: ({ file }) => file.getXattr("user.none"),
  setXattr: ({ file }) => file.setXattr("none", "", { signal: AbortSignal.abort() }),
  listXattr: ({ file }) => file.listXattr({ signal: AbortSignal.abort() }),
  removeXattr: ({ file }) => file.removeXattr("user.none"),
  copyRange: ({ file, folder }) => file.copyRange(folder),
  reflink: ({ file, folder }) => file.reflink(folder),
  statfs: ({ file }) => file.statfs({ signal: AbortSignal.abort() }),
  link: ({ file }) => file.link(NOWHERE),
  read: ({ folder }) => folder.read(bytes(), 0),
  readFull: ({ folder }) => folder.readFull(bytes(), 0),
  readVectored: ({ folder }) => folder.readVectored([bytes()], 0),
  write: ({ file }) => file.write(bytes(), 0),
  writeAll: ({ file }) => file.writeAll(bytes(), 0),
  writeVectored: ({ file }) => file.writeVectored([bytes()], 0),
  allocate: ({ file }) => file.allocate(0, 0),
  truncate: ({ file }) => file.truncate(1),
  lock: ({ file }) => file.lock({ signal: AbortSignal.abort() }),
  unlock: ({ file }) => file.unlock({ signal: AbortSignal.abort() }),
  detach: async ({ file }) => {
    await file.close();
    await file.detach();
  },
  stat: ({ file }) => file.stat({ signal: AbortSignal.abort() }),
  sync: ({ file }) => file.sync("full", { signal: AbortSignal.abort() }),
};

const OF_SOCKETS: Rows<Socket> = {
  detach: async ({ client }) => {
    await client.close();
    await client.detach();
  },
  sendDescriptors: ({ client }) => client.sendDescriptors("x", [0x7fffffff]),
  receiveDescriptors: ({ client }) => client.receiveDescriptors(bytes(), LIMIT),
  receive: ({ client }) => client.receive(bytes(), LIMIT),
  receiveFull: ({ client }) => client.receiveFull(bytes(), LIMIT),
  receiveVectored: ({ client }) => client.receiveVectored([bytes()], LIMIT),
  peek: ({ client }) => client.peek(bytes(), LIMIT),
  pipeTo: ({ client, served }) => client.pipeTo(served, { maxBytes: 1, timeoutMs: 1 }),
  send: async ({ client }) => {
    await client.shutdown("send");
    await client.send(bytes());
  },
  sendAll: ({ client }) => client.sendAll(new Uint8Array(64 * 1024 * 1024), { timeoutMs: 5 }),
  sendVectored: async ({ client }) => {
    await client.shutdown("send");
    await client.sendVectored([bytes()]);
  },
  sendFile: ({ client, folder }) => client.sendFile(folder),
  shutdown: ({ client }) => client.shutdown("both", { signal: AbortSignal.abort() }),
};

const OF_DATAGRAMS: Rows<DatagramSocket> = {
  detach: async ({ datagrams }) => {
    await datagrams.close();
    await datagrams.detach();
  },
  sendDescriptors: ({ datagrams }) => datagrams.sendDescriptors("x", [0x7fffffff]),
  receiveDescriptors: ({ datagrams }) => datagrams.receiveDescriptors(bytes(), LIMIT),
  receive: ({ datagrams }) => datagrams.receive(bytes(), LIMIT),
  send: ({ datagrams }) => datagrams.send(bytes()),
  sendVectored: ({ datagrams }) => datagrams.sendVectored([bytes()]),
  peek: ({ datagrams }) => datagrams.peek(bytes(), LIMIT),
  receiveMessage: ({ datagrams }) => datagrams.receiveMessage(bytes(), LIMIT),
  sendMany: ({ datagrams }) => datagrams.sendMany([bytes()]),
  sendTo: ({ datagrams, listener }) => {
    const port = listener.address.port as number;
    return datagrams.sendTo(new Uint8Array(70_000), { host: "127.0.0.1", port });
  },
  bind: ({ datagrams }) => datagrams.bind({ port: 0 }),
  connect: ({ datagrams }) => datagrams.connect({ path: "/nowhere" }),
  disconnect: ({ datagrams }) => datagrams.disconnect({ signal: AbortSignal.abort() }),
};

const OF_OTHERS: Rows<Listener> & Pick<Rows<ChunkStream>, "next"> & Record<string, Call> = {
  accept: ({ listener }) => listener.accept(LIMIT),
  detach: async ({ listener }) => {
    await listener.close();
    await listener.detach();
  },
  next: ({ served }) => served.chunks({ timeoutMs: 1 }).next(),
  "readLine of a reader": ({ client }) => client.reader().readLine(LIMIT),
  "accept, aborted": ({ listener }) => listener.accept(ABORTED()),
  "sleep, aborted": ({ io }) => io.sleep(1000, ABORTED()),
  "receive, aborted": ({ client }) => client.receive(bytes(), ABORTED()),
  "chain, aborted": ({ io, folder }) => {
    return io.chain([folder.prepareRead(bytes(), 0)], { signal: AbortSignal.abort() });
  },
  "next, aborted": ({ served }) => served.chunks(ABORTED()).next(),
  "a loop over chunks": async ({ served }) => {
    for await (const chunk of served.chunks({ timeoutMs: 1 })) chunk.release();
  },
  "a loop over a socket": async ({ served, client }) => {
    await client.sendAll("x");
    for await (const received of served) await client.receive(received, LIMIT);
  },
  "sendZeroCopy().sent": async ({ client }) => {
    await client.shutdown("send");
    await client.sendZeroCopy(bytes()).sent;
  },
  "connect to a name": ({ io }) => io.connect({ host: tooLong, port: 1 }),
  "listen at a name": ({ io }) => io.listen({ host: tooLong, port: 1 }),
  "connect while a name is looked up": ({ io }) => {
    return io.connect({ host: "slow.test", port: 1, timeoutMs: 1, lookup: () => undefined });
  },
  "listen while a name is looked up": ({ io }) => {
    return io.listen({ host: "slow.test", port: 1, timeoutMs: 1, lookup: () => undefined });
  },
  "a wrong argument": ({ client }) => client.receive("text" as unknown as Uint8Array),
  "a wrong option": ({ client }) => client.receiveFull(bytes(), { timeout: 1 } as object),
  "a wrong place": ({ file }) => file.readFull(bytes(), -1),
};

const ALL: readonly (readonly [string, Readonly<Record<string, Call>>])[] = [
  ["io", OF_IO],
  ["file", OF_FILES],
  ["socket", OF_SOCKETS],
  ["datagrams", OF_DATAGRAMS],
  ["others", OF_OTHERS],
];

async function things(trial: Trial, call: string): Promise<Things> {
  const { io, client, served, listener } = await connected(trial);
  const path = (name: string): string => trial.path(`${call} ${name}`);
  mkdirSync(path("folder"));
  writeFileSync(path("file"), "content");
  return {
    io,
    client,
    served,
    listener,
    folder: await io.openFile(path("folder")),
    file: await io.openFile(path("file")),
    datagrams: await io.openDatagram({ host: "127.0.0.1", port: 0 }),
    path,
  };
}

async function innermost(call: Call, given: Things): Promise<void> {
  await call(given);
}

async function outermost(call: Call, given: Things): Promise<void> {
  await innermost(call, given);
}

/** What is wrong with the stack of an error; nothing, mostly. */
function faultOf({ stack, message, name }: IOError): string | undefined {
  const lines = String(stack).split("\n");
  const heading = `${name}: ${message}`.split("\n")[0];
  if (lines[0] !== heading) return `begins with ${lines[0]}`;
  const own = lines.find((line) => /library\.cjs|packages\/core/.test(line));
  if (own !== undefined) return `has our frame ${own.trim()}`;
  for (const caller of ["innermost", "outermost"]) {
    if (!new RegExp(`at (async )?${caller} .*stacks`).test(String(stack))) {
      return `does not name ${caller}: ${lines.slice(1).join(" ")}`;
    }
  }
  return undefined;
}

export function stacks(suite: Suite): void {
  for (const [topic, calls] of ALL) {
    suite.test(`${topic}: stacks name those who wait, and nothing of ours`, async (trial) => {
      const wrong: string[] = [];
      for (const [name, call] of Object.entries(calls)) {
        const given = await things(trial, name);
        const fault = faultOf(await failure(outermost(call, given)));
        if (fault !== undefined) wrong.push(`${topic}.${name}: ${fault}`);
      }
      assert.is(wrong.join("\n"), "");
    });
  }

  suite.test("a stack may be written, and its length is the program's", async (trial) => {
    const io = await trial.open();
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 1;
    trial.defer(() => {
      Error.stackTraceLimit = limit;
    });
    const short = await failure(outermost(() => io.stat(NOWHERE), {} as Things));
    assert.is(String(short.stack).split("\n").length, 2);
    assert.is(Object.keys(short).includes("stack"), false);
    const error = await failure(io.stat(NOWHERE));
    error.stack = "another";
    assert.is(error.stack, "another");
    assert.is(structuredClone(short).stack, short.stack);
  });

  suite.test("a failure without a handler is an unhandled rejection, once", async (trial) => {
    const io = await trial.open();
    const seen: unknown[] = [];
    const record = (error: unknown): void => void seen.push((error as IOError).code);
    process.on("unhandledRejection", record);
    trial.defer(() => process.off("unhandledRejection", record));
    void io.stat(NOWHERE);
    await until(io, () => seen.length > 0, "the rejection");
    await turn();
    assert.equal(seen, ["ENOENT"]);
  });
}
