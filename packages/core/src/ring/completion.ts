// The caller-owned completion: the caller starts an operation of the ring with it, and gets it back
// with the result.
import { ENTRY_FLAG_DEADLINE, ENTRY_FLAG_HARD_LINK, ENTRY_FLAG_LINKED } from "../engine/abi.js";
import { inContext } from "../engine/async_context.js";
import type { Held } from "../engine/held.js";
import { typeError } from "../errors.js";
import { shown, wholeNumber } from "../support/check.js";

/**
 * Called when an operation has completed. `result` is a count, a descriptor or 0, or a negative
 * error number (`-os.constants.errno.ENOENT`). A multishot operation calls it many times; on the
 * last call `completion.active` is false.
 *
 * It runs in the `AsyncLocalStorage` of the code that called the verb, as what awaits a promise
 * does.
 *
 * @param completion The completion that the operation was started with.
 * @param result A count, a descriptor or 0; or a negative error number.
 * @category Ring
 */
export type Callback<C = unknown> = (completion: Completion<C>, result: number) => void;

const SOFT = ENTRY_FLAG_LINKED;
const HARD = ENTRY_FLAG_LINKED | ENTRY_FLAG_HARD_LINK;

/** Stands in for the callback while there is none. */
export function noCallback(): void {
  throw new Error("a completion without an operation was called");
}

/**
 * One operation of the ring, owned by the caller and used again and again: starting an operation
 * with it allocates nothing. It can carry one operation at a time.
 *
 * @category Ring
 *
 * @example
 * ```ts
 * import { Completion, IO } from "@io/core";
 *
 * const io = await IO.open({ mode: "detached" });
 * const completion = new Completion({ rounds: 3 });
 * io.ring.nop(completion, function again(completion, result) {
 *   if (result < 0) throw new Error("a nop cannot fail");
 *   if (--completion.context.rounds > 0) io.ring.nop(completion, again);
 * });
 * io.run();
 * await io.close();
 * ```
 */
export class Completion<C = unknown> {
  /** The program's own: whatever the callback needs to go on. */
  context: C;

  /** The slot of the operation in flight, or -1. @internal */
  _slot = -1;
  /** ENTRY_FLAG_* of the operations that are started with it. @internal */
  _flags = 0;
  /** The time limit that ENTRY_FLAG_DEADLINE stands for. @internal */
  _deadlineNs = 0;
  /** @internal */
  _opcode = 0;
  /** @internal */
  _callback: Callback<C> = noCallback;
  /** Memory in use by the operation; several regions by a vectored one. @internal */
  _held: Held | Held[] | null = null;
  /**
   * What it was used with last, and the region that this lies in: the next operation is mostly
   * about the same memory.
   * @internal
   */
  _view: ArrayBufferView | null = null;
  /** @internal */
  _region: Held | null = null;
  /** Where that begins in its ArrayBuffer, and its bytes. @internal */
  _viewStart = 0;
  /** @internal */
  _viewBytes = 0;

  /**
   * Makes a completion that carries no operation yet.
   *
   * @param context What the callback finds in `completion.context`.
   */
  constructor(
    ...context: C extends undefined ? [] : unknown extends C ? [context?: C] : [context: C]
  ) {
    this.context = context[0] as C;
  }

  /** Whether an operation is queued or in flight with it. */
  get active(): boolean {
    return this._slot !== -1;
  }

  /** Whether `_view` is any memory, or only such as stays until the IO is closed. @internal */
  get _keepsAny(): boolean {
    return true;
  }

  /** The callback as it is called for an operation that is started now. @internal */
  _inContext(callback: Callback<C>): Callback<C> {
    return inContext(callback);
  }

  /**
   * Whether the operation that is started with it next is linked to the one that is queued behind
   * that: with `true` it starts when this one has succeeded in full. After a failure, or a read or
   * write of a file that was short, all the rest of the chain completes with -ECANCELED. With
   * "hard" the next one starts whatever came of this one, as a close does behind a read. One that
   * did not start itself, because the chain had failed before it, starts nothing. false unless set,
   * and it stays as it was set.
   *
   * A chain is 32 operations at most. It ends with the first operation whose completion has no
   * link, and all of it is queued before the code returns or awaits, and before anything else is
   * queued. A linked operation that nothing follows by then is dropped with all before it in its
   * chain: they complete with -ECANCELED, none of them runs, and "ERR_IO_CHAIN_OPEN" is an uncaught
   * error. `flush`, `run` and `runFor` throw "ERR_IO_CHAIN_OPEN" until it is queued. A verb that
   * throws has queued nothing, so the chain still waits for its next operation; but at the limit of
   * operations in flight the chain ends: what was queued of it completes with -ECANCELED.
   *
   * Every verb can be in a chain, and a multishot one at its end. When one of them is refused, as
   * with -EBADF, none of the chain starts, and the others complete with -ECANCELED.
   *
   * @example
   * ```ts
   * import { Completion, IO, OpenFlags } from "@io/core";
   *
   * const io = await IO.open({ mode: "detached" });
   * const { ring } = io;
   * const flags = OpenFlags.write | OpenFlags.create;
   * ring.open(new Completion(), opened, "log", flags, 0o600);
   * function opened(_completion: Completion, file: number) {
   *   const written = new Completion();
   *   written.link = true; // the sync starts when the write has succeeded
   *   ring.write(written, () => undefined, file, Buffer.from("entry"), 0);
   *   const synced = new Completion();
   *   synced.timeoutNs = 500e6;
   *   ring.sync(synced, (_synced, result) => process.stdout.write(`${result}\n`), file, "data");
   * }
   * io.run();
   * await io.close();
   * ```
   */
  get link(): boolean | "hard" {
    if ((this._flags & ENTRY_FLAG_HARD_LINK) !== 0) return "hard";
    return (this._flags & ENTRY_FLAG_LINKED) !== 0;
  }

  /**
   * Sets it for the operations that are started from here on.
   *
   * @param link Whether the next operation is linked, and how; null and undefined mean `false`.
   */
  set link(link: boolean | "hard" | null | undefined) {
    if (typeof (link ?? false) !== "boolean" && link !== "hard") {
      throw typeError("Completion", `link is ${shown(link)}: give true, false or "hard"`);
    }
    this._flags = (this._flags & ~HARD) | (link === "hard" ? HARD : link ? SOFT : 0);
  }

  /**
   * The time limit of the operations that are started with it, in nanoseconds, from when they start
   * on; undefined, as it is unless set, for none. An operation that takes longer is cancelled and
   * completes with -ETIMEDOUT, or with its result when it was faster than the cancel. 0 is a limit
   * that is over at once. It stays as it was set.
   *
   * In a chain the limit of an operation begins when that one starts. What the engine does itself
   * has none (cancels, close, bind, listen), nor have multishot operations: with a limit they
   * complete with -EINVAL, and nothing of their chain starts.
   */
  get timeoutNs(): number | undefined {
    return this._flags & ENTRY_FLAG_DEADLINE ? this._deadlineNs : undefined;
  }

  /**
   * Sets it for the operations that are started from here on.
   *
   * @param timeoutNs Nanoseconds, 0 to 2^53 - 1; null and undefined for no limit.
   */
  set timeoutNs(timeoutNs: number | null | undefined) {
    if (timeoutNs === undefined || timeoutNs === null) {
      this._flags &= ~ENTRY_FLAG_DEADLINE;
      return;
    }
    this._deadlineNs = wholeNumber(
      timeoutNs,
      0,
      Number.MAX_SAFE_INTEGER,
      "timeoutNs",
      "Completion",
    );
    this._flags |= ENTRY_FLAG_DEADLINE;
  }
}
