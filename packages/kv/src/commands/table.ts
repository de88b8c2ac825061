/** Finds a command by the bytes of its name, without making a string, and runs it. */

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
  if (arity > 0 ? request.count !== arity : request.count < -arity) {
    reply.error(`ERR wrong number of arguments for '${command.name}' command`);
  } else if (!command.writes) {
    command.run(call);
  } else if (refusal !== undefined) {
    reply.error(refusal);
  } else {
    engine.data.begin();
    command.run(call);
    engine.data.end();
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
