// The AsyncLocalStorage of those who call the ring. A promise keeps it by itself; a callback runs
// in that of its verb's caller only if that is captured, which costs as much as an empty operation.
// So nothing is captured before the program uses a storage for the first time. Node has no way to
// ask for that. Until then the methods that enter one are replaced by others that note it, put the
// methods back, and go on with them.

import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";

type Enter = (this: unknown, ...given: unknown[]) => unknown;
type Called<C> = (completion: C, result: number) => void;

// `exit` is made of `run`.
const ENTERING = ["run", "enterWith", "withScope"];

/** Whether the program has used an AsyncLocalStorage. */
export const storages = { inUse: usedBefore() };

/** The callback, to be called in the AsyncLocalStorage of now. */
export function inContext<C>(callback: Called<C>): Called<C> {
  const resource = new AsyncResource("IOCompletion");
  return (completion, result) => {
    resource.runInAsyncScope(callback, undefined, completion, result);
  };
}

/** The same of a function that is called once and gives something. */
export function boundToContext<R>(callback: () => R): () => R {
  const resource = new AsyncResource("IOCallback");
  return () => resource.runInAsyncScope(callback);
}

// Of what was used before this module was loaded a fresh resource tells: it has the stores (Node up
// to 22) or the frame (since 24) of its maker.
function usedBefore(): boolean {
  const resource: object = new AsyncResource("IOCompletion");
  return Object.getOwnPropertySymbols(resource).some((symbol) => {
    const { description } = symbol;
    if (description === "kResourceStore") return true;
    return description === "context_frame" && Reflect.get(resource, symbol) !== undefined;
  });
}

function noteFirstUse(): void {
  const { prototype } = AsyncLocalStorage;
  const putBack: (() => void)[] = [];
  for (const name of ENTERING) {
    const before = Object.getOwnPropertyDescriptor(prototype, name);
    if (before === undefined) continue;
    const enter = before.value as Enter;
    const value = function (this: unknown, ...given: unknown[]): unknown {
      storages.inUse = true;
      for (const one of putBack) one();
      return Reflect.apply(enter, this, given);
    };
    // Where the class is frozen there is no other way to know.
    if (!Reflect.defineProperty(prototype, name, { ...before, value })) storages.inUse = true;
    putBack.push(() => {
      // Another program may have put its own in place of this one, and calls it.
      if (Reflect.get(prototype, name) !== value) return;
      Reflect.defineProperty(prototype, name, before);
    });
  }
}

if (!storages.inUse) noteFirstUse();
