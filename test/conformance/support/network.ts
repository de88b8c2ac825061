// Connected sockets of every family, for the tests of both layers.

import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket as NodeSocket } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import type {
  Address,
  ConnectOptions,
  Descriptor,
  IO,
  IOOptions,
  Listener,
  ListenOptions,
  Socket,
  UnixAddress,
} from "@io/core";
import * as assert from "uvu/assert";
import { isBsdHere } from "../../support/system.js";
import type { Trial } from "./harness.js";
import { Started, success, until } from "./verbs.js";

/** One way to reach another socket on this machine. */
export interface Family {
  readonly name: string;
  readonly family: Address["family"];
  /** Why it is not available here, or null. */
  readonly missing: string | null;
  listening(trial: Trial): ListenOptions;
  /** The error of a connect when the listener was closed: the file of a path goes with it. */
  readonly gone: "ECONNREFUSED" | "ENOENT" | "ECONNRESET";
}

const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((one) => one?.address === "::1");

const MODULES = "/proc/modules";

/**
 * Why no test may connect over vsock here, or null. Without this module a connection to the cid 1
 * would leave a machine that is a virtual one, for its host.
 */
export function whyNoLoopback(): string | null {
  if (isBsdHere()) return "only Linux connects a machine to itself over vsock";
  // A kernel without modules has no such file.
  const modules = existsSync(MODULES) ? readFileSync(MODULES, "utf8") : "";
  const isThere = /^vsock_loopback .* Live /m.test(modules);
  return isThere ? null : `the module vsock_loopback is not in ${MODULES}`;
}

let abstractNames = 0;

export const FAMILIES: readonly Family[] = [
  {
    name: "TCP over IPv4",
    family: "ipv4",
    missing: null,
    listening: () => ({ host: "127.0.0.1", port: 0 }),
    gone: "ECONNREFUSED",
  },
  {
    name: "TCP over IPv6",
    family: "ipv6",
    missing: hasIpv6 ? null : "no interface has the address ::1",
    listening: () => ({ host: "::1", port: 0 }),
    gone: "ECONNREFUSED",
  },
  {
    name: "a unix path",
    family: "unix",
    missing: null,
    listening: (trial) => ({ path: trial.path(`socket-${abstractNames++}`) }),
    gone: "ENOENT",
  },
  {
    name: "an abstract unix name",
    family: "unix",
    missing: isBsdHere() ? "only Linux has abstract names" : null,
    listening: () => ({ path: `\0io-conformance-${process.pid}-${abstractNames++}` }),
    gone: "ECONNREFUSED",
  },
  {
    name: "vsock",
    family: "vsock",
    missing: whyNoLoopback(),
    listening: () => ({ cid: "local", port: "any" }),
    gone: "ECONNRESET",
  },
];

export interface Pair {
  readonly io: IO;
  readonly listener: Listener;
  readonly client: Socket;
  readonly served: Socket;
}

/** A connection between two sockets of one new IO. */
export async function connected(
  trial: Trial,
  family: Family = FAMILIES[0] as Family,
  options: IOOptions = {},
): Promise<Pair> {
  const io = await trial.open(options);
  const listener = await io.listen(family.listening(trial));
  const [client, served] = await connectTo(io, listener);
  return { io, listener, client, served };
}

export interface NodePair {
  readonly io: IO;
  readonly peer: NodeSocket;
  readonly socket: Socket;
}

/** A connection whose other end is Node's, which can reset it on every system. */
export async function connectedToNode(trial: Trial): Promise<NodePair> {
  const io = await trial.open();
  const listener = await io.listen({ host: "127.0.0.1", port: 0 });
  const peer = connect(listener.address.port, "127.0.0.1");
  peer.on("error", () => undefined); // of later sends
  trial.defer(() => peer.destroy());
  const socket = await listener.accept();
  await once(peer, "connect");
  return { io, peer, socket };
}

export function targetOf(address: Address): ConnectOptions {
  if (address.family === "unix") return { path: address.path };
  if (address.family === "vsock") return { cid: address.cid, port: address.port };
  return { host: address.host, port: address.port };
}

export async function connectTo(io: IO, listener: Listener): Promise<[Socket, Socket]> {
  return Promise.all([io.connect(targetOf(listener.address)), listener.accept()]);
}

let names = 0;

let folder = "";

/** A path in a folder of this process, which goes with it. */
function pathOfProcess(name: string): string {
  if (folder === "") {
    folder = mkdtempSync(join(tmpdir(), "io-conformance-"));
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  }
  return join(folder, name);
}

/** A unix address of its own: a path of the trial, or an abstract one where there are. */
export function unixAddress(trial?: Trial): UnixAddress {
  const name = `io-conformance-ring-${process.pid}-${names++}`;
  const unnamed = isBsdHere() ? pathOfProcess(name) : `\0${name}`;
  return { family: "unix", path: trial?.path(name) ?? unnamed };
}

/** A bound and listening descriptor, by the verbs of the ring. */
export async function listeningDescriptor(io: IO, address: Address): Promise<Descriptor> {
  const descriptor = await success(io, (completion, callback) =>
    io.ring.socket(completion, callback, address.family),
  );
  await success(io, (completion, callback) =>
    io.ring.bind(completion, callback, descriptor, address),
  );
  await success(io, (completion, callback) => io.ring.listen(completion, callback, descriptor, 16));
  return descriptor;
}

/** Two connected stream sockets, by the verbs of the ring. */
export async function pairOfDescriptors(
  io: IO,
  address: Address = unixAddress(),
): Promise<{ listening: Descriptor; near: Descriptor; far: Descriptor }> {
  const listening = await listeningDescriptor(io, address);
  const accept = new Started((completion, callback) =>
    io.ring.accept(completion, callback, listening),
  );
  const near = await success(io, (completion, callback) =>
    io.ring.socket(completion, callback, address.family),
  );
  await success(io, (completion, callback) => io.ring.connect(completion, callback, near, address));
  await until(io, () => accept.done, "the accept");
  assert.ok(accept.result >= 0, `accept completed with ${accept.result}`);
  return { listening, near, far: accept.result };
}
