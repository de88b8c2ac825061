// An echo server with @io/core that receives into provided buffers: on the ring with callbacks in
// a loop of its own, or with the promises of Socket in Node's event loop.
//
// Usage: echo_provided <callback|promise>

import { constants } from "node:os";
import {
  type BufferGroup,
  Completion,
  IO,
  MultishotCompletion,
  type Ring,
  type Socket,
} from "@io/core";
import { printLine } from "../contender.js";
import { settle } from "../settle.js";

const listenOptions = { host: "127.0.0.1", port: 0, backlog: 1024 };
const noBuffers = -constants.errno.ENOBUFS;

interface Provided {
  readonly bufferId: number;
  readonly view: Uint8Array;
}

/** One connection: receives forever, and sends what it received, one chunk after the other. */
class Connection extends MultishotCompletion {
  readonly descriptor: number;
  readonly sending = new Completion<Connection>(this);
  /** What is being sent, and what has come meanwhile. */
  sendingBuffer = -1;
  unsent: Uint8Array = new Uint8Array(0);
  readonly waiting: Provided[] = [];
  ended = false;

  constructor(descriptor: number) {
    super();
    this.descriptor = descriptor;
  }
}

class CallbackServer {
  readonly #ring: Ring;
  readonly #group: BufferGroup;

  constructor(io: IO) {
    this.#ring = io.ring;
    this.#group = io.ring.bufferGroup({ maxBytes: 64 * 1024 * 1024 });
  }

  accept(listener: number): void {
    this.#ring.acceptMultishot(
      new Completion(),
      (_completion, result) => {
        if (result < 0) throw new Error(`accept gave ${result}`);
        this.#receive(new Connection(result));
      },
      listener,
    );
  }

  #receive(connection: Connection): void {
    const { descriptor } = connection;
    this.#ring.receiveMultishot(connection, this.#onReceive, descriptor, this.#group);
  }

  readonly #onReceive = (completion: MultishotCompletion, result: number): void => {
    const connection = completion as Connection;
    if (result > 0) {
      const { bufferId, offset } = connection;
      const view = this.#group.view(bufferId, offset, result);
      if (connection.sendingBuffer === -1) this.#send(connection, bufferId, view);
      else connection.waiting.push({ bufferId, view });
      if (!connection.active) this.#receive(connection);
    } else if (result === noBuffers) {
      this.#group.whenAvailable(() => this.#receive(connection));
    } else {
      connection.ended = true;
      if (connection.sendingBuffer === -1) this.#close(connection);
    }
  };

  #send(connection: Connection, bufferId: number, view: Uint8Array): void {
    connection.sendingBuffer = bufferId;
    connection.unsent = view;
    this.#ring.send(connection.sending, this.#onSend, connection.descriptor, view);
  }

  readonly #onSend = (completion: Completion<Connection>, result: number): void => {
    const connection = completion.context;
    const { sendingBuffer, unsent } = connection;
    if (result >= 0 && result < unsent.byteLength) {
      this.#send(connection, sendingBuffer, unsent.subarray(result));
      return;
    }
    this.#group.release(sendingBuffer);
    connection.sendingBuffer = -1;
    const next = connection.waiting.length > 0 ? connection.waiting.shift() : undefined;
    if (next !== undefined) this.#send(connection, next.bufferId, next.view);
    else if (connection.ended) this.#close(connection);
  };

  #close(connection: Connection): void {
    this.#ring.close(new Completion(), () => undefined, connection.descriptor);
  }
}

async function serveCallbacks(): Promise<void> {
  const io = await IO.open({ mode: "detached" });
  const listener = await settle(io, io.listen(listenOptions));
  new CallbackServer(io).accept(listener.descriptor);
  printLine(listener.address.port);
  io.run();
}

async function echo(socket: Socket): Promise<void> {
  for await (using chunk of socket.chunks()) await socket.sendAll(chunk.bytes);
}

async function servePromises(): Promise<void> {
  const io = await IO.open();
  const listener = await io.listen(listenOptions);
  printLine(listener.address.port);
  for await (const socket of listener) {
    // The load generator ends its connections in any way it likes.
    void echo(socket)
      .catch(() => undefined)
      .finally(() => socket.close());
  }
}

await (process.argv[2] === "callback" ? serveCallbacks() : servePromises());
