// Rings that are broken on purpose in how they provide buffers: see sabotage.ts.

import { constants } from "node:os";
import type { BufferGroup, MultishotCompletion } from "@io/core";
import { type Sabotage, STREAM, withOverrides } from "./sabotage.js";

const { ECANCELED } = constants.errno;

/** Another way in which it shows: other bytes stand where a chunk is held. */
const HELD = "changed while|are held that";
const COUNTED = "stats: (buffersHeld|\\d+ buffers)";

type Report = (completion: MultishotCompletion, result: number, group: BufferGroup) => void;

/** What the completions of one receive go through on their way to the program. */
type Change = (report: Report) => Report;

function sabotageReceiving(
  name: string,
  foundAs: RegExp,
  change: () => Change,
  wrapGroup: (group: BufferGroup) => BufferGroup = (group) => group,
): Sabotage {
  return {
    name,
    foundAs,
    shownBy: "streams",
    wrap: (ring) => {
      const changed = change();
      return withOverrides(ring, {
        bufferGroup: (options) => wrapGroup(ring.bufferGroup(options)),
        receiveMultishot: (c, callback, descriptor, group, maxBytes) => {
          const report = changed((completion, result) => callback(completion as typeof c, result));
          ring.receiveMultishot(
            c,
            (completion, result) => report(completion, result, group),
            descriptor,
            originals.get(group) ?? group,
            maxBytes,
          );
        },
      });
    },
  };
}

const unchanged = (): Change => (tell) => tell;

/** The ring takes no proxy of a group: the group of each. */
const originals = new WeakMap<BufferGroup, BufferGroup>();

/** A group of which some methods are others. */
function groupWith(group: BufferGroup, overrides: Partial<BufferGroup>): BufferGroup {
  const proxy = new Proxy(group, {
    get(target, key) {
      const own = Reflect.get(overrides, key) ?? Reflect.get(target, key);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
  originals.set(proxy, group);
  return proxy;
}

const every = (count: number): (() => boolean) => {
  let at = 0;
  return () => ++at % count === 0;
};

const overwritten = sabotageReceiving(
  "bytes change while they are held",
  new RegExp(`${STREAM.source}|${HELD}`),
  () => (tell) => (completion, result, group) => {
    const bytes = result > 0 ? group.view(completion.bufferId, completion.offset, result) : null;
    tell(completion, result, group);
    setImmediate(() => {
      if (bytes !== null) bytes[0] = ~(bytes[0] as number);
    });
  },
);

/** Chunks are released without the program, which may look at them as before. */
function releasedEarly(): Sabotage {
  const seen = new WeakMap<
    BufferGroup,
    (bufferId: number, offset: number, count: number) => void
  >();
  const isThird = every(3);
  const change = (): Change => (tell) => (completion, result, group) => {
    tell(completion, result, group);
    if (result > 0) seen.get(group)?.(completion.bufferId, completion.offset, result);
  };
  const wrapGroup = (group: BufferGroup): BufferGroup => {
    const early = new Map<number, number>();
    const views = new Map<string, Uint8Array>();
    const wrapped = groupWith(group, {
      view: (bufferId, offset, length) => {
        const key = `${bufferId} ${offset} ${length}`;
        if ((early.get(bufferId) ?? 0) > 0)
          return views.get(key) ?? group.view(bufferId, offset, length);
        const view = group.view(bufferId, offset, length);
        views.set(key, view);
        return view;
      },
      release: (bufferId) => {
        const count = early.get(bufferId) ?? 0;
        if (count === 0) group.release(bufferId);
        else early.set(bufferId, count - 1);
      },
    });
    // A chunk that the program has released itself by now is free.
    seen.set(wrapped, (bufferId) => {
      if (!isThird()) return;
      try {
        group.release(bufferId);
        early.set(bufferId, (early.get(bufferId) ?? 0) + 1);
      } catch {
        early.set(bufferId, 0);
      }
    });
    return wrapped;
  };
  return sabotageReceiving(
    "a buffer is provided again while it is held",
    new RegExp(`${STREAM.source}|${HELD}|released|returned`),
    change,
    wrapGroup,
  );
}

const forgotten = sabotageReceiving(
  "a released buffer stays away",
  new RegExp(`${COUNTED}|wait for memory|there is memory`),
  unchanged,
  (group) => {
    const isThird = every(3);
    return groupWith(group, {
      release: (bufferId) => {
        if (!isThird()) group.release(bufferId);
      },
    });
  },
);

const unwoken = sabotageReceiving(
  "no stream hears that there is memory again",
  /wait for memory/,
  unchanged,
  (group) => groupWith(group, { whenAvailable: () => undefined }),
);

const ended = sabotageReceiving(
  "a multishot receive ends before its end",
  new RegExp(`${STREAM.source}|${COUNTED}|has not ended`),
  () => (tell) => (completion, result, group) => tell(completion, result > 100 ? 0 : result, group),
);

const lying = sabotageReceiving(
  "a multishot receive that is cancelled reports an end",
  STREAM,
  () => (tell) => (completion, result, group) =>
    tell(completion, result === -ECANCELED ? 0 : result, group),
);

const misplaced = sabotageReceiving(
  "a chunk begins where the one before it did",
  new RegExp(`${STREAM.source}|${HELD}`),
  () => {
    let last = 0;
    return (tell) => (completion, result, group) => {
      const { offset } = completion;
      if (result > 0 && last < offset) completion.offset = last;
      last = offset;
      tell(completion, result, group);
    };
  },
);

export const providedSabotages: readonly Sabotage[] = [
  overwritten,
  releasedEarly(),
  forgotten,
  unwoken,
  ended,
  lying,
  misplaced,
];
