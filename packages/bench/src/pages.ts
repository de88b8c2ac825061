// Memory that begins at a page, which O_DIRECT asks for and Node.js has no call for.

import { pageBytes } from "./random_offsets.js";

const webAssemblyPageBytes = 65_536;

/** The part of WebAssembly that is used: the types of Node.js leave it to those of browsers. */
declare namespace WebAssembly {
  class Memory {
    constructor(options: { initial: number; maximum: number });
    readonly buffer: ArrayBuffer;
  }
}

/** Views of 4 KiB each. The memory of a WebAssembly module always begins at a page. */
export function alignedPages(length: number): Uint8Array[] {
  const initial = Math.ceil((length * pageBytes) / webAssemblyPageBytes);
  const { buffer } = new WebAssembly.Memory({ initial, maximum: initial });
  return Array.from({ length }, (_, at) => new Uint8Array(buffer, at * pageBytes, pageBytes));
}
