// The process's mask of permissions (umask). A call that makes a file is carried out after the turn
// in which it was made, and process.umask() in between must not change the file's mode: a private
// file would be readable for all. No system returns the mask without setting it, so process.umask()
// is wrapped: before the mask changes, the queued calls get the mask under which they were made.
// The reasons are in docs/decisions/calls-and-turns.md.
import { syncBuiltinESMExports } from "node:module";

/** What queues calls that make files. */
export interface MaskedQueue {
  /** Carries out what makes a file without naming its permissions: the bind of a unix socket. */
  beforeMaskChanges(): void;
  /** What is queued keeps this mask. */
  keepMask(mask: number): void;
}

/** The time between two changes. The mask is known when it is over. */
export interface Moment {
  mask: number | undefined;
}

const queues = new Set<WeakRef<MaskedQueue>>();
let moment: Moment = { mask: undefined };
let wrapped = false;

/** Now; its `mask` says later which one counted, and is undefined while that still does. */
export function momentOfMask(): Moment {
  return moment;
}

/** Looks after a queue until the function that it returns is called. */
export function keepMaskOf(queue: MaskedQueue): () => void {
  wrap();
  const reference = new WeakRef(queue);
  queues.add(reference);
  return () => {
    queues.delete(reference);
  };
}

function each(action: (queue: MaskedQueue) => void): void {
  for (const reference of queues) {
    const queue = reference.deref();
    if (queue === undefined) queues.delete(reference);
    else action(queue);
  }
}

function wrap(): void {
  if (wrapped) return;
  wrapped = true;
  const property = Object.getOwnPropertyDescriptor(process, "umask");
  const system = process.umask;
  if (property?.writable !== true) return; // a program that has frozen it does not change it
  process.umask = function umask(mask?: string | number): number {
    if (mask === undefined) return Reflect.apply(system, process, []);
    each((queue) => queue.beforeMaskChanges());
    const before: number = Reflect.apply(system, process, [mask]);
    moment.mask = before;
    moment = { mask: undefined };
    each((queue) => queue.keepMask(before));
    return before;
  };
  // For `import { umask } from "node:process"`.
  syncBuiltinESMExports();
}
