#!/usr/bin/env node
/** The program: serves a folder, and a hello world under /hello, and ends cleanly on a signal. */

import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { combinedLine, jsonLine } from "./access_log.js";
import { FieldBlock } from "./fields.js";
import { files } from "./files/files.js";
import type { Exchange, RequestHandler } from "./index.js";
import { type Server, serve } from "./server.js";

const HELP = `Usage: npm run http -- [options] [folder]

Serves a folder (default: the current one) over HTTP/1.1, and a hello world under /hello.

  --host HOST        where to listen; default 127.0.0.1, which only this machine reaches
  --port PORT        default 3000; 0 takes any that is free
  --log combined     a line for each answer on the standard output, as Apache writes it
  --log json         the same as JSON
  --metrics          counters for Prometheus under /metrics
  --help             this text
`;

/** By convention a program that a signal ends answers 128 and the signal's number. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
const PLAIN = new FieldBlock({ "content-type": "text/plain; charset=utf-8" });
const METRICS = new FieldBlock({ "content-type": "text/plain; version=0.0.4" });

interface CommandLine {
  readonly host: string;
  readonly port: number;
  readonly log: string | undefined;
  readonly metrics: boolean;
  readonly folder: string;
}

function parse(): CommandLine | null {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "3000" },
      log: { type: "string" },
      metrics: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(`--port is ${values.port}: give 0 to 65535`);
  }
  if (values.log !== undefined && values.log !== "combined" && values.log !== "json") {
    throw new Error(`--log is ${values.log}: give combined or json`);
  }
  if (positionals.length > 1) throw new Error("give one folder");
  const folder = resolve(positionals[0] ?? ".");
  const { host, log, metrics } = values;
  return { host: host!, port, log, metrics: metrics === true, folder };
}

async function main(): Promise<void> {
  const line = parse();
  if (line === null) {
    process.stdout.write(HELP);
    return;
  }
  const handler = files(line.folder);
  const answer: RequestHandler = (exchange: Exchange) => {
    const { path } = exchange;
    if (path === "/hello") exchange.respond(200, PLAIN, "Hello, World!\n");
    else if (path === "/metrics" && line.metrics) {
      exchange.respond(200, METRICS, server.metrics.text());
    } else return handler(exchange);
    return undefined;
  };
  const format = line.log === "json" ? jsonLine : combinedLine;
  const onAnswered =
    line.log === undefined
      ? undefined
      : (answered: Parameters<typeof format>[0]) => void process.stdout.write(format(answered));
  const server: Server = await serve({
    host: line.host,
    port: line.port,
    request: answer,
    onAnswered,
  });
  process.stdout.write(
    `http: ${line.folder} is served at ${server.url}, and a hello world at ${server.url}hello\n` +
      `http: backend ${server.io.backend} (${server.io.why})\n`,
  );
  endOnSignals(server);
}

/** The first signal asks for an end, the second insists. */
function endOnSignals(server: Server): void {
  let asked = false;
  for (const [signal, exitCode] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      if (asked) process.exit(exitCode);
      asked = true;
      process.stdout.write(`http: ${signal}: finishing what is under way\n`);
      server.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          process.stderr.write(`http: ${String(error)}\n`);
          process.exit(1);
        },
      );
    });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`http: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
