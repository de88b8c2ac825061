// Programs that tests run in a network namespace of their own. In that of `waiting.ts` datagrams to
// an address stay in the queue of a device: so the sends of UDP find their socket full, as they
// never do on loopback. Called with the name of a program and of a backend; prints its findings as
// JSON.

import { execFileSync } from "node:child_process";
import { type BackendName, type DatagramSocket, IO, type IOError, type ZeroCopy } from "@io/core";
import { roundTrips, until, Watched } from "../support/verbs.js";

/** More than the engine hands to the kernel at once, so that some are parked. */
const COUNT = 100;
const TARGET = { host: "10.77.0.2", port: 9 };

interface Sends {
  readonly io: IO;
  readonly socket: DatagramSocket;
  readonly sends: Watched<number>[];
  readonly controllers: AbortController[];
}

function say(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "no error";
  } catch (error) {
    return (error as IOError).code;
  }
}

/** What was queued is dropped, and what is sent from now on too: the sockets have room again. */
function letGo(): void {
  execFileSync("tc", ["qdisc", "del", "dev", "sink0", "root"], { stdio: "inherit" });
}

async function connected(backend: BackendName): Promise<[IO, DatagramSocket]> {
  const io = await IO.open({ backend });
  const socket = await io.openDatagram({ family: "ipv4", sendBufferBytes: 8192 });
  await socket.connect(TARGET);
  return [io, socket];
}

/** Starts more sends than there is room for. */
async function fill(backend: BackendName, zeroCopy: ZeroCopy = "never"): Promise<Sends> {
  const [io, socket] = await connected(backend);
  const controllers = Array.from({ length: COUNT }, () => new AbortController());
  const sends = controllers.map(({ signal }) => {
    const { sent, released } = socket.sendZeroCopy(new Uint8Array(1000), { zeroCopy, signal });
    void released;
    return new Watched(sent);
  });
  await roundTrips(io);
  return { io, socket, sends, controllers };
}

function states(sends: Watched<unknown>[]): string {
  return sends.map(({ state }) => state[0]).join("");
}

/** The code of a send that is aborted, which waits in the kernel or is parked. */
async function abort({ sends, controllers }: Sends, index: number): Promise<string> {
  controllers[index]?.abort();
  return codeOf((sends[index] as Watched<number>).promise);
}

const programs: Record<string, (backend: BackendName) => Promise<void>> = {
  /** What has room goes in order; the rest waits and goes on when there is room. */
  order: async (backend) => {
    const { io, sends } = await fill(backend);
    const before = states(sends);
    letGo();
    await until(io, () => !states(sends).includes("p"), "all are sent");
    say({ before, after: states(sends), inFlight: io.stats().inFlight });
    await io.close();
  },

  /** Single ones end by their signal or their time limit, and the others stay. */
  single: async (backend) => {
    const all = await fill(backend);
    const { io, socket, sends } = all;
    const waiting = states(sends).indexOf("p");
    const codes = [await abort(all, waiting), await abort(all, waiting + 1)];
    codes.push(await abort(all, COUNT - 1));
    codes.push(await codeOf(socket.send(new Uint8Array(10), { timeoutMs: 5 })));
    const after = states(sends);
    const others = after.slice(waiting + 2, COUNT - 1);
    letGo();
    await until(io, () => !states(sends).includes("p"), "all are sent");
    say({ codes, others: [...new Set(others)].join(""), inFlight: io.stats().inFlight });
    await io.close();
  },

  /** A time limit counts for those in the kernel too. */
  late: async (backend) => {
    const [io, socket] = await connected(backend);
    const codes = await Promise.all(
      Array.from({ length: COUNT }, () =>
        codeOf(socket.send(new Uint8Array(1000), { timeoutMs: 10 })),
      ),
    );
    say({ codes: [...new Set(codes)].sort(), last: codes.at(-1), inFlight: io.stats().inFlight });
    await io.close();
  },

  /** All of a socket, or of the IO, are ended. */
  cancelAll: (backend) => endAll(backend, ({ io }) => io.cancelAll()),
  close: (backend) => endAll(backend, ({ socket }) => socket.close()),
  closeIO: (backend) => endAll(backend, ({ io }) => io.close()),

  /** Over loopback: when memory may be held, when none may be, and when it may be again. */
  locked: async (backend) => {
    const io = await IO.open({ backend });
    const far = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    const near = await io.openDatagram({ family: "ipv4" });
    // BSD's sockets hold a few thousand bytes at first.
    near.setOptions({ sendBufferBytes: 65_536 });
    far.setOptions({ receiveBufferBytes: 262_144 });
    await near.connect(far.localAddress);
    const data = Uint8Array.from({ length: 60_000 }, (_, index) => index);
    const send = async (): Promise<unknown[]> => {
      const count = await near.send(data, { zeroCopy: "always" });
      const got = new Uint8Array(60_000);
      await far.receive(got);
      return [...counts(near), count, Buffer.compare(data, got)];
    };
    const inherited = prlimit("--memlock", "--output=SOFT", "--noheadings", "--raw").trim();
    const allowed = await send();
    prlimit("--memlock=0:");
    const forbidden = await send();
    prlimit(`--memlock=${inherited}:`);
    say([allowed, forbidden, await send()]);
    await io.close();
  },

  /** Sent without a copy: what is in the queue of the device is not released. */
  unreleased: async (backend) => {
    const [io, socket] = await connected(backend);
    // The queue lets out the first one.
    await socket.send(new Uint8Array(1000));
    const { sent, released } = socket.sendZeroCopy(new Uint8Array(1000), { zeroCopy: "always" });
    const memory = new Watched(released);
    const count = await sent;
    await roundTrips(io);
    const before = memory.state;
    await socket.close();
    await roundTrips(io);
    const closed = memory.state;
    letGo();
    await memory.promise;
    say({ count, before, closed, inFlight: io.stats().inFlight });
    await io.close();
  },
};

/** Asks for a limit of this process, or sets it. */
function prlimit(...words: string[]): string {
  return execFileSync("prlimit", [`--pid=${process.pid}`, ...words], { encoding: "utf8" });
}

/** How many went without a copy, and how many fell back. */
function counts(socket: DatagramSocket): number[] {
  const { zeroCopySends, zeroCopyFallenBack } = socket.stats();
  return [zeroCopySends, zeroCopyFallenBack];
}

async function endAll(backend: BackendName, end: (sends: Sends) => Promise<unknown>) {
  const all = await fill(backend);
  await end(all);
  const waiting = all.sends.filter(({ state }) => state !== "resolved");
  const codes = await Promise.all(waiting.map(({ promise }) => codeOf(promise)));
  say({ codes: [...new Set(codes)], some: waiting.length > 64 });
  await all.io.close();
}

const [, , name = "", backend = ""] = process.argv;
await programs[name]?.(backend as BackendName);
