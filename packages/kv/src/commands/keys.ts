/** Commands on keys: removing, counting, listing, expiring. */

import { globMatches } from "../glob.js";
import { toIndex } from "../integers.js";
import type { Entry } from "../keyspace.js";
import { type Call, type Command, command, integerArgument, SYNTAX_ERROR } from "./command.js";
import {
  MILLISECONDS,
  MILLISECONDS_AT,
  SECONDS,
  SECONDS_AT,
  type TimeForm,
  timeArgument,
} from "./times.js";

const ONE_KEY = { keys: [1, 1, 1] } as const;
const ONE_KEY_WRITES = { writes: true, keys: [1, 1, 1] } as const;
const MANY_KEYS = { keys: [1, -1, 1] } as const;
const MANY_KEYS_WRITES = { writes: true, keys: [1, -1, 1] } as const;

const SCAN_COUNT = 10;

export const keyCommands: Command[] = [
  command("del", -2, remove, MANY_KEYS_WRITES),
  command("unlink", -2, remove, MANY_KEYS_WRITES),
  command("exists", -2, countPresent, MANY_KEYS),
  command("touch", -2, countPresent, MANY_KEYS),
  command("type", 2, type, ONE_KEY),
  command("rename", 3, rename, { grows: true, keys: [1, 2, 1] }),
  command("keys", 2, keys),
  command("scan", -2, scan),
  command("randomkey", 1, randomKey),
  command("dbsize", 1, size),
  command("flushdb", -1, clear, { writes: true }),
  command("flushall", -1, clear, { writes: true }),
  command("expire", -3, (call) => expire(call, SECONDS, "expire"), ONE_KEY_WRITES),
  command("pexpire", -3, (call) => expire(call, MILLISECONDS, "pexpire"), ONE_KEY_WRITES),
  command("expireat", -3, (call) => expire(call, SECONDS_AT, "expireat"), ONE_KEY_WRITES),
  command("pexpireat", -3, (call) => expire(call, MILLISECONDS_AT, "pexpireat"), ONE_KEY_WRITES),
  command("persist", 2, persist, ONE_KEY_WRITES),
  command("ttl", 2, (call) => timeLeft(call, SECONDS), ONE_KEY),
  command("pttl", 2, (call) => timeLeft(call, MILLISECONDS), ONE_KEY),
  command("expiretime", 2, (call) => timeLeft(call, SECONDS_AT), ONE_KEY),
  command("pexpiretime", 2, (call) => timeLeft(call, MILLISECONDS_AT), ONE_KEY),
];

function find(call: Call, index: number): Entry | undefined {
  return call.engine.data.keyspace.find(call.request.text(index), call.engine.nowMs);
}

function remove(call: Call): void {
  let removed = 0;
  for (let index = 1; index < call.request.count; index++) {
    const entry = find(call, index);
    if (entry === undefined) continue;
    call.engine.data.remove(entry);
    removed++;
  }
  call.reply.integer(removed);
}

function countPresent(call: Call): void {
  let present = 0;
  for (let index = 1; index < call.request.count; index++) {
    if (find(call, index) !== undefined) present++;
  }
  call.reply.integer(present);
}

function type(call: Call): void {
  call.reply.simple(find(call, 1) === undefined ? "none" : "string");
}

function rename(call: Call): void {
  const entry = find(call, 1);
  if (entry === undefined) {
    call.reply.error("ERR no such key");
    return;
  }
  const { value, expireAtMs } = entry;
  call.engine.data.remove(entry);
  call.engine.data.set(call.request.text(2), value, expireAtMs);
  call.reply.ok();
}

function keys(call: Call): void {
  const pattern = call.request.text(1);
  const found: string[] = [];
  call.engine.data.keyspace.scan(0, Number.POSITIVE_INFINITY, call.engine.nowMs, (entry) => {
    if (pattern === "*" || globMatches(pattern, entry.key)) found.push(entry.key);
  });
  call.reply.array(found.length);
  for (const key of found) call.reply.bulk(key);
}

function scan(call: Call): void {
  const { request, reply } = call;
  const cursorText = request.text(1);
  const cursor = /^[0-9]{1,15}$/.test(cursorText) ? Number(cursorText) : -1;
  if (cursor < 0) {
    reply.error("ERR invalid cursor");
    return;
  }
  let pattern: string | undefined;
  let count = SCAN_COUNT;
  let wantsStrings = true;
  for (let index = 2; index < request.count; index += 2) {
    if (index + 1 >= request.count) {
      reply.error(SYNTAX_ERROR);
      return;
    }
    if (request.is(index, "match")) {
      pattern = request.text(index + 1);
    } else if (request.is(index, "count")) {
      const given = integerArgument(call, index + 1);
      if (given === undefined) return;
      count = toIndex(given);
    } else if (request.is(index, "type")) {
      wantsStrings = request.is(index + 1, "string");
    } else {
      count = 0;
    }
    if (count < 1) {
      reply.error(SYNTAX_ERROR);
      return;
    }
  }
  const found: string[] = [];
  const next = call.engine.data.keyspace.scan(cursor, count, call.engine.nowMs, (entry) => {
    if (!wantsStrings) return;
    if (pattern === undefined || globMatches(pattern, entry.key)) found.push(entry.key);
  });
  reply.array(2);
  reply.bulk(String(next));
  reply.array(found.length);
  for (const key of found) reply.bulk(key);
}

function randomKey(call: Call): void {
  const entry = call.engine.data.keyspace.random(call.engine.nowMs);
  if (entry === undefined) call.reply.nil();
  else call.reply.bulk(entry.key);
}

function size(call: Call): void {
  call.engine.data.keyspace.touchAll();
  call.reply.integer(call.engine.data.keyspace.size);
}

function clear(call: Call): void {
  const { request } = call;
  if (
    request.count > 2 ||
    (request.count === 2 && !request.is(1, "async") && !request.is(1, "sync"))
  ) {
    call.reply.error(SYNTAX_ERROR);
    return;
  }
  call.engine.data.clear();
  call.reply.ok();
}

function expire(call: Call, form: TimeForm, name: string): void {
  const { request, reply } = call;
  const atMs = timeArgument(call, 2, form, name, { mustBePositive: false });
  if (atMs === undefined) return;
  const words = new Set<string>();
  for (let index = 3; index < request.count; index++) {
    const word = request.text(index).toLowerCase();
    if (!["nx", "xx", "gt", "lt"].includes(word)) {
      reply.error(`ERR Unsupported option ${request.text(index)}`);
      return;
    }
    words.add(word);
  }
  if (words.has("nx") && words.size > 1) {
    reply.error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return;
  }
  if (words.has("gt") && words.has("lt")) {
    reply.error("ERR GT and LT options at the same time are not compatible");
    return;
  }
  const entry = find(call, 1);
  if (entry === undefined || !timeWanted(words, entry.expireAtMs, atMs)) {
    reply.integer(0);
    return;
  }
  if (atMs <= call.engine.nowMs) call.engine.data.remove(entry);
  else call.engine.data.expire(entry, atMs);
  reply.integer(1);
}

/** Whether the conditions hold. A key without a time counts as one that lasts forever. */
function timeWanted(words: ReadonlySet<string>, formerMs: number, atMs: number): boolean {
  if (words.has("nx") && formerMs !== 0) return false;
  if (words.has("xx") && formerMs === 0) return false;
  if (words.has("gt") && (formerMs === 0 || atMs <= formerMs)) return false;
  if (words.has("lt") && formerMs !== 0 && atMs >= formerMs) return false;
  return true;
}

function persist(call: Call): void {
  const entry = find(call, 1);
  const had = entry !== undefined && entry.expireAtMs !== 0;
  if (had) call.engine.data.expire(entry, 0);
  call.reply.integer(had ? 1 : 0);
}

/** -2: no such key; -1: no time. Seconds are rounded to the nearest, as in Redis. */
function timeLeft(call: Call, form: TimeForm): void {
  const entry = find(call, 1);
  if (entry === undefined || entry.expireAtMs === 0) {
    call.reply.integer(entry === undefined ? -2 : -1);
    return;
  }
  const left = entry.expireAtMs - (form.relative ? call.engine.nowMs : 0);
  call.reply.integer(form.unitMs === 1 ? left : Math.floor((left + 500) / 1000));
}
