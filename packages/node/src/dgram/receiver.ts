// What comes to a datagram socket: one receive that goes on, into buffers that all sockets share.

import { constants } from "node:os";
import {
  type BufferGroup,
  type Descriptor,
  type IO,
  MultishotCompletion,
  SocketAddress,
} from "@io/core";
import { type Environment, environmentOf } from "../engine/environment.js";

/** Who sent a datagram. */
export interface RemoteInfo {
  /** Its IP address. */
  address: string;
  /** The family of the address. */
  family: "IPv4" | "IPv6";
  /** Its port. */
  port: number;
  /** How many bytes it has. */
  size: number;
}

/** No UDP datagram is longer. */
const BUFFER_BYTES = 64 * 1024;
// Of a buffer a short datagram touches the first page alone.
const MAX_BYTES = 16 * 1024 * 1024;

const NO_BUFFERS = -constants.errno.ENOBUFS;

const groups = new WeakMap<IO, BufferGroup>();

function groupOf(io: IO): BufferGroup {
  let group = groups.get(io);
  if (group === undefined) {
    const options = { bufferBytes: BUFFER_BYTES, maxBytes: MAX_BYTES, messages: true };
    group = io.ring.bufferGroup(options);
    groups.set(io, group);
  }
  return group;
}

const sender = new SocketAddress();

/** Hands on what comes until it is stopped. */
export class Receiver {
  readonly #io: IO;
  readonly #descriptor: Descriptor;
  readonly #group: BufferGroup;
  readonly #environment: Environment;
  readonly #completion = new MultishotCompletion();
  readonly #onMessage: (message: Buffer, from: RemoteInfo) => void;
  readonly #onError: (errno: number) => void;
  #isStopped = false;

  constructor(
    io: IO,
    descriptor: Descriptor,
    onMessage: (message: Buffer, from: RemoteInfo) => void,
    onError: (errno: number) => void,
  ) {
    this.#io = io;
    this.#descriptor = descriptor;
    this.#group = groupOf(io);
    this.#environment = environmentOf(io);
    this.#onMessage = onMessage;
    this.#onError = onError;
  }

  start(): void {
    const { ring } = this.#io;
    ring.receiveMessageMultishot(this.#completion, this.#take, this.#descriptor, this.#group);
  }

  /** What comes from now on is not handed on. */
  stop(): void {
    this.#isStopped = true;
  }

  readonly #take = (completion: MultishotCompletion, result: number): void => {
    const { bufferId, offset, active } = completion;
    if (result < 0) this.#fail(result, active);
    else this.#receive(bufferId, offset, result, active);
  };

  // A listener may throw, and may close the socket: all else is done before it is called.
  #receive(bufferId: number, offset: number, length: number, isActive: boolean): void {
    const group = this.#group;
    const message = this.#environment.copyOf(group.view(bufferId, offset, length));
    const { address } = group.sender(bufferId, sender);
    group.release(bufferId);
    if (this.#isStopped) return;
    if (!isActive) this.start();
    if (address === null || address.family === "unix") return;
    const { host, port } = address;
    const family = address.family === "ipv4" ? "IPv4" : "IPv6";
    this.#onMessage(message, { address: host, family, port, size: length });
  }

  #fail(errno: number, isActive: boolean): void {
    if (this.#isStopped) return;
    if (errno === NO_BUFFERS) {
      // More have come than there are buffers; those of earlier ones are free in a moment.
      this.#group.whenAvailable(() => {
        if (!this.#isStopped) this.start();
      });
      return;
    }
    if (!isActive) this.start();
    this.#onError(errno);
  }
}
