// The verbs that wait until a descriptor is ready. They are part of the ring: see ring.ts.
import * as abi from "../engine/abi.js";
import type { Callback, Completion } from "./completion.js";
import { PathVerbs } from "./ring_paths.js";
import type { Descriptor } from "./types.js";

/**
 * What a poll waits for: that a read, or a write, would not wait.
 *
 * @category Descriptors
 */
export type PollEvent = "readable" | "writable";

/**
 * The result of a poll of the ring, as bits. `hangUp` and `error` are reported whatever the poll
 * waits for.
 *
 * @category Ring
 */
export const PollFlags = {
  /** A read would not wait: there are bytes, a connection, or the end. */
  readable: abi.POLL_READABLE,
  /** A write would not wait. */
  writable: abi.POLL_WRITABLE,
  /** The other end is closed (POLLHUP). */
  hangUp: abi.POLL_HANG_UP,
  /** An error is pending (POLLERR). */
  error: abi.POLL_ERROR,
} as const;

const EVENT_NUMBERS = {
  readable: abi.POLL_READABLE,
  writable: abi.POLL_WRITABLE,
} as const;

/** The verbs of {@link Ring} that wait until a descriptor is ready. */
export abstract class PollVerbs extends PathVerbs {
  /**
   * Waits until a descriptor is ready; completes with the bits of {@link PollFlags} that hold. No
   * byte is taken. For descriptors of other code see `io.borrow()`.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param event "readable" or "writable".
   * @throws As every verb: see {@link Ring}
   */
  poll<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    event: PollEvent,
  ): void {
    this.#poll(completion, callback, abi.OPCODE_POLL, descriptor, event);
  }

  /**
   * The same again and again: the callback is given the bits when the descriptor is ready at the
   * beginning, and from then on each time something arrives or more space is free. What is left of
   * it is not reported again, so take all there is. `completion.active` is false on the last call.
   * A multishot operation may end at any time without an error; then start it again. It cannot be
   * linked.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param event "readable" or "writable".
   * @throws As every verb: see {@link Ring}
   */
  pollMultishot<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    event: PollEvent,
  ): void {
    this.#poll(completion, callback, abi.OPCODE_POLL_MULTISHOT, descriptor, event);
  }

  #poll<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    opcode: number,
    descriptor: Descriptor,
    event: PollEvent,
  ): void {
    const name = this.nameOf(opcode);
    this.queue.checkText(name, completion);
    const number = this.oneOf(event, EVENT_NUMBERS, "the event", name);
    const at = this.descriptor(completion, callback, opcode, descriptor);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = number;
  }
}
