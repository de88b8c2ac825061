// Two threads that wake each other in turn: by notifiers of @io/core, or by a MessagePort of Node.
//
// Usage: wake <promise|callback|detached|port> <seconds>

import { MessageChannel, type MessagePort, Worker, workerData } from "node:worker_threads";
import { Completion, IO, type Notifier, type NotifierToken, notify } from "@io/core";
import { numberArgument, printFigures } from "../contender.js";

interface Data {
  readonly mode: string;
  readonly port: MessagePort;
}

const STOP = 1;
const given = workerData as Data | null;
const mode = given?.mode ?? process.argv[2] ?? "";
const durationSeconds = given === null ? numberArgument(1) : Number.POSITIVE_INFINITY;

/** The thread that counts sends the first one, and the one that ends. */
const counts = given === null;
const { port1, port2 } = new MessageChannel();
const port = given?.port ?? port1;

let wakes = 0;
let startMs = 0;

function start(): void {
  wakes = 0;
  startMs = performance.now();
}

/** After each wake of the thread that counts: whether it was the last one. */
function isOver(): boolean {
  wakes += 2;
  if (wakes % 64 !== 0) return false;
  return performance.now() - startMs >= durationSeconds * 1000;
}

function finish(): void {
  const elapsedMs = performance.now() - startMs;
  printFigures({ "us per wake": (elapsedMs * 1000) / wakes });
  process.exit(0);
}

function byPort(): void {
  port.on("message", () => {
    if (counts && isOver()) finish();
    port.postMessage(0);
  });
  if (counts) {
    start();
    port.postMessage(0);
  }
}

/** Exchanges tokens, then calls `run` with that of the other thread. */
function withOther(notifier: Notifier, run: (other: NotifierToken) => void): void {
  port.once("message", (other: NotifierToken) => {
    port.unref();
    run(other);
  });
  port.postMessage(notifier.token);
}

async function byPromise(): Promise<void> {
  const notifier = (await IO.open()).notifier();
  withOther(notifier, async (other) => {
    start();
    if (counts) notify(other);
    for await (const value of notifier) {
      if (value === STOP) return;
      if (counts && isOver()) finish();
      notify(other);
    }
  });
}

async function byCallback(): Promise<void> {
  const io = await IO.open();
  const notifier = io.notifier();
  const { descriptor } = notifier;
  withOther(notifier, (other) => {
    const completion = new Completion();
    const woken = (): void => {
      while (notifier.take() !== undefined) {
        if (counts && isOver()) finish();
        notify(other);
      }
      if (!completion.active) io.ring.pollMultishot(completion, woken, descriptor, "readable");
    };
    start();
    woken();
    if (counts) notify(other);
  });
}

async function detached(): Promise<void> {
  const io = await IO.open({ mode: "detached" });
  const notifier = io.notifier();
  const { descriptor } = notifier;
  withOther(notifier, (other) => {
    const completion = new Completion();
    const woken = (): void => {
      while (notifier.take() !== undefined) {
        if (counts && isOver()) finish();
        notify(other);
      }
      if (!completion.active) io.ring.pollMultishot(completion, woken, descriptor, "readable");
    };
    start();
    woken();
    if (counts) notify(other);
    for (;;) io.runFor(1_000_000_000);
  });
}

const modes: Record<string, () => Promise<void> | void> = {
  port: byPort,
  promise: byPromise,
  callback: byCallback,
  detached,
};
const run = modes[mode];
if (!run) throw new RangeError(`There is no mode "${mode}".`);
if (counts) {
  new Worker(new URL(import.meta.url), {
    workerData: { mode, port: port2 },
    transferList: [port2],
  });
}
await run();
