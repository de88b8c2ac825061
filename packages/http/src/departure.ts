// Whether a client that has ended its side is still there. It may wait for its answer, or have
// closed the connection: both look the same, and nothing is received any more that would tell.
//
// What is sent to a client that has gone fails. While nothing is sent, the connection is looked at
// once a second: a reset, and a unix socket that was closed, show there. A TCP client that has
// closed answers the probes of its connection until its system has forgotten that one (a minute
// later on Linux), and then with a reset.

import { Completion, PollFlags, type Socket } from "@io/core";
import { codeOf } from "./errors.js";
import type { ServerCore } from "./server_core.js";
import { WheelEntry } from "./wheel.js";

const PROBES = { idleMs: 15_000, intervalMs: 15_000, count: 4 };

export class Departure extends WheelEntry {
  readonly #server: ServerCore;
  readonly #socket: Socket;
  readonly #onGone: () => void;
  readonly #onFailed: (cause: unknown) => void;
  readonly #looking = new Completion<Departure>(this);
  #probes = false;

  /** Watches from now on. `onFailed` is given a negative number, or what was thrown. */
  constructor(
    server: ServerCore,
    socket: Socket,
    onGone: () => void,
    onFailed: (cause: unknown) => void,
  ) {
    super();
    this.#server = server;
    this.#socket = socket;
    this.#onGone = onGone;
    this.#onFailed = onFailed;
    server.wheel.set(this, server.ticks.look);
  }

  /** The connection has ended. */
  stop(): void {
    this.#server.wheel.remove(this);
  }

  override onDeadline(): void {
    const { ring, wheel, ticks } = this.#server;
    wheel.set(this, ticks.look);
    if (this.#looking.active) return; // the client has bytes to take, which have their own time
    try {
      // The state of the socket, beside whether it is writable: that it has ended is always told.
      ring.poll(this.#looking, onLooked, this.#socket.descriptor, "writable");
      if (this.#probes || this.#socket.remoteAddress?.family === "unix") return;
      this.#probes = true;
      this.#probe();
    } catch (error) {
      this.#onFailed(error);
    }
  }

  #probe(): void {
    try {
      this.#socket.setOptions({ keepAlive: PROBES });
    } catch (error) {
      // macOS takes no option for a connection that was reset, which the look tells.
      if (codeOf(error) === "EINVAL") return;
      if (codeOf(error) !== "ENOTSUP") throw error;
      this.#socket.setOptions({ keepAlive: true }); // OpenBSD has one time for all connections
    }
  }

  /** @internal */
  looked(result: number): void {
    if (result < 0) this.#onFailed(result);
    else if ((result & (PollFlags.hangUp | PollFlags.error)) !== 0) this.#onGone();
  }
}

function onLooked({ context }: Completion<Departure>, result: number): void {
  context.looked(result);
}
