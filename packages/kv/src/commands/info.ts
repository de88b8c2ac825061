/** Commands about the server: what it is, how it is set, what it offers. */

import { globMatches } from "../glob.js";
import { type Call, type Command, command, SYNTAX_ERROR } from "./command.js";

/** The release whose commands are followed; clients decide by it what they may send. */
export const REDIS_VERSION = "7.0.0";

/** The table is handed in, since these commands are themselves part of it. */
export function serverCommands(all: () => readonly Command[]): Command[] {
  return [
    command("info", -1, info),
    command("config", -2, config),
    command("command", -1, (call) => describeCommands(call, all())),
    command("time", 1, time),
    command("bgrewriteaof", 1, rewrite),
    command("shutdown", -1, shutdown),
  ];
}

function info(call: Call): void {
  const { request } = call;
  const wanted = new Set<string>();
  for (let index = 1; index < request.count; index++) wanted.add(request.text(index).toLowerCase());
  const all =
    wanted.size === 0 || ["all", "everything", "default"].some((word) => wanted.has(word));
  const parts: string[] = [];
  for (const section of call.engine.info()) {
    if (!all && !wanted.has(section.name.toLowerCase())) continue;
    const lines = section.fields.map(([name, held]) => `${name}:${held}\r\n`);
    parts.push(`# ${section.name}\r\n${lines.join("")}`);
  }
  call.reply.verbatim(parts.join("\r\n"));
}

function config(call: Call): void {
  const { request, reply } = call;
  if (request.is(1, "get") && request.count >= 3) {
    const found: [string, string][] = [];
    for (const [name, held] of call.engine.settings()) {
      for (let index = 2; index < request.count; index++) {
        if (!globMatches(request.text(index).toLowerCase(), name)) continue;
        found.push([name, held]);
        break;
      }
    }
    reply.map(found.length);
    for (const [name, held] of found) {
      reply.text(name);
      reply.text(held);
    }
  } else if (request.is(1, "resetstat") && request.count === 2) {
    reply.ok();
  } else if (request.is(1, "set")) {
    reply.error("ERR settings cannot be changed while the server runs; give them when it starts");
  } else {
    reply.error(
      `ERR unknown subcommand or wrong number of arguments for '${request.text(1)}'. ` +
        "Known are GET and RESETSTAT.",
    );
  }
}

function describeCommands(call: Call, all: readonly Command[]): void {
  const { request, reply } = call;
  if (request.count === 1) {
    reply.array(all.length);
    for (const each of all) describe(call, each);
  } else if (request.is(1, "count")) {
    reply.integer(all.length);
  } else if (request.is(1, "list")) {
    listCommands(call, all);
  } else if (request.is(1, "info")) {
    const names = request.count > 2 ? wordsFrom(call, 2) : all.map((each) => each.name);
    reply.array(names.length);
    for (const name of names) {
      const found = all.find((each) => each.name === name);
      if (found === undefined) reply.nil();
      else describe(call, found);
    }
  } else if (request.is(1, "docs")) {
    const names = request.count > 2 ? wordsFrom(call, 2) : all.map((each) => each.name);
    const found = all.filter((each) => names.includes(each.name));
    reply.map(found.length);
    for (const each of found) {
      reply.text(each.name);
      reply.map(1);
      reply.text("group");
      reply.text(each.keys[0] > 0 ? "string" : "server");
    }
  } else {
    reply.error(
      `ERR unknown subcommand '${request.text(1)}'. Known are COUNT, LIST, INFO and DOCS.`,
    );
  }
}

function listCommands(call: Call, all: readonly Command[]): void {
  const { request, reply } = call;
  let listed = all;
  if (request.count === 5 && request.is(2, "filterby")) {
    const wanted = request.text(4).toLowerCase();
    if (request.is(3, "pattern")) listed = all.filter((each) => globMatches(wanted, each.name));
    else if (request.is(3, "aclcat")) listed = all.filter((each) => categoryOf(each) === wanted);
    else if (request.is(3, "module")) listed = [];
    else {
      reply.error(SYNTAX_ERROR);
      return;
    }
  } else if (request.count !== 2) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  reply.array(listed.length);
  for (const each of listed) reply.text(each.name);
}

function categoryOf(each: Command): string {
  return each.writes ? "write" : "read";
}

function wordsFrom(call: Call, first: number): string[] {
  const words: string[] = [];
  for (let index = first; index < call.request.count; index++) {
    words.push(call.request.text(index).toLowerCase());
  }
  return words;
}

function describe(call: Call, each: Command): void {
  const { reply } = call;
  reply.array(6);
  reply.text(each.name);
  reply.integer(each.arity);
  reply.set(1);
  reply.simple(each.writes ? "write" : "readonly");
  for (const key of each.keys) reply.integer(key);
}

function time(call: Call): void {
  const micros = Math.round((performance.timeOrigin + performance.now()) * 1000);
  call.reply.array(2);
  call.reply.bulk(String(Math.floor(micros / 1_000_000)));
  call.reply.bulk(String(micros % 1_000_000));
}

function rewrite(call: Call): void {
  if (call.engine.rewrite()) {
    call.reply.simple("Background append only file rewriting started");
  } else {
    call.reply.error("ERR Background append only file rewriting already in progress");
  }
}

/** Everything acknowledged is in the log already, so SAVE and NOSAVE make no difference. */
function shutdown(call: Call): void {
  call.client.closing = true;
  call.engine.stop();
}
