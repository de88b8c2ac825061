// Linked operations with promises: described first, then queued next to each other.
import { constants } from "node:os";
import {
  CHAIN_LIMIT,
  OPERATIONS,
  type OperationName,
  TRANSFER_LIMIT_BYTES,
} from "../engine/abi.js";
import { IOError, operationError, rangeError, typeError } from "../errors.js";
import { type Callback, Completion } from "../ring/completion.js";
import {
  type About,
  aborted,
  type Endings,
  endingsFrom,
  failed,
  type OperationOptions,
  type Operations,
  type Token,
} from "../ring/promises.js";
import type { Ring } from "../ring/ring.js";
import { follow, unfollow } from "../support/aborts.js";
import {
  checkFunction,
  checkMade,
  checkOptions,
  checkTimeout,
  flag,
  knows,
  knowsOnly,
  nanosecondsOf,
  shown,
} from "../support/check.js";

/**
 * Makes the value of an operation of a chain: what `io.chain` resolves with in its place.
 *
 * @param result What the ring gives: a count, a descriptor or 0.
 * @returns the value
 * @category Chains and cancel
 */
export type MemberValue<Value> = (result: number) => Value;

/**
 * How an operation stands in its chain: {@link PreparedOperation.with}. `null` means the same as
 * an option that is absent.
 *
 * @category Chains and cancel
 */
export interface MemberPlace {
  /**
   * What follows starts whatever came of this one, as a close does behind a read; and fewer bytes
   * than it was given are no failure of it. `false` by default: what follows starts when this one
   * has succeeded in full. When the whole chain is aborted, or its time is over, what follows ends
   * too: only a close of what the chain itself has opened is made then.
   */
  hard?: boolean | null | undefined;
  /**
   * Milliseconds that it may take, from when it starts on; then it is cancelled, and fails with
   * `ETIMEDOUT`. No limit by default. A close, a bind, a listen and a cancel take none (`EINVAL`).
   */
  timeoutMs?: number | null | undefined;
}

/**
 * The same, and what `io.chain` resolves with in the place of its result.
 *
 * @category Chains and cancel
 */
export interface MemberOptions<Value> extends MemberPlace {
  /** Makes its value of its result, when the whole chain has succeeded. */
  value: MemberValue<Value>;
}

/** In the place of the bytes that an operation is to move: any count is a success. */
export const ANY_COUNT = -1;
const WITH = knowsOnly("with", "hard", "timeoutMs", "value");

function itself(result: number): number {
  return result;
}

/**
 * An operation that is described and not started: what {@link IO.prepare} and the `prepare` methods
 * of a {@link File} return, and `io.chain()` takes. It may stand in any number of chains.
 *
 * @category Chains and cancel
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using file = await io.openFile("log", { write: true, create: true });
 * const writing = file.prepareWrite("an entry\n", 0); // checked, and not started
 * await io.chain([writing.with({ timeoutMs: 500 }), file.prepareSync("data")]);
 * ```
 */
export class PreparedOperation<Value = number> {
  readonly #ring: Ring;
  /** What the chain makes of its result. */
  readonly value: MemberValue<Value>;
  /** Queues it. @internal */
  readonly start: (completion: Completion<number>, callback: Callback<number>) => void;
  /** What it is about, for its error. @internal */
  readonly subject: About;
  /** The count that means success in full, or -1 where any count does. @internal */
  readonly whole: number;
  /** @internal */
  readonly hard: boolean;
  /** @internal */
  readonly timeoutMs: number | undefined;

  /** @internal */
  static isOne(value: unknown): value is PreparedOperation<unknown> {
    return typeof value === "object" && value !== null && #ring in value;
  }

  /** @internal */
  constructor(
    ring: Ring,
    subject: About,
    whole: number,
    start: PreparedOperation["start"],
    options: MemberPlace & { value?: MemberValue<Value> } = {},
  ) {
    checkMade(ring, "PreparedOperation", "io.prepare, file.prepareRead() or prepareWrite()");
    this.#ring = ring;
    this.subject = subject;
    this.whole = whole;
    this.start = start;
    this.hard = options.hard === true;
    this.timeoutMs = options.timeoutMs ?? undefined;
    this.value = options.value ?? (itself as MemberValue<never>);
  }

  /**
   * The same operation with another value and place in its chain; what is not given is as this one
   * has it.
   *
   * @param options `hard`, `timeoutMs` and `value`.
   * @returns the operation, for `io.chain`
   * @throws The codes of a refused argument: {@link IOError.code}
   *
   * @example
   * ```ts
   * import { IO, StatRecord } from "@io/core";
   *
   * await using io = await IO.open();
   * await (await io.openFile("draft", { write: true, create: true })).close();
   * const record = new StatRecord();
   * const [, stat] = await io.chain([
   *   io.prepare.rename("draft", "log"),
   *   io.prepare.stat("log", record).with({ timeoutMs: 500, value: () => record.stat }),
   * ]);
   * process.stdout.write(`${stat.size}\n`);
   * ```
   */
  with<Other>(options: MemberOptions<Other>): PreparedOperation<Other>;
  /**
   * The same operation with another place in its chain; what is not given is as this one has it.
   *
   * @param options `hard` and `timeoutMs`.
   * @returns the operation, for `io.chain`
   * @throws The codes of a refused argument: {@link IOError.code}
   */
  with(options?: MemberPlace | null): PreparedOperation<Value>;
  with<Other>(
    options?: (MemberPlace & { value?: MemberValue<Other> }) | null,
  ): PreparedOperation<Other> {
    checkOptions(options, WITH);
    const hard = flag(options?.hard, this.hard, "hard", "with");
    const timeoutMs = options?.timeoutMs ?? this.timeoutMs;
    const value = options?.value ?? (this.value as MemberValue<never>);
    if (timeoutMs !== undefined) checkTimeout(timeoutMs, "with");
    checkFunction(value, "value", "with");
    const how = { hard, timeoutMs, value };
    return new PreparedOperation<Other>(this.#ring, this.subject, this.whole, this.start, how);
  }

  /** Whether it is an operation of this ring. @internal */
  isOf(ring: Ring): boolean {
    return this.#ring === ring;
  }
}

/**
 * What `io.chain` resolves with: the value of each operation, in their order.
 *
 * @category Chains and cancel
 */
export type ChainValues<Members extends readonly PreparedOperation<unknown>[]> = {
  -readonly [Index in keyof Members]: Members[Index] extends PreparedOperation<infer Value>
    ? Value
    : never;
};

/**
 * A verb of the ring.
 *
 * @param completion Carries the operation.
 * @param callback Called with the completion and the result.
 * @param given The arguments of this verb.
 * @category Chains and cancel
 */
export type RingVerb<Given extends unknown[]> = (
  completion: Completion,
  callback: Callback,
  ...given: Given
) => void;

/**
 * The arguments of a verb of the ring, behind the completion and the callback.
 *
 * @category Chains and cancel
 */
export type VerbArguments<Verb> = Verb extends RingVerb<infer Given> ? Given : never;

/**
 * A verb of `io.prepare`.
 *
 * @param given The arguments of the ring's verb, behind its completion and callback.
 * @returns the operation, for `io.chain`
 * @category Chains and cancel
 */
export type PrepareVerb<Given extends unknown[]> = (...given: Given) => PreparedOperation;

/**
 * Every verb of the ring that completes once, as `io.prepare` has it. It starts nothing; `io.chain`
 * does, and checks the arguments then, before anything of the chain starts.
 *
 * @category Chains and cancel
 */
export type Prepare = {
  readonly [Verb in Exclude<OperationName, `${string}Multishot`>]: PrepareVerb<
    VerbArguments<Ring[Verb]>
  >;
};

/** Makes `io.prepare`. */
export function prepareOn(ring: Ring): Prepare {
  const verbs: Record<string, (...given: unknown[]) => PreparedOperation> = {};
  for (const { name, kind } of OPERATIONS.values()) {
    if (name.endsWith("Multishot")) continue;
    verbs[name] = (...rest) => {
      // The bytes of a list are counted here, so the program's own may change.
      const given = rest.map((one) => (Array.isArray(one) ? [...one] : one));
      const verb = ring[name] as (...all: unknown[]) => void;
      const subject = kind === "file" ? pathsIn(name, given) : {};
      return new PreparedOperation(ring, subject, wholeOf(name, given[1]), (...first) => {
        verb.call(ring, ...first, ...given);
      });
    };
  }
  return Object.freeze(verbs) as unknown as Prepare;
}

function pathsIn(name: string, [path, dest]: unknown[]): About {
  if (typeof path !== "string") return {};
  const isPair = typeof dest === "string" && /^(rename|link|symlink)$/.test(name);
  return isPair ? { path, dest } : { path };
}

// What is refused later has any length here.
function wholeOf(name: string, memory: unknown): number {
  if (!/^(read|write)(Vectored)?$/.test(name)) return ANY_COUNT;
  const views: unknown[] = Array.isArray(memory) ? memory : [memory];
  const bytes = views.reduce<number>((sum, view) => sum + Number(Object(view).byteLength), 0);
  return Math.min(bytes, TRANSFER_LIMIT_BYTES);
}

const CHAIN = knows("chain");

/** Runs a chain; see `IO.chain`. */
export function runChain(
  operations: Operations,
  prepared: readonly PreparedOperation<unknown>[],
  options?: OperationOptions | null,
): Promise<unknown[]> {
  return new Promise((resolve) => {
    const endings = endingsFrom(options, CHAIN);
    const members = membersOf(operations.ring, prepared);
    operations.checkRoom(members.length + (endings.timeoutMs === undefined ? 0 : 1));
    new Running(operations, members, endings, resolve).start();
  });
}

function membersOf(
  ring: Ring,
  given: readonly PreparedOperation<unknown>[],
): PreparedOperation<unknown>[] {
  if (!Array.isArray(given)) {
    throw typeError("chain", `the operations are ${shown(given)}: give an array of them`);
  }
  const prepared: PreparedOperation<unknown>[] = [...given];
  if (prepared.length < 1 || prepared.length > CHAIN_LIMIT) {
    throw rangeError("chain", `give 1 to ${CHAIN_LIMIT} operations, not ${prepared.length}`);
  }
  for (const one of prepared) {
    if (!PreparedOperation.isOne(one)) {
      const right = "give what io.prepare or a prepare method of a file returns";
      throw typeError("chain", `an operation is ${shown(one)}: ${right}`);
    }
    if (!one.isOf(ring)) throw typeError("chain", "all operations must be of this IO");
  }
  return prepared;
}

type Resolve = (values: unknown[] | Promise<never>) => void;

const CANCELED = -constants.errno.ECANCELED;

/** Says which operation it was and what came of all; the error may be one of the program's own. */
function describe(error: unknown, member: number, results: readonly number[]): void {
  if (!(error instanceof Error)) return;
  Reflect.set(error, "member", member);
  Reflect.set(error, "results", results);
}

/** A chain in flight: its operations, its time limit, and the signal that it follows. */
class Running {
  readonly #operations: Operations;
  readonly #prepared: readonly PreparedOperation<unknown>[];
  readonly #members: Completion<number>[];
  readonly #results: number[];
  readonly #opcodes: number[];
  readonly #endings: Endings;
  readonly #resolve: Resolve;
  readonly #limit = new Completion();
  #left: number;
  #ended: "aborted" | "late" | null = null;
  // Why nothing of it runs: what a verb has thrown, or that the engine has refused one.
  #refusal: unknown = null;
  #isRefused = false;
  // Names the first one to the engine.
  #token: Token = [-1, 0];

  constructor(
    operations: Operations,
    prepared: readonly PreparedOperation<unknown>[],
    endings: Endings,
    resolve: Resolve,
  ) {
    this.#operations = operations;
    this.#prepared = prepared;
    this.#members = prepared.map((_, index) => new Completion(index));
    this.#results = new Array<number>(prepared.length).fill(0);
    this.#opcodes = new Array<number>(prepared.length).fill(0);
    this.#endings = endings;
    this.#resolve = resolve;
    this.#left = prepared.length;
  }

  /** Queues all of it; there is room for that. */
  start(): void {
    const last = this.#members.length - 1;
    for (const [index, member] of this.#members.entries()) {
      const { hard, timeoutMs, start } = this.#prepared[index] as PreparedOperation;
      member.link = index < last && (hard ? "hard" : true);
      if (timeoutMs !== undefined) member.timeoutNs = nanosecondsOf(timeoutMs);
      try {
        // The arguments may run code of the program, which must not call the library.
        if (index > 0) this.#operations.checkChained(index);
        start(member, this.#completed);
      } catch (error) {
        this.#results.fill(CANCELED);
        describe(error, index, this.#results);
        if (index === 0) throw error;
        // Those before it complete without having started.
        this.#refusal = error;
        this.#left = index;
        this.#operations.cancelChain();
        return;
      }
      if (index === 0) this.#token = this.#operations.tokenOf(member);
    }
    const { signal, timeoutMs } = this.#endings;
    if (signal !== undefined) follow(signal, this.#abort);
    if (timeoutMs === undefined) return;
    this.#operations.ring.timeout(this.#limit, this.#elapsed, nanosecondsOf(timeoutMs));
  }

  readonly #abort = (): void => {
    this.#ended ??= "aborted";
    this.#cancel();
  };

  readonly #elapsed = (_limit: Completion, result: number): void => {
    if (result < 0 || this.#left === 0) return; // it was cancelled
    this.#ended ??= "late";
    this.#cancel();
  };

  // The first member that is in flight; when it ends, those behind it end too. If it was faster
  // than the cancel, or its link is hard, the next member follows and is cancelled then.
  #cancel(): void {
    const first = this.#members.find((member) => member.active);
    if (first !== undefined) this.#operations.cancel(first);
  }

  readonly #completed = (completion: Completion<number>, result: number): void => {
    if (completion.active) return; // the first step of a send without a copy
    const { context: index } = completion;
    this.#results[index] = result;
    this.#opcodes[index] = completion._opcode;
    // When one is refused, all are.
    if (index === 0) this.#isRefused = this.#operations.wasRefused(this.#token);
    this.#left--;
    if (this.#left > 0) {
      if (this.#ended !== null) this.#cancel();
      return;
    }
    const { signal } = this.#endings;
    if (signal !== undefined) unfollow(signal, this.#abort);
    if (this.#limit.active) this.#operations.cancel(this.#limit);
    const error = this.#refusal ?? this.#error();
    this.#resolve(error === undefined ? this.#values() : failed(error));
  };

  #values(): unknown[] | Promise<never> {
    let member = 0;
    try {
      return this.#prepared.map(({ value }, index) => {
        member = index;
        return value(this.#results[index] as number);
      });
    } catch (error) {
      describe(error, member, this.#results);
      return Promise.reject(error);
    }
  }

  #error(): IOError | undefined {
    const results = this.#results;
    const first = results.findIndex(this.#fails);
    if (first === -1) return undefined;
    const isEnded = this.#ended !== null && results[first] === CANCELED;
    // One that was refused has ended all the others, also those before it.
    const own = this.#isRefused ? results.findIndex((result) => result !== CANCELED) : -1;
    const member = own !== -1 && !isEnded ? own : first;
    const error = isEnded ? this.#endedError() : this.#errorOf(member);
    return Object.assign(error, { member, results });
  }

  readonly #fails = (result: number, index: number): boolean => {
    const { hard, whole } = this.#prepared[index] as PreparedOperation;
    return result < 0 || (!hard && result < whole);
  };

  #errorOf(member: number): IOError {
    const { backend } = this.#operations;
    const result = this.#results[member] as number;
    const { subject, whole } = this.#prepared[member] as PreparedOperation;
    const place = `operation ${member + 1} of ${this.#results.length}`;
    if (result < 0) {
      const error = operationError(this.#opcodes[member] as number, result, backend, subject);
      error.message = `chain, ${place}: ${error.message}`;
      return error;
    }
    const isLast = member === this.#results.length - 1;
    const message =
      `chain: ${place} moved ${result} of ${whole} bytes` +
      (isLast ? "" : ", so the ones behind it were not started");
    return new IOError({ code: "ERR_IO_CHAIN_SHORT", operation: "chain", backend, message });
  }

  #endedError(): IOError {
    const { signal, timeoutMs } = this.#endings;
    if (this.#ended === "aborted") return aborted("chain", signal as AbortSignal);
    const done = this.#results.filter((result) => result >= 0).length;
    const message =
      `chain took longer than ${timeoutMs} ms, its time limit: ${done} of ` +
      `${this.#results.length} operations were done`;
    const { backend } = this.#operations;
    return new IOError({ code: "ETIMEDOUT", operation: "chain", backend, message });
  }
}
