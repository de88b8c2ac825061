// The verbs that watch files. They are part of the ring: see ring.ts.
import * as abi from "../engine/abi.js";
import type { Callback, Completion } from "./completion.js";
import { PollVerbs } from "./ring_poll.js";
import type { Descriptor } from "./types.js";

const MAX_NUMBER = 0x7fffffff;

/** The verbs of {@link Ring} that watch files. */
export abstract class WatchVerbs extends PollVerbs {
  /**
   * Opens a watch, to which files and directories are added; completes with its descriptor. A read
   * of it gives the records of inotify(7), as many as have space, and waits until there is one. On
   * macOS and the BSDs it is a kqueue: its records have no names, and their mask is one of the
   * NOTE_* of EVFILT_VNODE.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @throws As every verb: see {@link Ring}
   */
  watch<C>(completion: Completion<C>, callback: Callback<C>): void {
    this.queue.checkText("watch", completion);
    this.queue.begin(completion, callback, abi.OPCODE_WATCH);
  }

  /**
   * Adds an open file or directory to a watch; completes with its number in the records. On Linux
   * the same file has the same number, and may be closed afterwards. On macOS and the BSDs the
   * descriptor has the number, and its close takes the file out of the watch.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param watch The descriptor of the watch.
   * @param descriptor That of the file or directory.
   * @throws As every verb: see {@link Ring}
   */
  watchAdd<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    watch: Descriptor,
    descriptor: Descriptor,
  ): void {
    this.queue.checkText("watchAdd", completion);
    const opcode = abi.OPCODE_WATCH_ADD;
    this.checkDescriptor(descriptor, opcode);
    const at = this.descriptor(completion, callback, opcode, watch);
    const { words, doubles } = this.queue;
    words[at + abi.ENTRY_ARGUMENT] = descriptor;
    words[at + abi.ENTRY_LENGTH] = 0;
    doubles[at / 2 + abi.ENTRY_OFFSET] = 0;
    doubles[at / 2 + abi.ENTRY_EXTENT] = 0;
  }

  /**
   * Removes a file or directory from a watch; completes with 0, or with -EINVAL when it is not in
   * it any more.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param watch The descriptor of the watch.
   * @param number What `watchAdd` has completed with.
   * @throws As every verb: see {@link Ring}
   */
  watchRemove<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    watch: Descriptor,
    number: number,
  ): void {
    this.queue.checkText("watchRemove", completion);
    this.checkWhole(number, MAX_NUMBER, "watchRemove", "number");
    const at = this.descriptor(completion, callback, abi.OPCODE_WATCH_REMOVE, watch);
    this.queue.words[at + abi.ENTRY_ARGUMENT] = number;
  }
}
