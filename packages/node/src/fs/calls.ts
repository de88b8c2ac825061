// Calls of the ring as promises. A promise resolves with what the ring says, a negative error
// number too: the function that awaits it makes the error, so that its stack names the caller.

import { type Callback, Completion } from "@io/core";

type Resolve = (result: number) => void;

/** Queues one operation of the ring. */
export type Start = (completion: Completion<Resolve>, callback: Callback<Resolve>) => void;

const pool: Completion<Resolve>[] = [];

function nothing(): void {}

function settle(completion: Completion<Resolve>, result: number): void {
  const resolve = completion.context;
  completion.context = nothing;
  pool.push(completion);
  resolve(result);
}

/** Runs one operation; what the ring throws rejects the promise. */
export function call(start: Start): Promise<number> {
  return new Promise((resolve) => {
    const completion = pool.pop() ?? new Completion<Resolve>(nothing);
    completion.context = resolve;
    try {
      start(completion, settle);
    } catch (error) {
      completion.context = nothing;
      pool.push(completion);
      throw error;
    }
  });
}
