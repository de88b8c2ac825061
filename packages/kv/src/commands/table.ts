/** Finds a command by the bytes of its name, without making a string, and runs it. */

import { messageOf } from "../errors.js";
import type { Request } from "../resp/request.js";
import type { Call, Command } from "./command.js";
import { connectionCommands } from "./connection.js";
import { serverCommands } from "./info.js";
import { keyCommands } from "./keys.js";
import { stringCommands } from "./strings.js";

const BUCKETS = 256;

const all: Command[] = [
  ...connectionCommands,
  ...stringCommands,
  ...keyCommands,
  ...serverCommands(() => all),
];

/** Those that look at keys, and so at the database that a client has chosen. */
const onData = new Set<Command>([...stringCommands, ...keyCommands]);

/** Those that a client may give between MULTI and EXEC. */
const endsTransaction = new Set(["multi", "exec", "discard", "quit", "reset"]);

const buckets: Command[][] = Array.from({ length: BUCKETS }, () => []);
for (const each of all) {
  const { name } = each;
  const last = name.charCodeAt(name.length - 1);
  buckets[bucketOf(name.length, name.charCodeAt(0), last)]!.push(each);
}

function bucketOf(length: number, first: number, last: number): number {
  return (length * 31 + (first | 0x20) * 7 + (last | 0x20)) & (BUCKETS - 1);
}

export function findCommand(request: Request): Command | undefined {
  const start = request.starts[0]!;
  const end = request.ends[0]!;
  if (start === end) return undefined;
  const { source } = request;
  const bucket = buckets[bucketOf(end - start, source[start]!, source[end - 1]!)]!;
  for (const each of bucket) if (request.is(0, each.name)) return each;
  return undefined;
}

/**
 * Runs the request in `call`. `refusal` is why writes are refused at the moment, if they are.
 * Afterwards the keyspace's `touched` says which batch the reply depends on.
 */
export function execute(call: Call, refusal: string | undefined): void {
  const { request, reply, engine } = call;
  engine.data.keyspace.touched = 0;
  const command = findCommand(request);
  if (command === undefined) {
    reply.error(unknownCommand(request));
    return;
  }
  const { arity } = command;
  call.client.lastCommand = command.name;
  if (call.client.inTransaction && !endsTransaction.has(command.name)) {
    reply.error("ERR not run: it belongs to a MULTI, which is not supported");
  } else if (call.client.database !== 0 && onData.has(command)) {
    reply.error(`ERR not run: there is no database ${call.client.database}, only 0`);
  } else if (arity > 0 ? request.count !== arity : request.count < -arity) {
    reply.error(`ERR wrong number of arguments for '${command.name}' command`);
  } else if (command.writes && refusal !== undefined) {
    reply.errorText(refusal);
  } else {
    const full = command.grows ? fullFor(call) : undefined;
    if (full === undefined) run(call, command);
    else reply.error(full);
  }
}

function fullFor(call: Call): string | undefined {
  const { request, engine } = call;
  const { count } = request;
  const sizeBytes = request.ends[count - 1]! - request.starts[0]!;
  return engine.memoryLimit.refusal(engine.data.keyspace, sizeBytes, count);
}

/**
 * A command can throw: V8 makes no string of 512 MiB, and memory may run out. Its changes are taken
 * back then, and the client gets an error, or the end of its connection when part of the reply has
 * been written already.
 */
function run(call: Call, command: Command): void {
  const { reply, engine } = call;
  const repliedBytes = reply.sizeBytes;
  try {
    if (command.writes) engine.data.change(() => command.run(call));
    else command.run(call);
  } catch (error) {
    engine.data.keyspace.touched = 0;
    if (reply.sizeBytes !== repliedBytes) call.client.closing = true;
    else reply.errorText(`ERR '${command.name}' was not carried out: ${messageOf(error)}`);
    engine.report(`'${command.name}' of ${call.client.address} failed: ${messageOf(error)}`);
  }
}

function unknownCommand(request: Request): string {
  const name = request.text(0).slice(0, 128);
  let shown = "";
  for (let index = 1; index < request.count && shown.length < 128; index++) {
    shown += `'${request.text(index).slice(0, 128 - shown.length)}' `;
  }
  return `ERR unknown command '${name}', with args beginning with: ${shown}`;
}
