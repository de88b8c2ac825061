// WHATWG streams over a socket.

import { type Duplex, finished } from "node:stream";
import { type ReadableByteStreamController, ReadableStream, WritableStream } from "node:stream/web";
import { argumentTypeError } from "../errors.js";

const READ_BYTES = 16 * 1024;

/** The two directions of a socket. */
export interface WebStreams {
  /** Of bytes, so that a reader may bring its own memory: `getReader({ mode: "byob" })`. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Takes bytes in any view, an `ArrayBuffer`, or text. */
  readonly writable: WritableStream<Uint8Array | ArrayBuffer | string>;
}

/**
 * Makes WHATWG streams of a socket, or of another `Duplex` of bytes. In the place of
 * `Duplex.toWeb()`: the readable one is a stream of bytes, and a write resolves when the system has
 * taken its bytes, so that their memory may be used again.
 *
 * A reader that does not read lets the socket stop receiving, and the peer wait. To cancel the
 * readable stream, or to abort the writable one, destroys the socket. To close the writable one
 * ends its direction.
 *
 * @param socket A socket that nothing else reads.
 * @returns both streams
 * @throws `ERR_INVALID_ARG_TYPE` of what is no such stream
 *
 * @example
 * ```ts
 * import { toWeb } from "@io/node";
 * import net from "@io/node/net";
 *
 * const server = net.createServer((socket) => {
 *   const { readable, writable } = toWeb(socket);
 *   void readable.pipeTo(writable);
 * });
 * server.listen(0, () => server.close());
 * ```
 */
export function toWeb(socket: Duplex): WebStreams {
  const isDuplex = typeof socket?.read === "function" && typeof socket.write === "function";
  if (!isDuplex) throw argumentTypeError("socket", "Duplex", socket);
  // Each of the two streams gets its errors by `finished()`; without a listener Node throws them.
  socket.on("error", () => {});
  return { readable: readableOf(socket), writable: writableOf(socket) };
}

function readableOf(socket: Duplex): ReadableStream<Uint8Array> {
  let controller: ReadableByteStreamController;
  let isOver = false;
  let wake: (() => void) | null = null;
  const awake = (): void => {
    wake?.();
    wake = null;
  };
  const give = (): boolean => {
    const view = controller.byobRequest?.view as Uint8Array | null | undefined;
    if (!view) return true;
    const sizeBytes = Math.min(view.byteLength, socket.readableLength);
    // A read of none tells the socket to receive.
    const bytes = socket.read(sizeBytes) as Buffer | null;
    if (bytes === null || bytes.length === 0) return false;
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(bytes);
    controller.byobRequest?.respond(bytes.length);
    return true;
  };
  const end = (error?: Error | null): void => {
    if (isOver) return;
    isOver = true;
    socket.off("readable", awake);
    if (error) controller.error(error);
    else {
      controller.close();
      // A read that waits ends with nothing.
      controller.byobRequest?.respond(0);
    }
    awake();
  };
  return new ReadableStream({
    type: "bytes",
    autoAllocateChunkSize: READ_BYTES,
    start: (given: ReadableByteStreamController) => {
      controller = given;
      socket.on("readable", awake);
      finished(socket, { writable: false }, end);
    },
    pull: async () => {
      while (!isOver && !give()) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    cancel: (reason: unknown) => {
      isOver = true;
      socket.off("readable", awake);
      destroy(socket, reason);
    },
  } as never);
}

function writableOf(socket: Duplex): WritableStream<Uint8Array | ArrayBuffer | string> {
  let isOver = false;
  return new WritableStream(
    {
      start: (controller) => {
        finished(socket, { readable: false }, (error) => {
          if (error && !isOver) controller.error(error);
          isOver = true;
        });
      },
      write: (chunk: Uint8Array | ArrayBuffer | string) =>
        new Promise<void>((resolve, reject) => {
          const bytes = chunk instanceof ArrayBuffer ? new Uint8Array(chunk) : chunk;
          socket.write(bytes, (error) => (error ? reject(error) : resolve()));
        }),
      close: () =>
        new Promise<void>((resolve, reject) => {
          const done = (error?: Error | null): void => (error ? reject(error) : resolve());
          finished(socket, { readable: false }, done);
          socket.end();
        }),
      abort: (reason) => {
        isOver = true;
        destroy(socket, reason);
      },
    },
    { highWaterMark: socket.writableHighWaterMark, size: sizeOf },
  );
}

// A write of what is neither fails by itself.
function sizeOf(chunk: Uint8Array | ArrayBuffer | string): number {
  return typeof chunk === "string" ? chunk.length : (chunk?.byteLength ?? 0);
}

function destroy(socket: Duplex, reason: unknown): void {
  socket.destroy(reason instanceof Error ? reason : undefined);
}
