/** Commands on values: GET, SET and their kin, counting, appending. */

import { addIntegers, parseInteger, toIndex } from "../integers.js";
import type { Entry } from "../keyspace.js";
import { BULK_LIMIT_BYTES } from "../resp/limits.js";
import { type Value, valueFrom, valueText } from "../value.js";
import {
  type Call,
  type Command,
  command,
  integerArgument,
  NOT_AN_INTEGER,
  SYNTAX_ERROR,
} from "./command.js";
import { MILLISECONDS, SECONDS, type TimeForm, timeArgument, timeWord } from "./times.js";

const ONE_KEY = { keys: [1, 1, 1] } as const;
const ONE_KEY_WRITES = { writes: true, keys: [1, 1, 1] } as const;
const ONE_KEY_GROWS = { grows: true, keys: [1, 1, 1] } as const;

export const stringCommands: Command[] = [
  command("get", 2, get, ONE_KEY),
  command("set", -3, set, ONE_KEY_GROWS),
  command("setnx", 3, setIfAbsent, ONE_KEY_GROWS),
  command("setex", 4, (call) => setWithTime(call, SECONDS, "setex"), ONE_KEY_GROWS),
  command("psetex", 4, (call) => setWithTime(call, MILLISECONDS, "psetex"), ONE_KEY_GROWS),
  command("getset", 3, getAndSet, ONE_KEY_GROWS),
  command("getdel", 2, getAndRemove, ONE_KEY_WRITES),
  command("getex", -2, getAndExpire, ONE_KEY_WRITES),
  command("mget", -2, getMany, { keys: [1, -1, 1] }),
  command("mset", -3, setMany, { grows: true, keys: [1, -1, 2] }),
  command("msetnx", -3, setManyIfAbsent, { grows: true, keys: [1, -1, 2] }),
  command("append", 3, append, ONE_KEY_GROWS),
  command("strlen", 2, length, ONE_KEY),
  command("getrange", 4, range, ONE_KEY),
  command("substr", 4, range, ONE_KEY),
  command("incr", 2, (call) => add(call, 1), ONE_KEY_GROWS),
  command("decr", 2, (call) => add(call, -1), ONE_KEY_GROWS),
  command("incrby", 3, addArgument, ONE_KEY_GROWS),
  command("decrby", 3, subtractArgument, ONE_KEY_GROWS),
];

function find(call: Call, index: number): Entry | undefined {
  return call.engine.data.keyspace.find(call.request.text(index), call.engine.nowMs);
}

function value(call: Call, index: number): Value {
  const { request } = call;
  return valueFrom(request.source, request.starts[index]!, request.ends[index]!);
}

function replyValue(call: Call, entry: Entry | undefined): void {
  if (entry === undefined) call.reply.nil();
  else call.reply.bulk(entry.value);
}

function get(call: Call): void {
  replyValue(call, find(call, 1));
}

function set(call: Call): void {
  if (call.request.count > 3) {
    setWithOptions(call);
    return;
  }
  call.engine.data.set(call.request.text(1), value(call, 2), 0);
  call.reply.ok();
}

interface SetOptions {
  condition: "absent" | "present" | undefined;
  keepTime: boolean;
  replyFormer: boolean;
  expireAtMs: number;
}

function setWithOptions(call: Call): void {
  const options = parseSetOptions(call);
  if (options === undefined) return;
  const { data } = call.engine;
  const existing = find(call, 1);
  const former = existing?.value;
  const formerTime = existing?.expireAtMs ?? 0;
  const wanted = options.condition === undefined || (options.condition === "absent") === !existing;
  if (wanted) {
    const expireAtMs = options.keepTime ? formerTime : options.expireAtMs;
    const key = call.request.text(1);
    // A time that is already over makes the key cease at once, and is logged as that.
    if (expireAtMs === 0 || expireAtMs > call.engine.nowMs) {
      data.set(key, value(call, 2), expireAtMs);
    } else if (existing !== undefined) {
      data.remove(existing);
    }
  }
  if (options.replyFormer) {
    if (former === undefined) call.reply.nil();
    else call.reply.bulk(former);
  } else if (wanted) {
    call.reply.ok();
  } else {
    call.reply.nil();
  }
}

function parseSetOptions(call: Call): SetOptions | undefined {
  const { request, reply } = call;
  const options: SetOptions = {
    condition: undefined,
    keepTime: false,
    replyFormer: false,
    expireAtMs: 0,
  };
  let timeIndex = 0;
  let form: TimeForm | undefined;
  for (let index = 3; index < request.count; index++) {
    const next = timeWord(call, index);
    if (
      next !== undefined &&
      form === undefined &&
      !options.keepTime &&
      index + 1 < request.count
    ) {
      form = next;
      timeIndex = ++index;
    } else if (request.is(index, "nx") && options.condition !== "present") {
      options.condition = "absent";
    } else if (request.is(index, "xx") && options.condition !== "absent") {
      options.condition = "present";
    } else if (request.is(index, "keepttl") && form === undefined) {
      options.keepTime = true;
    } else if (request.is(index, "get")) {
      options.replyFormer = true;
    } else {
      reply.error(SYNTAX_ERROR);
      return undefined;
    }
  }
  if (form === undefined) return options;
  const atMs = timeArgument(call, timeIndex, form, "set", { mustBePositive: true });
  if (atMs === undefined) return undefined;
  options.expireAtMs = atMs;
  return options;
}

function setIfAbsent(call: Call): void {
  const absent = find(call, 1) === undefined;
  if (absent) call.engine.data.set(call.request.text(1), value(call, 2), 0);
  call.reply.integer(absent ? 1 : 0);
}

function setWithTime(call: Call, form: TimeForm, name: string): void {
  const atMs = timeArgument(call, 2, form, name, { mustBePositive: true });
  if (atMs === undefined) return;
  call.engine.data.set(call.request.text(1), value(call, 3), atMs);
  call.reply.ok();
}

function getAndSet(call: Call): void {
  replyValue(call, find(call, 1));
  call.engine.data.set(call.request.text(1), value(call, 2), 0);
}

function getAndRemove(call: Call): void {
  const entry = find(call, 1);
  replyValue(call, entry);
  if (entry !== undefined) call.engine.data.remove(entry);
}

function getAndExpire(call: Call): void {
  const { request, reply } = call;
  const { data, nowMs } = call.engine;
  const form = request.count === 4 ? timeWord(call, 2) : undefined;
  const persist = request.count === 3 && request.is(2, "persist");
  if (request.count > 2 && form === undefined && !persist) {
    reply.error(SYNTAX_ERROR);
    return;
  }
  let atMs = 0;
  if (form !== undefined) {
    const given = timeArgument(call, 3, form, "getex", { mustBePositive: true });
    if (given === undefined) return;
    atMs = given;
  }
  const entry = find(call, 1);
  replyValue(call, entry);
  if (entry === undefined || request.count === 2) return;
  if (atMs !== 0 && atMs <= nowMs) data.remove(entry);
  else if (atMs !== entry.expireAtMs) data.expire(entry, atMs);
}

function getMany(call: Call): void {
  call.reply.array(call.request.count - 1);
  for (let index = 1; index < call.request.count; index++) replyValue(call, find(call, index));
}

function setMany(call: Call): void {
  if (!pairsComplete(call, "mset")) return;
  setPairs(call);
  call.reply.ok();
}

function setManyIfAbsent(call: Call): void {
  if (!pairsComplete(call, "msetnx")) return;
  for (let index = 1; index < call.request.count; index += 2) {
    if (find(call, index) !== undefined) {
      call.reply.integer(0);
      return;
    }
  }
  setPairs(call);
  call.reply.integer(1);
}

function pairsComplete(call: Call, name: string): boolean {
  if (call.request.count % 2 === 1) return true;
  call.reply.error(`ERR wrong number of arguments for '${name}' command`);
  return false;
}

function setPairs(call: Call): void {
  for (let index = 1; index < call.request.count; index += 2) {
    call.engine.data.set(call.request.text(index), value(call, index + 1), 0);
  }
}

function append(call: Call): void {
  const entry = find(call, 1);
  const addition = value(call, 2);
  if (entry === undefined) {
    call.engine.data.set(call.request.text(1), addition, 0);
    call.reply.integer(addition.length);
    return;
  }
  if (entry.value.length + addition.length > BULK_LIMIT_BYTES) {
    call.reply.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return;
  }
  call.engine.data.append(entry, addition);
  call.reply.integer(entry.value.length);
}

function length(call: Call): void {
  call.reply.integer(find(call, 1)?.value.length ?? 0);
}

function range(call: Call): void {
  const from = integerArgument(call, 2);
  if (from === undefined) return;
  const to = integerArgument(call, 3);
  if (to === undefined) return;
  const whole = find(call, 1)?.value ?? "";
  const [start, end] = [toIndex(from), toIndex(to)];
  const first = fromEnd(start, whole.length);
  const last = Math.min(fromEnd(end, whole.length), whole.length - 1);
  const reversed = start < 0 && end < 0 && start > end;
  const part = reversed || first > last ? "" : sliceValue(whole, first, last + 1);
  call.reply.bulk(part);
}

function fromEnd(index: number, length: number): number {
  return index < 0 ? Math.max(0, length + index) : index;
}

function sliceValue(whole: Value, start: number, end: number): Value {
  return typeof whole === "string" ? whole.slice(start, end) : whole.subarray(start, end);
}

function addArgument(call: Call): void {
  const delta = integerArgument(call, 2);
  if (delta !== undefined) add(call, delta);
}

function subtractArgument(call: Call): void {
  const delta = integerArgument(call, 2);
  if (delta === undefined) return;
  const negated = addIntegers(0, -delta);
  if (negated === undefined) call.reply.error("ERR decrement would overflow");
  else add(call, negated);
}

function add(call: Call, delta: number | bigint): void {
  const entry = find(call, 1);
  const current = entry === undefined ? 0 : integerValue(entry.value);
  if (current === undefined) {
    call.reply.error(NOT_AN_INTEGER);
    return;
  }
  const sum = addIntegers(current, delta);
  if (sum === undefined) {
    call.reply.error("ERR increment or decrement would overflow");
    return;
  }
  const key = entry?.key ?? call.request.text(1);
  call.engine.data.set(key, String(sum), entry?.expireAtMs ?? 0);
  call.reply.integer(sum);
}

function integerValue(held: Value): number | bigint | undefined {
  return held.length > 20 ? undefined : parseInteger(valueText(held));
}
