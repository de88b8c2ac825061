// Mistakes of a caller in every public call: each gives an error with a code and no other effect,
// and leaves nothing behind.

import * as core from "@io/core";
import { Completion, IOError, StatFsRecord, StatRecord } from "@io/core";
import * as assert from "uvu/assert";
import { GUARD_MS, guarded, type Suite } from "../support/harness.js";
import { junk, KINDS, type Kind, OWN_ERROR } from "./arguments_kinds.js";
import { callsOf } from "./arguments_rows.js";
import { type Scene, sceneOf } from "./arguments_scene.js";
import type { Call } from "./arguments_table.js";

/** Makes one call that has to be refused; says what was wrong with that, if anything was. */
async function tried(
  call: Call,
  given: unknown[],
  codes: readonly string[],
): Promise<string | undefined> {
  let value: unknown;
  try {
    value = await settled(call.make(given));
  } catch (error) {
    if (error === OWN_ERROR) return undefined;
    if (!(error instanceof IOError)) return `not an IOError but ${describe(error)}`;
    const isSaid = error.message.length > error.operation.length;
    if (codes.includes(error.code) && isSaid) return undefined;
    return `${error.code} in the place of ${codes.join(" or ")}: ${error.message}`;
  }
  return `was taken, and gave ${describe(value)}`;
}

// The two promises of sendZeroCopy() are checked as well.
async function settled(value: unknown): Promise<unknown> {
  const steps = value as { sent?: Promise<unknown>; released?: Promise<unknown> } | undefined;
  if (steps?.sent === undefined || steps.released === undefined) return value;
  const [sent] = await Promise.allSettled([steps.sent, steps.released]);
  if (sent.status === "rejected") throw sent.reason;
  return sent.value;
}

function describe(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  return typeof value === "object" ? "an object" : String(value);
}

interface Attempt {
  readonly what: string;
  readonly given: unknown[];
  readonly codes: readonly string[];
}

/** Every wrong value in the place of every argument, and of every option. */
function* attemptsOf({ takes }: Call): Generator<Attempt> {
  const goods = (): unknown[] => takes.map((argument) => argument.good());
  for (const [index, { good, kind, fields, base }] of takes.entries()) {
    for (const [name, value] of [...junk(), ...forged(good(), kind)]) {
      const codes = refusals(kind, value);
      if (codes === null) continue;
      const given = goods();
      given[index] = value;
      yield { what: `argument ${index + 1}: ${name}`, given, codes };
    }
    for (const [option, field] of Object.entries(fields ?? {})) {
      for (const [name, value] of junk()) {
        const codes = refusals(field, value);
        if (codes === null) continue;
        const given = goods();
        // A time limit of a refused call must not stay for the next operation.
        const limit = "timeoutMs" in (fields as object) ? { timeoutMs: 0.001 } : {};
        given[index] = { ...limit, ...base?.(), [option]: value };
        yield { what: `${option}: ${name}`, given, codes };
      }
    }
  }
}

/** The codes that a value may be refused with; null for one that is right. */
function refusals({ takes, codes }: Kind, value: unknown): readonly string[] | null {
  try {
    return takes(value) ? null : codes(value);
  } catch (error) {
    assert.is(error, OWN_ERROR);
    return ["ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_VALUE"];
  }
}

/** What passes for one of the library's own objects. A completion is the caller's to make. */
function forged(good: unknown, kind: Kind): [name: string, value: unknown][] {
  const isOwn = kind === KINDS.object && !(good instanceof Completion);
  if (!isOwn) return [];
  const same: unknown = Object.create(Object.getPrototypeOf(good));
  // A record has no private fields, so a proxy of one is as good.
  if (good instanceof StatRecord || good instanceof StatFsRecord) {
    return [["an object with the same prototype", same]];
  }
  return [
    ["an object with the same prototype", same],
    ["a proxy of what is right", new Proxy(good as object, {})],
  ];
}

/** Whether something was handed to the engine, or is going to be. */
function begun({ io, detached }: Scene): number {
  io.ring.flush();
  detached.ring.flush();
  return [io.stats(), detached.stats()].reduce((sum, { submitted, refused, inFlight }) => {
    return sum + submitted + refused + inFlight;
  }, 0);
}

async function tryCall(scene: Scene, call: Call): Promise<string[]> {
  const wrong: string[] = [];
  let before = begun(scene);
  for (const { what, given, codes } of attemptsOf(call)) {
    const problem = await ended(tried(call, given, codes));
    const now = begun(scene);
    if (problem !== undefined) wrong.push(`${call.name}, ${what}: ${problem}`);
    else if (now !== before) wrong.push(`${call.name}, ${what}: something was begun`);
    if (problem === HANGS) break;
    before = now;
  }
  return wrong;
}

const HANGS = "does not end";

/** What it says, or that it hangs: before the guard of the test does. */
async function ended(trying: Promise<string | undefined>): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(HANGS), GUARD_MS / 5);
  });
  const said = await Promise.race([trying, late]);
  clearTimeout(timer);
  return said;
}

/** After what was refused: nothing more is open, and what comes next gets its own. */
async function harmed({ io, file }: Scene, descriptors: number, name: string): Promise<string[]> {
  const wrong: string[] = [];
  const now = io.stats().descriptors;
  if (now !== descriptors) wrong.push(`after ${name}: ${now} descriptors, not ${descriptors}`);
  const back = new Uint8Array(7);
  const sleeps = [1, 2, 3].map((round) => io.sleep(round / 10));
  try {
    await guarded("what comes next", Promise.all([...sleeps, file.readFull(back, 0)]));
    assert.is(Buffer.from(back).toString(), "content");
  } catch (error) {
    wrong.push(`after ${name}: ${describe(error)}`);
  }
  return wrong;
}

/** A call with a signal that has aborted, in the place of an argument that takes one. */
async function tryAborted(scene: Scene, call: Call): Promise<string | undefined> {
  const index = call.takes.findIndex(({ fields }) => fields !== undefined && "signal" in fields);
  if (index === -1) return undefined;
  const before = begun(scene);
  const given = call.takes.map((argument) => argument.good());
  const why = new Error("no longer wanted");
  given[index] = { ...call.takes[index]?.base?.(), signal: AbortSignal.abort(why) };
  let error: unknown;
  try {
    const value = await settled(call.make(given));
    // A stream reports it to the loop.
    const stream = value as Partial<AsyncGenerator> | undefined;
    if (stream?.[Symbol.asyncIterator] !== undefined) await stream.next?.();
  } catch (thrown) {
    error = thrown;
  }
  if (!(error instanceof IOError)) return `${call.name}: ${describe(error)}`;
  if (error.code !== "ABORT_ERR" || error.cause !== why) return `${call.name}: ${error.code}`;
  return begun(scene) === before ? undefined : `${call.name}: something was begun`;
}

function registerAborted(suite: Suite): void {
  suite.test("no call starts with a signal that has aborted", async (trial) => {
    const scene = await sceneOf(trial);
    const wrong: (string | undefined)[] = [];
    for (const call of callsOf(scene)) wrong.push(await tryAborted(scene, call));
    assert.is(wrong.filter((one) => one !== undefined).join("\n"), "");
  });
}

export function registerArguments(suite: Suite): void {
  registerAborted(suite);
  // Of each class, of the functions, and of what the table has besides.
  for (const topic of [...Object.keys(core), OTHERS]) {
    suite.test(`${topic}: wrong arguments are refused and leave nothing behind`, async (trial) => {
      const scene = await sceneOf(trial);
      const wrong: string[] = [];
      for (const call of callsOf(scene).filter((one) => topicOf(one) === topic)) {
        const { descriptors } = scene.io.stats();
        wrong.push(...(await tryCall(scene, call)));
        wrong.push(...(await harmed(scene, descriptors, call.name)));
      }
      assert.is(wrong.join("\n"), "");
    });
  }
}

const OTHERS = "others";

function topicOf({ name }: Call): string {
  const [topic = ""] = name.split(".");
  return topic in core ? topic : OTHERS;
}
