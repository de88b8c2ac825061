// What a caller may pass by mistake, to every public call: nothing but an error with a code comes
// of it, and nothing is left behind.

import { IOError } from "@io/core";
import * as assert from "uvu/assert";
import { guarded, type Suite, type Trial } from "../support/harness.js";
import { type Call, junk, type Scene } from "./arguments_kinds.js";
import { callsOfPromises } from "./arguments_promises.js";
import { callsOfRing } from "./arguments_ring.js";

async function sceneOf(trial: Trial): Promise<Scene> {
  const io = await trial.open();
  const file = await io.openFile(trial.path(), { read: true, write: true, create: true });
  await file.writeAll("content", 0);
  const listener = await io.listen({ port: 0 });
  const connecting = io.connect({ port: listener.address.port });
  const served = await listener.accept();
  const client = await connecting;
  const datagrams = await io.openDatagram({ host: "127.0.0.1", port: 0 });
  const group = io.ring.bufferGroup();
  const messages = io.ring.bufferGroup({ messages: true });
  const block = io.buffers.acquire(4096);
  const path = (name: string): string => trial.path(name);
  return { io, file, listener, client, served, datagrams, group, messages, block, path };
}

const REFUSALS = new Set([
  "ERR_OUT_OF_RANGE",
  "ERR_INVALID_ARG_TYPE",
  "ERR_INVALID_ARG_VALUE",
  "ERR_IO_BACKEND_UNKNOWN",
  "ERR_IO_BUFFER_DETACHED",
  "ERR_IO_BUFFER_RELEASED",
  "ERR_IO_CHUNK_RELEASED",
]);

/** Makes one call that has to be refused; says what was wrong with that, if anything was. */
async function tried(call: Call, given: unknown[], what: string): Promise<string | undefined> {
  let value: unknown;
  try {
    value = await guarded(what, settled(call.make(given)));
  } catch (error) {
    if (!(error instanceof IOError)) return `${what}: not an IOError but ${describe(error)}`;
    if (REFUSALS.has(error.code) && error.message.length > error.operation.length) return undefined;
    return `${what}: ${error.code} ${error.message}`;
  }
  return `${what}: was taken, and gave ${describe(value)}`;
}

// The two promises of sendZeroCopy() are looked at as well.
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

async function tryCall(call: Call): Promise<string[]> {
  const wrong: string[] = [];
  const note = (problem: string | undefined): void => {
    if (problem !== undefined) wrong.push(problem);
  };
  for (const [index, { takes }] of call.takes.entries()) {
    for (const [name, value] of junk()) {
      if (takes(value)) continue;
      const given = call.takes.map((argument) => argument.good());
      given[index] = value;
      note(await tried(call, given, `${call.name}, argument ${index + 1}: ${name}`));
    }
  }
  for (const [option, takes] of Object.entries(call.options ?? {})) {
    for (const [name, value] of junk()) {
      if (takes(value)) continue;
      const given = call.takes.map((argument) => argument.good());
      // A time limit beside what is refused must not be left to the next operation.
      const limit = "timeoutMs" in (call.options as object) ? { timeoutMs: 0.001 } : {};
      given[given.length - 1] = { ...limit, ...call.base, [option]: value };
      note(await tried(call, given, `${call.name}, ${option}: ${name}`));
    }
  }
  return wrong;
}

interface Counts {
  readonly inFlight: number;
  readonly descriptors: number;
}

/** After what was refused: nothing more is in flight or open, and what comes next gets its own. */
async function harmed({ io, file }: Scene, before: Counts, name: string): Promise<string[]> {
  const now = io.stats();
  const wrong: string[] = [];
  for (const count of ["inFlight", "descriptors"] as const) {
    if (now[count] === before[count]) continue;
    wrong.push(`after ${name}: ${count} is ${now[count]}, and was ${before[count]}`);
  }
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

export function registerArguments(suite: Suite): void {
  const layers: [string, (scene: Scene) => Call[]][] = [
    ["promises", callsOfPromises],
    ["the ring", callsOfRing],
  ];
  for (const [layer, calls] of layers) {
    suite.test(`${layer}: wrong arguments are refused and leave nothing behind`, async (trial) => {
      const scene = await sceneOf(trial);
      const wrong: string[] = [];
      for (const call of calls(scene)) {
        const before = scene.io.stats();
        wrong.push(...(await tryCall(call)), ...(await harmed(scene, before, call.name)));
      }
      assert.is(wrong.join("\n"), "");
    });
  }
}
