/** What a program did, in a form that can be compared: its result, or its error. */

import { mkdtempSync, rmSync } from "node:fs";
import type nodePromises from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sharedIO } from "../engine/environment.js";

export type Promises = typeof nodePromises;

/** A program over a module of files; `at` gives the path of a name in a folder of its own. */
export type Program = (fs: Promises, at: (name: string) => string) => Promise<unknown>;

/** A form of a value in which two runs can be compared. */
export function shown(value: unknown, folder: string): unknown {
  if (typeof value === "string") return value.replaceAll(folder, "~");
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map((one) => shown(one, folder));
  if (value instanceof Error) return errorShown(value, folder);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, one]) => [key, shown(one, folder)]);
    return { class: value.constructor?.name, ...Object.fromEntries(entries) };
  }
  return value;
}

function errorShown(error: Error, folder: string): unknown {
  const { name, message } = error;
  const fields = Object.entries(error).map(([key, one]) => [key, shown(one, folder)]);
  return {
    // Node gives its class of this name to no program.
    class: name === "SystemError" ? "Error" : error.constructor.name,
    name,
    message: message.replaceAll(folder, "~"),
    ...Object.fromEntries(fields),
  };
}

// A stream that has ended is closed a few turns later.
const MAX_TURNS = 1000;

/** How many descriptors of this library the program has left open, when all closes have ended. */
async function leftOpen(before: number): Promise<number> {
  const io = sharedIO();
  for (let turn = 0; turn < MAX_TURNS && io.stats().descriptors > before; turn++) await io.nop();
  return io.stats().descriptors - before;
}

/** The outcome of a program on this library: also what it has left open, which is nothing. */
export async function outcomeHere(program: Program, fs: Promises): Promise<unknown> {
  const before = sharedIO().stats().descriptors;
  const outcome = await outcomeOf(program, fs);
  const left = await leftOpen(before);
  return left === 0 ? outcome : { outcome, left };
}

/** Runs the program in a folder that is removed at its end. */
export async function outcomeOf(program: Program, fs: Promises): Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), "io-node-fs-"));
  try {
    return { result: shown(await program(fs, (name) => join(folder, name)), folder) };
  } catch (error) {
    return { error: shown(error, folder) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
