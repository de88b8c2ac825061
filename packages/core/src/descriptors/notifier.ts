// Notifiers: small values from any thread of the process, which end the wait of the IO's thread.
import { constants } from "node:os";
import { loadNative } from "../engine/load.js";
import type { NativeSession } from "../engine/native.js";
import { IOError } from "../errors.js";
import type { Operations } from "../ring/promises.js";
import type { Descriptor } from "../ring/types.js";
import { checkMade, shown, valueError, wholeNumber } from "../support/check.js";
import { callError } from "./call_error.js";
import { Values } from "./values.js";

const MAX_VALUE = 0x7fffffff;

/**
 * What names a {@link Notifier} in every thread of the process: a plain object, for `workerData`
 * and `postMessage()`. It names nothing in another process, and nothing once the notifier is
 * closed.
 *
 * @category Descriptors
 */
export interface NotifierToken {
  /** The number of the notifier, which no other one gets. */
  readonly notifier: number;
}

/**
 * Sends a value to a notifier, from any thread of the process, which needs no IO of its own. It
 * never waits. A thread that waits in `io.runFor()`, or in its event loop, goes on.
 *
 * @param token The `token` of the notifier.
 * @param value A whole number, 0 to 2^31 - 1; 0 by default.
 * @throws `ERR_IO_NOTIFIER_CLOSED` when the notifier, its IO or its Worker has ended;
 *   `ERR_IO_NOTIFIER_FULL` when 65,536 values wait; the codes of a refused argument: {@link
 *   IOError.code}
 * @category Descriptors
 *
 * @example
 * ```ts
 * import { IO, notify } from "@io/core";
 *
 * await using io = await IO.open();
 * await using notifier = io.notifier();
 * notify(notifier.token, 7); // mostly in a Worker, which was given the token
 * process.stdout.write(`${await notifier.receive()}\n`);
 * ```
 */
export function notify(token: NotifierToken, value = 0): void {
  const number: unknown = (token as Partial<NotifierToken> | null | undefined)?.notifier;
  if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0) {
    throw valueError("notify", `the token is ${shown(token)}: give that of a notifier`);
  }
  wholeNumber(value, 0, MAX_VALUE, "the value", "notify");
  const result = loadNative().notify(number, value);
  if (result < 0) throw notifyError(result);
}

function notifyError(errno: number): IOError {
  if (errno === -constants.errno.EBADF) {
    const message = "notify: the notifier is closed, or its IO is, or its thread has ended";
    return new IOError({ code: "ERR_IO_NOTIFIER_CLOSED", operation: "notify", message });
  }
  if (errno === -constants.errno.ENOBUFS) {
    const message =
      "notify: 65,536 values wait for the notifier's thread, which is the limit: send again when " +
      "it has taken some";
    return new IOError({ code: "ERR_IO_NOTIFIER_FULL", operation: "notify", message });
  }
  return callError("notify", "write", errno, "");
}

/**
 * Receives small values that other threads send with {@link notify}: one at a time with
 * `receive()`, or as an async iterable, which ends when the notifier or its IO is closed. Values
 * come in the order in which they were sent, each of them once.
 *
 * A detached program polls its `descriptor` with `io.ring.poll()` and calls `take()`.
 *
 * @category Descriptors
 *
 * @example
 * ```ts
 * import { Worker } from "node:worker_threads";
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open();
 * await using notifier = io.notifier();
 * const program = `
 *   const { workerData } = require("node:worker_threads");
 *   import(workerData.core).then(({ notify }) => notify(workerData.token, 42));
 * `;
 * const core = import.meta.resolve("@io/core");
 * new Worker(program, { eval: true, workerData: { core, token: notifier.token } });
 * process.stdout.write(`${await notifier.receive()}\n`);
 * ```
 */
export class Notifier extends Values<number> {
  /** What other threads are given. */
  readonly token: NotifierToken;

  /** @internal */
  constructor(
    operations: Operations,
    session: NativeSession,
    descriptor: Descriptor,
    number: number,
  ) {
    checkMade(operations, "Notifier", "io.notifier()");
    const values = new Int32Array(1);
    super(operations, {
      session,
      descriptor,
      name: "notifier",
      take: () => {
        const count = session.takeNotifications(number, descriptor, values);
        return count === 1 ? values[0] : undefined;
      },
      end: () => session.closeNotifier(number),
    });
    this.token = Object.freeze({ notifier: number });
  }

  /**
   * Sends a value to itself: {@link notify} with its own token.
   *
   * @param value A whole number, 0 to 2^31 - 1; 0 by default.
   * @throws `ERR_IO_NOTIFIER_CLOSED`, `ERR_IO_NOTIFIER_FULL`; the codes of a refused argument:
   *   {@link IOError.code}
   */
  notify(value = 0): void {
    notify(this.token, value);
  }
}
