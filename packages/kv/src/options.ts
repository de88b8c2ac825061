/** The command line: what may be said, and what is said when it is wrong. */

import { parseArgs } from "node:util";
import { KvError, messageOf } from "./errors.js";
import type { SyncPolicy } from "./log/commit.js";
import { DEFAULT_HOST, DEFAULT_PORT } from "./server.js";

export interface CommandLine {
  readonly help: boolean;
  readonly verbose: boolean;
  readonly host: string;
  readonly port: number;
  readonly folder: string;
  readonly sync: SyncPolicy;
  readonly backend: "auto" | "io_uring" | "epoll" | "kqueue" | undefined;
  readonly clientsLimit: number | undefined;
  readonly maxMemoryBytes: number | undefined;
  readonly clientsMemoryBytes: number | undefined;
  readonly rewriteMinimumBytes: number | undefined;
}

export const HELP = `Usage: io-kv [options]

A durable key-value server that speaks RESP2 and RESP3; any Redis client can talk to it.

  --host <address>         where to listen (default ${DEFAULT_HOST})
  --port <number>          (default ${DEFAULT_PORT}; 0: any free one)
  --data <folder>          where the log is kept (default ./data)
  --sync <policy>          when a write is acknowledged (default always):
                             always    it is written and synced; survives a loss of power
                             everysec  it is written; a loss of power may cost the last second
                             no        it is written; the kernel syncs when it likes
  --backend <name>         auto, io_uring, epoll or kqueue (default auto)
  --clients <number>       how many may be connected at a time (default 4000)
  --maxmemory <bytes>      keys and values; commands that add are refused beyond that, and earlier
                           when V8's heap is too small (default half of the memory)
  --clients-memory <bytes> unread replies and incomplete requests of all clients; beyond that the
                           client that holds most is disconnected (default a quarter of the memory)
  --rewrite-from <bytes>   size from which a log of mostly garbage is rewritten (default 67108864)
  --verbose                say at the start what this machine offers
  --help                   this text
`;

const FORMS = {
  host: { type: "string" },
  port: { type: "string" },
  data: { type: "string" },
  sync: { type: "string" },
  backend: { type: "string" },
  clients: { type: "string" },
  maxmemory: { type: "string" },
  "clients-memory": { type: "string" },
  "rewrite-from": { type: "string" },
  verbose: { type: "boolean", short: "v" },
  help: { type: "boolean", short: "h" },
} as const;

export function parseCommandLine(words: readonly string[]): CommandLine {
  const { values } = parse(words);
  return {
    help: values.help ?? false,
    verbose: values.verbose ?? false,
    host: values.host ?? DEFAULT_HOST,
    port: wholeNumber("--port", values.port, 0, 65535) ?? DEFAULT_PORT,
    folder: values.data ?? "./data",
    sync: oneOf("--sync", values.sync, ["always", "everysec", "no"]) ?? "always",
    backend: oneOf("--backend", values.backend, ["auto", "io_uring", "epoll", "kqueue"]),
    clientsLimit: wholeNumber("--clients", values.clients, 1, 100_000),
    maxMemoryBytes: wholeNumber("--maxmemory", values.maxmemory, 0, 2 ** 50),
    clientsMemoryBytes: wholeNumber("--clients-memory", values["clients-memory"], 1, 2 ** 50),
    rewriteMinimumBytes: wholeNumber("--rewrite-from", values["rewrite-from"], 0, 2 ** 50),
  };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options: FORMS, strict: true });
  } catch (error) {
    throw new KvError("ERR_KV_ARGUMENT", `${messageOf(error).replace(/\.?$/, ".")} See --help.`);
  }
}

function wholeNumber(
  name: string,
  text: string | undefined,
  min: number,
  max: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^[0-9]+$/.test(text) && value >= min && value <= max) return value;
  throw new KvError(
    "ERR_KV_ARGUMENT",
    `${name} must be a whole number from ${min} to ${max}, not "${text}".`,
  );
}

function oneOf<T extends string>(
  name: string,
  text: string | undefined,
  allowed: readonly T[],
): T | undefined {
  if (text === undefined) return undefined;
  const found = allowed.find((each) => each === text);
  if (found !== undefined) return found;
  throw new KvError(
    "ERR_KV_ARGUMENT",
    `${name} must be one of ${allowed.join(", ")}, not "${text}".`,
  );
}
