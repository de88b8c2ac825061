// WHATWG streams over an open file. While one is open, so is the file; each gives it up exactly
// once: at its end, when it is cancelled or aborted, after an error, and when the file is closed.

import { type ReadableByteStreamController, ReadableStream, WritableStream } from "node:stream/web";
import type { Descriptor } from "@io/core";
import { argumentTypeError, nodeError } from "../errors.js";
import { readInto, writeFrom } from "./descriptors.js";

const READ_BYTES = 16 * 1024;

/** What a stream has of the file that it uses. */
export interface FileUse {
  readonly descriptor: Descriptor;
  readonly isClosing: () => boolean;
  readonly end: () => void;
  /** Calls back when the file's `close()` is called. */
  readonly onClose: (closed: () => void) => void;
}

/** The end of a use, which is called in several places. */
function once(end: () => void): { readonly isOver: boolean; end(): void } {
  return {
    isOver: false,
    end() {
      if (this.isOver) return;
      (this as { isOver: boolean }).isOver = true;
      end();
    },
  };
}

export function invalidState(what: string): NodeJS.ErrnoException {
  return nodeError(Error, "ERR_INVALID_STATE", `Invalid state: ${what}`);
}

/** A stream of bytes from the current position to the end. */
export function readableOf(file: FileUse): ReadableStream {
  let controller: ReadableByteStreamController | null = null;
  let isReading = false;
  const use = once(file.end);
  const finish = (): void => {
    use.end();
    controller?.close();
    controller?.byobRequest?.respond(0);
  };
  // A read that is in flight ends the stream when it has completed.
  file.onClose(() => {
    if (!isReading && !use.isOver) finish();
  });
  return new ReadableStream({
    type: "bytes",
    autoAllocateChunkSize: READ_BYTES,
    start: (given) => {
      controller = given;
    },
    pull: async ({ byobRequest }) => {
      isReading = true;
      const view = byobRequest?.view as Uint8Array;
      let count: number;
      try {
        count = await readInto(file.descriptor, view, -1);
      } catch (error) {
        use.end();
        throw error;
      } finally {
        isReading = false;
      }
      // It was cancelled meanwhile.
      if (use.isOver) return;
      if (count === 0 || file.isClosing()) finish();
      else byobRequest?.respond(count);
    },
    cancel: () => use.end(),
  });
}

function bytesOf(chunk: unknown): Uint8Array {
  if (typeof chunk === "string") return Buffer.from(chunk);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  if (!ArrayBuffer.isView(chunk)) {
    throw argumentTypeError("chunk", ["string", "Buffer", "TypedArray", "DataView"], chunk);
  }
  return new Uint8Array(chunk.buffer as ArrayBuffer, chunk.byteOffset, chunk.byteLength);
}

/** A stream that writes from the current position on. */
export function writableOf(file: FileUse): WritableStream {
  const use = once(file.end);
  let isWriting = false;
  return new WritableStream({
    start: (controller) => {
      file.onClose(() => {
        if (use.isOver) return;
        controller.error(invalidState("The FileHandle is closing"));
        if (!isWriting) use.end();
      });
    },
    write: async (chunk) => {
      isWriting = true;
      try {
        for (let rest = bytesOf(chunk); rest.length > 0; ) {
          rest = rest.subarray(await writeFrom(file.descriptor, rest, -1));
        }
      } catch (error) {
        use.end();
        throw error;
      } finally {
        isWriting = false;
        if (file.isClosing()) use.end();
      }
    },
    close: () => use.end(),
    abort: () => use.end(),
  });
}
