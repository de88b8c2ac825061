// An echo server with @io/core: on the ring with callbacks in a loop of its own, or with the
// promises of Listener and Socket in Node's event loop.
//
// Usage: echo_ours <callback|promise> [backend]

import { type BackendName, Completion, IO, type Ring, type Socket } from "@io/core";
import { printLine } from "../contender.js";
import { settle } from "../settle.js";

const backend = (process.argv[3] ?? "auto") as BackendName | "auto";
const bufferBytes = 16_384;
const connectionsLimit = 1024;
const listenOptions = { host: "127.0.0.1", port: 0, backlog: 1024 };

/** One connection, which has one operation in flight: a receive, or the send that answers it. */
class Connection extends Completion {
  readonly descriptor: number;
  readonly buffer: Uint8Array;
  /** What was received, and what of it is not sent yet. */
  unsent: Uint8Array;

  constructor(descriptor: number, buffer: Uint8Array) {
    super();
    this.descriptor = descriptor;
    this.buffer = buffer;
    this.unsent = buffer;
  }
}

/**
 * The buffers of the connections, cut from one block. They are not a power of two apart, as pages
 * would be: their beginnings would then compete for the same few lines of the processor's cache.
 */
class ConnectionBuffers {
  readonly #free: Uint8Array[];

  constructor(io: IO) {
    const strideBytes = bufferBytes + 192;
    const block = io.buffers.acquire(connectionsLimit * strideBytes);
    this.#free = Array.from({ length: connectionsLimit }, (_, index) =>
      block.subarray(index * strideBytes, index * strideBytes + bufferBytes),
    );
  }

  take(): Uint8Array {
    const buffer = this.#free.pop();
    if (buffer) return buffer;
    throw new Error(`There are more than ${connectionsLimit} connections.`);
  }

  release(buffer: Uint8Array): void {
    this.#free.push(buffer);
  }
}

class CallbackServer {
  readonly #ring: Ring;
  readonly #buffers: ConnectionBuffers;

  constructor(io: IO) {
    this.#ring = io.ring;
    this.#buffers = new ConnectionBuffers(io);
  }

  accept(listener: number): void {
    this.#ring.acceptMultishot(
      new Completion(),
      (_completion, result) => {
        if (result < 0) throw new Error(`accept gave ${result}`);
        this.#receive(new Connection(result, this.#buffers.take()));
      },
      listener,
    );
  }

  #receive(connection: Connection): void {
    this.#ring.receive(connection, this.#onReceive, connection.descriptor, connection.buffer);
  }

  #send(connection: Connection): void {
    this.#ring.send(connection, this.#onSend, connection.descriptor, connection.unsent);
  }

  readonly #onReceive = (completion: Completion, result: number): void => {
    const connection = completion as Connection;
    if (result > 0) {
      // Messages often have the length of the last one, and a new view costs more than the rest.
      const { unsent, buffer } = connection;
      const same = unsent.byteLength === result && unsent.byteOffset === buffer.byteOffset;
      if (!same) connection.unsent = buffer.subarray(0, result);
      this.#send(connection);
    } else {
      this.#close(connection);
    }
  };

  readonly #onSend = (completion: Completion, result: number): void => {
    const connection = completion as Connection;
    if (result === connection.unsent.byteLength) {
      this.#receive(connection);
    } else if (result >= 0) {
      connection.unsent = connection.unsent.subarray(result);
      this.#send(connection);
    } else {
      this.#close(connection);
    }
  };

  #close(connection: Connection): void {
    this.#ring.close(
      connection,
      () => {
        this.#buffers.release(connection.buffer);
      },
      connection.descriptor,
    );
  }
}

async function serveCallbacks(): Promise<void> {
  const io = await IO.open({ backend, mode: "detached" });
  const listener = await settle(io, io.listen(listenOptions));
  new CallbackServer(io).accept(listener.descriptor);
  printLine(listener.address.port);
  io.run();
}

async function echo(socket: Socket, buffer: Uint8Array): Promise<void> {
  for (;;) {
    const receivedBytes = await socket.receive(buffer);
    if (receivedBytes === 0) break;
    await socket.sendAll(buffer.subarray(0, receivedBytes));
  }
}

async function servePromises(): Promise<void> {
  const io = await IO.open({ backend });
  const listener = await io.listen(listenOptions);
  printLine(listener.address.port);
  for await (const socket of listener) {
    const buffer = io.buffers.acquire(bufferBytes);
    // The load generator ends its connections in any way it likes.
    void echo(socket, buffer)
      .catch(() => undefined)
      .finally(() => socket.close().then(() => io.buffers.release(buffer)));
  }
}

await (process.argv[2] === "callback" ? serveCallbacks() : servePromises());
