// The verbs of control messages, and of descriptors that are given away: see ring.ts.
import { MessageControl } from "../descriptors/message_control.js";
import * as abi from "../engine/abi.js";
import type { Region } from "../engine/memory.js";
import { IOError } from "../errors.js";
import { checkInstance } from "../support/check.js";
import type { Callback, Completion } from "./completion.js";
import { XattrVerbs } from "./ring_xattr.js";
import type { Descriptor } from "./types.js";

/** The verbs of {@link Ring} for what goes beside the bytes of a message. */
export abstract class ControlVerbs extends XattrVerbs {
  /**
   * Gives up a descriptor, as a close does, and leaves it open: ends what is in flight on it, and
   * completes with the system's number, which is the program's from then on.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @throws As every verb: see {@link Ring}
   */
  detach<C>(completion: Completion<C>, callback: Callback<C>, descriptor: Descriptor): void {
    this.queue.checkText("detach", completion);
    this.descriptor(completion, callback, abi.OPCODE_DETACH, descriptor);
  }

  /**
   * Sends one message with what goes beside it: descriptors over a unix socket, the size of the
   * datagrams that it is cut into, its type of service. Completes with the bytes sent. Passed
   * descriptors may be closed as soon as the verb has returned and the batch was handed over.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param message The bytes, or up to 1,024 views; the kernel's until the final callback.
   * @param control What goes with them. It is copied, and may be used again at once.
   * @throws As every verb: see {@link Ring}
   */
  sendControl<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    message: ArrayBufferView | readonly ArrayBufferView[],
    control: MessageControl,
  ): void {
    this.queue.checkText("sendControl", completion);
    this.#check(control, "sendControl");
    const opcode = abi.OPCODE_SEND_CONTROL;
    const isList = Array.isArray(message);
    const vectors = isList ? message.length * abi.VECTOR_DOUBLES * 8 : 0;
    const { sentRecord, count } = control;
    this.queue.reserveText(vectors + sentRecord.byteLength);
    const { textUsed } = this.queue;
    let record: number;
    let at: number;
    try {
      record = this.queue.putRecord(sentRecord, "sendControl");
      at = isList
        ? this.vectored(completion, callback, opcode, "sendControl", descriptor, message)
        : this.transfer(
            completion,
            callback,
            opcode,
            "sendControl",
            descriptor,
            message as ArrayBufferView,
          );
    } catch (error) {
      this.queue.textUsed = textUsed;
      throw error;
    }
    const { words, doubles } = this.queue;
    doubles[at / 2 + abi.ENTRY_OFFSET] = record;
    words[at + abi.ENTRY_ARGUMENT] = isList ? abi.MESSAGE_VECTORED : 0;
    words[at + abi.ENTRY_ARGUMENT_EXTRA] = count;
    const { reuses } = this.memory;
    if (reuses !== null) this.checkSent(completion, reuses, "sendControl", message);
  }

  /**
   * Receives one message, or bytes of a stream, with what came beside them; completes with the
   * bytes. Descriptors that came are the program's to close. One receive at a time may use a
   * MessageControl ("ERR_IO_ADDRESS_ACTIVE").
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param descriptor What the operation works on: a descriptor of this IO.
   * @param buffer The memory, which is the kernel's until the final callback.
   * @param control What the rest is written into.
   * @throws As every verb: see {@link Ring}; `ERR_IO_ADDRESS_ACTIVE` when another receive writes
   *   into `control`
   */
  receiveControl<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    descriptor: Descriptor,
    buffer: ArrayBufferView,
    control: MessageControl,
  ): void {
    this.queue.checkText("receiveControl", completion);
    this.#check(control, "receiveControl");
    const region = this.region(control.record, "receiveControl");
    if (region.inFlight > 0) throw controlActive();
    region.inFlight++; // before making room for the buffer could release it
    let at: number;
    try {
      const opcode = abi.OPCODE_RECEIVE_CONTROL;
      at = this.transfer(completion, callback, opcode, "receiveControl", descriptor, buffer);
    } catch (error) {
      region.finish();
      throw error;
    }
    control.held[0] = completion._held as Region;
    control.held[1] = region;
    completion._held = control.held;
    this.queue.words[at + abi.ENTRY_ARGUMENT] = region.handle;
    this.queue.doubles[at / 2 + abi.ENTRY_OFFSET] = control.record.byteOffset - region.handleStart;
  }

  #check(given: MessageControl, operation: string): void {
    if (MessageControl.isOne(given)) return;
    checkInstance(given, MessageControl, "a MessageControl", "the control", operation);
  }
}

function controlActive(): IOError {
  return new IOError({
    code: "ERR_IO_ADDRESS_ACTIVE",
    operation: "receiveControl",
    message:
      "receiveControl: another receive writes into this MessageControl; wait for it, or use " +
      "another",
  });
}
