// Signals of the process: for loops and detached programs, beside the listeners of Node.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { IO, SignalName, Signals } from "@io/core";
import * as assert from "uvu/assert";
import { runChild, runChildWithDescriptors } from "../support/children.js";
import type { Suite, Trial } from "../support/harness.js";
import {
  driven,
  failureCode,
  outcome,
  refusalCode,
  roundTrips,
  Started,
  turn,
  until,
  Watched,
} from "../support/verbs.js";

const NAME = "SIGUSR2";

export function descriptorsSignals(suite: Suite): void {
  registerReceives(suite);
  registerBesideNode(suite);
  registerGivenBack(suite);
  registerPrograms(suite);
  registerEnds(suite);
  registerDetached(suite);
  registerRefused(suite);
}

function send(name: NodeJS.Signals = NAME): void {
  process.kill(process.pid, name);
}

/** Counts what a listener of Node gets, until it is taken away. */
class Listening {
  count = 0;
  readonly #listener = (): void => void this.count++;

  constructor(trial: Trial) {
    process.on(NAME, this.#listener);
    trial.defer(() => this.end());
  }

  end(): void {
    process.off(NAME, this.#listener);
  }
}

/** Sends one signal: the listener, if there is one, gets it, and so does each taker. */
async function reaches(io: IO, takers: Signals[], listening?: Listening): Promise<void> {
  const before = listening?.count ?? 0;
  send();
  for (const taker of takers) assert.is(await taker.receive({ timeoutMs: 10_000 }), NAME);
  if (listening !== undefined) {
    await until(io, () => listening.count > before, "Node's listener");
    assert.is(listening.count, before + 1);
  }
  for (const taker of takers) assert.is(taker.take(), undefined);
}

function registerReceives(suite: Suite): void {
  suite.test("signals come by their names", async (trial) => {
    const io = await trial.open();
    await using signals = io.signals([NAME, "SIGHUP"]);
    assert.is(signals.take(), undefined);
    const waiting = new Watched(signals.receive());
    await roundTrips(io, 3);
    assert.is(waiting.state, "pending");
    send("SIGHUP");
    assert.is(await waiting.promise, "SIGHUP");
    for (let count = 0; count < 100; count++) {
      send();
      assert.is(await signals.receive(), NAME);
    }
    assert.is(signals.take(), undefined);
  });

  suite.test("a signal that has several names comes by the one that was given", async (trial) => {
    const io = await trial.open();
    const twins = Object.entries(constants.signals).filter(
      ([, number], index, all) => all.findIndex((other) => other[1] === number) !== index,
    );
    for (const [name] of twins) {
      await using signals = io.signals([name as SignalName]);
      send(name as NodeJS.Signals);
      assert.is(await signals.receive(), name);
    }
  });

  suite.test("each signal is for one of several receives", async (trial) => {
    const io = await trial.open();
    await using signals = io.signals([NAME, "SIGHUP", "SIGWINCH"]);
    const receiving = [signals.receive(), signals.receive(), signals.receive()];
    await roundTrips(io, 3);
    for (const name of [NAME, "SIGHUP", "SIGWINCH"] as const) send(name);
    assert.equal((await Promise.all(receiving)).sort(), ["SIGHUP", NAME, "SIGWINCH"]);
  });

  suite.test("a receive of signals ends by its signal and its time limit", async (trial) => {
    const io = await trial.open();
    await using signals = io.signals([NAME]);
    assert.is(await failureCode(signals.receive({ timeoutMs: 1 })), "ETIMEDOUT");
    const controller = new AbortController();
    const aborted = failureCode(signals.receive({ signal: controller.signal }));
    await roundTrips(io, 3);
    controller.abort();
    assert.is(await aborted, "ABORT_ERR");
    send();
    assert.is(await signals.receive(), NAME);
  });
}

function registerBesideNode(suite: Suite): void {
  suite.test("a listener of Node that was there first keeps its signals", async (trial) => {
    const io = await trial.open();
    const listening = new Listening(trial);
    const signals = io.signals([NAME]);
    await reaches(io, [signals], listening);
    await signals.close();
    await reaches(io, [], listening);
    await using again = io.signals([NAME]);
    await reaches(io, [again], listening);
    listening.end();
    await reaches(io, [again]);
  });

  suite.test("a listener of Node that comes later takes no signals away", async (trial) => {
    const io = await trial.open();
    await using signals = io.signals([NAME]);
    const first = new Listening(trial);
    await reaches(io, [signals], first);
    first.end();
    await reaches(io, [signals]);
    const second = new Listening(trial);
    const once = new Promise<void>((resolve) => process.once(NAME, () => resolve()));
    await reaches(io, [signals], second);
    await once;
    await signals.close();
    await reaches(io, [], second);
  });

  suite.test("each of several takers gets each signal", async (trial) => {
    const [io, other] = [await trial.open(), await trial.open()];
    const listening = new Listening(trial);
    const takers = [io.signals([NAME]), io.signals([NAME, "SIGHUP"]), other.signals([NAME])];
    await reaches(io, takers, listening);
    await takers.shift()?.close();
    await reaches(io, takers, listening);
    await trial.close(other);
    takers.pop();
    await reaches(io, takers, listening);
    await takers[0]?.close();
    await reaches(io, [], listening);
  });

  suite.test("a Worker gets signals, and its end gives them back", async (trial) => {
    const io = await trial.open();
    const listening = new Listening(trial);
    const path = fileURLToPath(new URL("./signals_worker.js", import.meta.url));
    const worker = new Worker(path, { workerData: { backend: trial.backend, name: NAME } });
    await once(worker, "message");
    await using signals = io.signals([NAME]);
    for (let count = 0; count < 3; count++) {
      const message = once(worker, "message");
      await reaches(io, [signals], listening);
      assert.equal(await message, [NAME]);
    }
    await worker.terminate();
    await reaches(io, [signals], listening);
  });
}

/** Bits of the signals that the process ignores, and of those that it handles, as Linux says it. */
function dispositions(): [ignored: bigint, handled: bigint] {
  const status = readFileSync("/proc/self/status", "utf8");
  const bits = (name: string) => BigInt(`0x${status.match(`Sig${name}:\\s*(\\w+)`)?.[1]}`);
  return [bits("Ign"), bits("Cgt")];
}

/** Programs for which a signal, or a close too much, would end the process. */
function registerPrograms(suite: Suite): void {
  const programs: [name: string, program: string, output: string[]][] = [
    [
      "listeners and takers get what they did before Node's vm had set handlers of its own",
      "signals-vm",
      ["1 SIGINT", "2 SIGINT", "3 undefined", "4 SIGINT", "5 undefined"],
    ],
    [
      "a new taker gets what handlers of others keep from earlier ones",
      "signals-retaken",
      ["SIGINT", "SIGINT", "SIGINT"],
    ],
    [
      "no thread meets the default of a signal that was ignored when it is given back",
      "signals-broken-pipe",
      ["goes on, true"],
    ],
    [
      "a handler of Node that was there before works again after the close",
      "signals-inspector",
      ["SIGUSR1", "SIGUSR1", "undefined", "inspected"],
    ],
    [
      "a signal that nobody can read raises no SIGPIPE where that ends the process",
      "signals-unread",
      ["goes on"],
    ],
  ];
  for (const [name, program, expected] of programs) {
    suite.test(name, async () => {
      // The inspector says on the standard error where it is, unless it publishes that elsewhere.
      const environment = { NODE_OPTIONS: "--inspect-publish-uid=http" };
      const { output, signal, status } = await runChild(program, suite.backend, environment);
      assert.equal([output.trim().split("\n"), signal, status], [expected, null, 0]);
    });
  }
}

function registerGivenBack(suite: Suite): void {
  for (const end of ["signals", "io"]) {
    suite.test(`the end of the ${end} gives a signal back what it did before`, async () => {
      const { output, signal } = await runChild("signals", suite.backend, { SIGNALS_END: end });
      assert.equal(output.trim().split("\n"), ["SIGTERM", "SIGPIPE", "goes on"]);
      assert.is(signal, "SIGTERM");
    });
  }

  if (process.platform === "linux") {
    suite.test("a close leaves the handlers of the process as they were", async (trial) => {
      const io = await trial.open();
      const before = String(dispositions());
      const names: SignalName[] = ["SIGTERM", "SIGUSR2", "SIGHUP", "SIGCHLD"];
      const takers = [io.signals(names), io.signals(names.slice(1))];
      assert.is.not(String(dispositions()), before);
      for (const taker of takers) await taker.close();
      assert.is(String(dispositions()), before);
    });

    suite.test("a signal that was ignored is not at its default after the close", async (trial) => {
      const io = await trial.open();
      const [ignored, handled] = dispositions();
      for (let count = 0; count < 3; count++) await io.signals(["SIGPIPE", NAME]).close();
      const after = dispositions();
      assert.is(after[0] | after[1], ignored | handled);
      const heard = once(process, "SIGPIPE");
      send("SIGPIPE");
      await heard;
      send("SIGPIPE");
    });
  }
}

async function collect(signals: Signals): Promise<SignalName[]> {
  const names: SignalName[] = [];
  for await (const name of signals) names.push(name);
  return names;
}

function registerEnds(suite: Suite): void {
  suite.test("a close ends the loops and receives of signals", async (trial) => {
    const io = await trial.open();
    const before = io.stats().descriptors;
    const signals = io.signals([NAME]);
    const receiving = failureCode(signals.receive());
    const loop = collect(signals);
    await roundTrips(io, 3);
    const closing = signals.close();
    await closing;
    assert.is(signals.close(), closing);
    assert.is(await receiving, "ECANCELED");
    assert.equal(await loop, []);
    assert.is(await failureCode(signals.receive()), "ERR_IO_CLOSED");
    assert.is(
      refusalCode(() => signals.take()),
      "ERR_IO_CLOSED",
    );
    assert.is(io.stats().descriptors, before);
  });

  suite.test("the close of an IO ends the loop over its signals", async (trial) => {
    const io = await trial.open();
    const signals = io.signals([NAME]);
    const loop = collect(signals);
    await roundTrips(io, 3);
    await trial.close(io);
    assert.equal(await loop, []);
    await signals.close();
    assert.is(
      refusalCode(() => io.signals([NAME])),
      "ERR_IO_CLOSED",
    );
  });

  suite.test("a receive that was unreferenced keeps no process alive", async () => {
    const { output, status } = await runChild("signals-unref", suite.backend);
    assert.is(output, "unreferenced\n");
    assert.is(status, 0);
  });

  suite.test("without descriptors signals are refused, and nothing is left of it", async () => {
    const { output, status } = await runChildWithDescriptors(64, "signals-full", suite.backend);
    assert.equal(output.trim().split("\n"), ["EMFILE", "EMFILE", "SIGTERM"]);
    assert.is(status, 0);
  });

  suite.test("signals that nobody can read any more do no harm", async (trial) => {
    const io = await trial.open();
    const listening = new Listening(trial);
    const signals = io.signals([NAME, "SIGPIPE"]);
    const { descriptor } = signals;
    assert.is(await outcome(io, (c, cb) => io.ring.close(c, cb, descriptor)), 0);
    // A write to a pipe that nobody reads raises it once more.
    send("SIGPIPE");
    for (let count = 0; count < 3; count++) await reaches(io, [], listening);
    await signals.close().catch(() => undefined);
  });
}

function registerDetached(suite: Suite): void {
  suite.test("a signal ends a runFor", async (trial) => {
    const io = await trial.open({ mode: "detached" });
    const listening = new Listening(trial);
    const signals = io.signals([NAME]);
    for (let count = 0; count < 5; count++) {
      const polled = new Started((c, cb) => {
        io.ring.poll(c, cb, signals.descriptor, "readable");
      });
      io.runFor(0);
      assert.is(polled.done, false);
      send();
      await until(io, () => polled.done, "the poll");
      assert.is(signals.take(), NAME);
      assert.is(signals.take(), undefined);
    }
    for (let turns = 0; turns < 1000 && listening.count < 5; turns++) await turn();
    assert.is(listening.count, 5);
    await driven(io, signals.close());
  });
}

function registerRefused(suite: Suite): void {
  suite.test("what is no signal, or cannot be taken, is refused by name", async (trial) => {
    const io = await trial.open();
    const before = io.stats().descriptors;
    const refused = (names: unknown): string => {
      try {
        io.signals(names as SignalName[]);
      } catch (error) {
        return `${(error as { code: string }).code} ${(error as Error).message}`;
      }
      throw new Error("was not refused");
    };
    const failed = ["SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS"];
    for (const name of ["SIGKILL", "SIGSTOP", "SIGPROF", ...failed]) {
      assert.match(refused([NAME, name]), new RegExp(`^ERR_INVALID_ARG_VALUE .*${name} cannot be`));
    }
    for (const name of ["SIGNONE", "sigterm", "", "toString"]) {
      assert.match(refused([name]), /^ERR_INVALID_ARG_VALUE .*such as "SIGTERM"/);
    }
    for (const name of [undefined, null, 15, {}]) {
      assert.match(refused([name]), /^ERR_INVALID_ARG_TYPE /);
    }
    for (const names of [undefined, null, "SIGTERM", 15, {}]) {
      assert.match(refused(names), /^ERR_INVALID_ARG_TYPE .*an array/);
    }
    assert.match(refused([]), /^ERR_OUT_OF_RANGE /);
    assert.is(io.stats().descriptors, before);
  });
}
