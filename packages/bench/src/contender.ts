// How the harness starts a contender that is a JavaScript program, and how that one answers.

import { writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Figures } from "./harness.js";

/** The compiled program of contenders/ with its arguments, run by this Node.js. */
export function nodeCommand(name: string, ...args: (string | number)[]): string[] {
  return [process.execPath, contenderPath(name), ...args.map(String)];
}

export function contenderPath(name: string): string {
  return fileURLToPath(new URL(`./contenders/${name}.js`, import.meta.url));
}

/** Written at once, so that it is out even if the process never returns to its event loop. */
export function printLine(line: string | number): void {
  writeSync(1, `${line}\n`);
}

export function printFigures(figures: Figures): void {
  printLine(JSON.stringify(figures));
}

/** Reads the last line of the output of a contender. */
export function parseFigures(output: string): Figures {
  const line = output.trimEnd().split("\n").at(-1) ?? "";
  const parsed: unknown = JSON.parse(line);
  if (typeof parsed !== "object" || parsed === null) throw new TypeError(`No figures in: ${line}`);
  for (const [unit, value] of Object.entries(parsed)) {
    if (typeof value !== "number") throw new TypeError(`The figure for ${unit} is not a number.`);
  }
  return parsed as Figures;
}

/** An argument of a contender that must be a number. */
export function numberArgument(position: number): number {
  const value = Number(process.argv[position + 2]);
  if (Number.isFinite(value)) return value;
  throw new RangeError(`Argument ${position + 1} of ${process.argv[1]} must be a number.`);
}
