// Signals of the process, for programs that drive their own loop.
import { constants } from "node:os";
import { loadNative } from "../engine/load.js";
import type { NativeSession } from "../engine/native.js";
import { IOError, rangeError, typeError } from "../errors.js";
import type { Operations } from "../ring/promises.js";
import type { Descriptor } from "../ring/types.js";
import { checkMade, shown, valueError, wordError } from "../support/check.js";
import { callError } from "./call_error.js";
import { Values } from "./values.js";

/**
 * The name of a signal, as Node has it: "SIGTERM".
 *
 * @category Descriptors
 */
export type SignalName = `SIG${string}`;

const NUMBERS: Readonly<Record<string, number | undefined>> = constants.signals;

const FAILED = "it says that an instruction has failed, which cannot go on";
const REFUSED: Readonly<Record<string, string>> = {
  SIGKILL: "the system lets no program receive it",
  SIGSTOP: "the system lets no program receive it",
  // A handler that returns makes the same instruction fail again.
  SIGBUS: FAILED,
  SIGFPE: FAILED,
  SIGILL: FAILED,
  SIGSEGV: FAILED,
  SIGSYS: FAILED,
  SIGTRAP: FAILED,
  SIGPROF: "the CPU profiler of V8 sets its own handler",
};

/**
 * Receives signals that are sent to the process: one at a time with `receive()`, or as an async
 * iterable, which ends when it or its IO is closed. Until then the signals do nothing else of
 * themselves: "SIGTERM" ends no process. Each listener gets each signal, also those of
 * `process.on()` and of other threads. What a signal did before comes back with the close of the
 * last one, unless Node listens to it by then. One that was ignored keeps a handler that does
 * nothing; one that native code handled keeps one that calls that, beside Node's listeners.
 *
 * A handler that other native code sets meanwhile gets its signal alone, until the next
 * `io.signals()`, or `process.on()` of a signal in a thread that has called `io.signals()`: for
 * "SIGINT" `vm` with `breakOnSigint`, also of the REPL, leaves one that ends the process.
 *
 * The system joins signals of the same name that come at once. Signals come in the order in which
 * the system gave them; 65,536 may wait on Linux, and more are dropped.
 *
 * A detached program polls its `descriptor` with `io.ring.poll()` and calls `take()`.
 *
 * @category Descriptors
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using signals = io.signals(["SIGTERM", "SIGINT"]);
 * setTimeout(() => process.kill(process.pid, "SIGTERM"), 10);
 * for await (const name of signals) {
 *   process.stdout.write(`${name}\n`);
 *   break; // and end in an orderly way
 * }
 * ```
 */
export class Signals extends Values<SignalName> {
  /** @internal */
  constructor(
    operations: Operations,
    session: NativeSession,
    descriptor: Descriptor,
    names: ReadonlyMap<number, SignalName>,
  ) {
    checkMade(operations, "Signals", "io.signals()");
    super(operations, {
      session,
      descriptor,
      name: "receiver of signals",
      take: () => names.get(session.takeSignal(descriptor)),
      end: () => session.closeSignals(descriptor),
    });
  }
}

// Node's vm with `breakOnSigint` leaves a handler that ends the process, then adds the listeners
// again, for which libuv sets no handler while a signal is taken.
let watchesListeners = false;

function watchListeners(): void {
  if (watchesListeners) return;
  watchesListeners = true;
  const native = loadNative();
  process.on("newListener", (name) => {
    if (typeof name === "string" && Object.hasOwn(NUMBERS, name)) native.takeSignalsAgain();
  });
}

function numberOf(name: unknown): number {
  const number = typeof name === "string" && Object.hasOwn(NUMBERS, name) && NUMBERS[name];
  if (!number) {
    const right = 'give the name of a signal of this system, such as "SIGTERM"';
    throw wordError("signals", name, `one of the names is ${shown(name)}: ${right}`);
  }
  const why = Object.hasOwn(REFUSED, name) && REFUSED[name];
  if (why) throw valueError("signals", `${name} cannot be taken: ${why}`);
  return number;
}

/** See `IO.signals`. */
export function openSignals(
  operations: Operations,
  session: NativeSession,
  names: readonly SignalName[],
): Signals {
  if (!Array.isArray(names)) {
    throw typeError("signals", `the names are ${shown(names)}: give an array of names`);
  }
  if (names.length === 0) throw rangeError("signals", "give 1 name or more, not 0");
  const asked = new Map<number, SignalName>();
  for (const name of names) asked.set(numberOf(name), name);
  operations.check("signals");
  const { versions } = process;
  const other = "bun" in versions ? "Bun" : "deno" in versions ? "Deno" : "";
  if (other !== "") {
    const message = `signals: ${other} keeps the handlers of signals to itself; Node shares them`;
    throw new IOError({ code: "ENOTSUP", operation: "signals", message });
  }
  const descriptor = session.openSignals([...asked.keys()]);
  if (descriptor < 0) throw callError("signals", "sigaction", descriptor, operations.backend);
  watchListeners();
  return new Signals(operations, session, descriptor, asked);
}
