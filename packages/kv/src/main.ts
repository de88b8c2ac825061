#!/usr/bin/env node
/** The program: reads the command line, serves, and ends cleanly on SIGINT and SIGTERM. */

import { probe } from "@io/core";
import { codeOf, messageOf } from "./errors.js";
import { describeRecovery, type RecoveryProgress } from "./log/recovery.js";
import { type CommandLine, HELP, parseCommandLine } from "./options.js";
import { type Server, serve } from "./server.js";

/** By convention a program that a signal ends answers 128 and the signal's number. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

function say(line: string): void {
  process.stdout.write(`kv: ${line}\n`);
}

function warn(line: string): void {
  process.stderr.write(`kv: ${line}\n`);
}

async function main(): Promise<void> {
  const line = parseCommandLine(process.argv.slice(2));
  if (line.help) {
    process.stdout.write(HELP);
    return;
  }
  const ending = new AbortController();
  onSignals(ending);
  let server: Server;
  try {
    server = await serve({
      ...line,
      onProgress: showProgress,
      report: warn,
      signal: ending.signal,
    });
  } catch (error) {
    if (!ending.signal.aborted) throw explain(error, line);
    say("ended before the log was read");
    return;
  }
  const end = (): void => void server.close().catch(() => undefined);
  if (ending.signal.aborted) end();
  else ending.signal.addEventListener("abort", end);
  for (const each of describeRecovery(server.store.recovery)) warn(each);
  const { host, port } = server.address;
  if (!/^(127\.|::1$|::ffff:127\.)/.test(host)) {
    warn(`${host} is not only for this machine: any client can read and delete all data`);
  }
  say(`listening on ${host}:${port}, data ${line.folder}, sync ${line.sync}`);
  say(`try: redis-cli -p ${port} set greeting hello`);
  say(`backend ${server.io.why}`);
  if (line.verbose) describe(server);
  await server.closed;
  say("ended; everything acknowledged is in the log");
}

/** What --verbose adds: the machine, and everything that is not done by the kernel itself. */
function describe(server: Server): void {
  const { limits, kernel } = probe();
  const locked = limits.lockedMemoryBytes ?? "any number of";
  say(`Node ${process.version}, kernel ${kernel}, process ${process.pid}`);
  say(`${limits.descriptors ?? "any number of"} descriptors, ${locked} bytes of locked memory`);
  for (const [name, { support, reason }] of Object.entries(server.io.capabilities)) {
    if (support !== "native") say(`${name}: ${support}, ${reason}`);
  }
}

/** The first signal asks for an end, the second insists. */
function onSignals(ending: AbortController): void {
  for (const [signal, exitCode] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      if (ending.signal.aborted) process.exit(exitCode);
      say(`${signal}: finishing what is under way (a second signal ends at once)`);
      ending.abort();
    });
  }
}

function showProgress(progress: RecoveryProgress): void {
  const { doneBytes, totalBytes, records } = progress;
  const percent = Math.floor((doneBytes / totalBytes) * 100);
  warn(`recovering: ${percent} % of ${totalBytes} bytes, ${records} records so far`);
}

/** Adds what to do to the errors that people meet when they start a server. */
function explain(error: unknown, line: CommandLine): unknown {
  const where = `${line.host}:${line.port}`;
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return new Error(`${where} is in use by another program; stop it or choose another --port.`);
    case "EADDRNOTAVAIL":
      return new Error(`${line.host} is not an address of this machine; choose another --host.`);
    case "EACCES":
    case "EPERM":
      return new Error(`${messageOf(error)} (listening on ${where}, data in ${line.folder})`);
    default:
      return error;
  }
}

main().catch((error: unknown) => {
  warn(messageOf(error));
  process.exitCode = 1;
});
