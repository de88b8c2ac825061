/** What a command is, and what it is given to work with. */

import type { Data } from "../data.js";
import { parseInteger } from "../integers.js";
import type { MemoryLimit } from "../memory_limit.js";
import type { ReplyWriter } from "../resp/reply.js";
import type { Request } from "../resp/request.js";

/** What is known of a client, beside its connection. */
export interface ClientState {
  readonly id: number;
  readonly address: string;
  readonly localAddress: string;
  readonly sinceMs: number;
  name: string;
  libraryName: string;
  libraryVersion: string;
  lastCommand: string;
  /** The database it has chosen; there is only 0. */
  database: number;
  /** It has begun a MULTI, which is not supported: what belongs to it must not run one by one. */
  inTransaction: boolean;
  /** The connection ends when the replies so far are out. */
  closing: boolean;
}

/** One section of INFO. */
export interface InfoSection {
  readonly name: string;
  readonly fields: readonly (readonly [string, string | number])[];
}

/** What commands may ask of the server around them. */
export interface Engine {
  readonly data: Data;
  /** The time, read once for all commands that arrived together. */
  nowMs: number;
  info(): InfoSection[];
  settings(): ReadonlyMap<string, string>;
  clients(): Iterable<ClientState>;
  /** Begins to rewrite the log; false when that is going on already. */
  rewrite(): boolean;
  stop(): void;
  readonly memoryLimit: MemoryLimit;
  /** A line for the person who runs the server. */
  report(line: string): void;
}

export interface Call {
  readonly engine: Engine;
  readonly request: Request;
  readonly reply: ReplyWriter;
  readonly client: ClientState;
}

export interface Command {
  readonly name: string;
  /** How many words, the name included; negative: at least so many. */
  readonly arity: number;
  readonly writes: boolean;
  /** Whether it may add keys or values, and so needs room for them. */
  readonly grows: boolean;
  /** Where the keys are: first, last (negative: from the end), step. 0 is none. */
  readonly keys: readonly [first: number, last: number, step: number];
  readonly run: (call: Call) => void;
}

export const NOT_AN_INTEGER = "ERR value is not an integer or out of range";
export const SYNTAX_ERROR = "ERR syntax error";

/** The argument as an integer; when it is none, the error is replied and undefined returned. */
export function integerArgument(call: Call, index: number): number | bigint | undefined {
  const value = parseInteger(call.request.text(index));
  if (value === undefined) call.reply.error(NOT_AN_INTEGER);
  return value;
}

/** Shorthand for the tables in this folder. */
export function command(
  name: string,
  arity: number,
  run: (call: Call) => void,
  options: { writes?: boolean; grows?: boolean; keys?: Command["keys"] } = {},
): Command {
  const { writes = false, grows = false, keys = [0, 0, 0] } = options;
  return { name, arity, run, writes: writes || grows, grows, keys };
}
