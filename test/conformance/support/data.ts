// Bytes to move, and every kind of memory to move them from and to.

import { createHash } from "node:crypto";

/** Bytes that differ from place to place, and with the seed. */
export function pattern(sizeBytes: number, seed = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  let state = (seed + 1) * 0x9e3779b1;
  for (let index = 0; index < sizeBytes; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

export function sameBytes(left: ArrayBufferView, right: ArrayBufferView): boolean {
  return bytesOf(left).equals(bytesOf(right));
}

export function hash(view: ArrayBufferView): string {
  return createHash("sha256").update(bytesOf(view)).digest("hex");
}

export function bytesOf(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
}

export function text(view: ArrayBufferView, length = view.byteLength): string {
  return bytesOf(view).subarray(0, length).toString("latin1");
}

/** Takes the memory away from a view, as sending it to a Worker does. */
export function detach(view: ArrayBufferView): void {
  structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] });
}

// Newer than the library of types that the project compiles against.
type ResizableConstructor = new (
  sizeBytes: number,
  options: { maxByteLength: number },
) => ArrayBuffer;

export function resizable(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const Resizable = ArrayBuffer as unknown as ResizableConstructor;
  return new Uint8Array(new Resizable(sizeBytes, { maxByteLength: 2 * sizeBytes }));
}

export function growable(sizeBytes: number): Uint8Array {
  const Growable = SharedArrayBuffer as unknown as ResizableConstructor;
  return new Uint8Array(new Growable(sizeBytes, { maxByteLength: 2 * sizeBytes }));
}

/** A view of exactly `sizeBytes`, which must be a multiple of 8, in the middle of more memory. */
export interface ViewKind {
  readonly name: string;
  make(sizeBytes: number): ArrayBufferView;
}

type ArrayConstructor = new (
  memory: ArrayBuffer,
  offset: number,
  length: number,
) => ArrayBufferView;

const ARRAYS: readonly [ArrayConstructor, elementBytes: number][] = [
  [Int8Array, 1],
  [Uint8Array, 1],
  [Uint8ClampedArray, 1],
  [Int16Array, 2],
  [Uint16Array, 2],
  [Int32Array, 4],
  [Uint32Array, 4],
  [Float32Array, 4],
  [Float64Array, 8],
  [BigInt64Array, 8],
  [BigUint64Array, 8],
];

export const VIEW_KINDS: readonly ViewKind[] = [
  ...ARRAYS.map(([Kind, elementBytes]) => ({
    name: Kind.name,
    make: (size: number) => new Kind(new ArrayBuffer(size + 32), 16, size / elementBytes),
  })),
  { name: "DataView", make: (size) => new DataView(new ArrayBuffer(size + 5), 5, size) },
  { name: "Buffer.alloc", make: (size) => Buffer.alloc(size) },
  {
    name: "a Buffer of Node's pool",
    make: (size) => Buffer.from("x".repeat(size + 3)).subarray(3),
  },
  {
    name: "a SharedArrayBuffer",
    make: (size) => new Uint8Array(new SharedArrayBuffer(size + 7), 7, size),
  },
];
