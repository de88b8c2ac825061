// Reads the first bytes of a program or an addon, where those are ELF files.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

export type Libc = "gnu" | "musl";

// The name of the loader stands behind the headers of the program, which come first in the file.
const LOOK_BYTES = 8192;

interface Start {
  readonly bytes: Buffer;
  readonly fileBytes: number;
}

/** Undefined where the file may not be read. */
function startOf(path: string, lengthBytes: number): Start | undefined {
  const bytes = Buffer.alloc(lengthBytes);
  try {
    const file = openSync(path, "r");
    try {
      const count = readSync(file, bytes, 0, lengthBytes, 0);
      return { bytes: bytes.subarray(0, count), fileBytes: fstatSync(file).size };
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

/**
 * Which C library a program runs on, since an engine for the other one does not load. Its file
 * names its loader: /lib/ld-musl-x86_64.so.1, or /lib64/ld-linux-x86-64.so.2. One read, where
 * process.report takes milliseconds. Undefined elsewhere than on Linux, and where it is not to be
 * known.
 */
export function libcOf(program: string): Libc | undefined {
  if (process.platform !== "linux") return undefined;
  const bytes = startOf(program, LOOK_BYTES)?.bytes;
  if (bytes === undefined) return undefined;
  if (bytes.includes("/ld-musl-")) return "musl";
  return bytes.includes("/ld-linux") ? "gnu" : undefined;
}

const HEADER_BYTES = 64;

/**
 * Whether an ELF file lacks its end. dlopen(3) maps it as long as its headers say, and the process
 * ends by SIGBUS when it touches what is not there. The table of sections is the last in the file.
 */
export function isCutShort(path: string): boolean {
  const start = startOf(path, HEADER_BYTES);
  if (start === undefined) return false;
  const { bytes, fileBytes } = start;
  const isElf64 = bytes.length === HEADER_BYTES && bytes.readUInt32BE(0) === 0x7f454c46;
  if (!isElf64 || bytes[4] !== 2 || bytes[5] !== 1) return false; // of another kind: dlopen says
  const sections = bytes.readBigUInt64LE(0x28);
  const sectionBytes = bytes.readUInt16LE(0x3a) * bytes.readUInt16LE(0x3c);
  return sections + BigInt(sectionBytes) > BigInt(fileBytes);
}
