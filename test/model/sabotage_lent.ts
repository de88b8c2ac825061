// Rings that are broken on purpose in how they lend memory: see sabotage.ts.

import { constants } from "node:os";
import type { BufferGroup, MultishotCompletion } from "@io/core";
import { type Sabotage, STREAM, withOverrides } from "./sabotage.js";

const { ECANCELED } = constants.errno;

/** Another way in which it shows: somebody else's bytes stand where a lot is held. */
const HELD = "changed while|are lent that";
const COUNTED = "stats: (buffersHeld|\\d+ buffers)";

type Lend = (completion: MultishotCompletion, result: number, group: BufferGroup) => void;

/** What the completions of one receive go through on their way to the program. */
type Change = (tell: Lend) => Lend;

function lending(
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
          const told = changed((completion, result) => callback(completion as typeof c, result));
          ring.receiveMultishot(
            c,
            (completion, result) => told(completion, result, group),
            descriptor,
            group,
            maxBytes,
          );
        },
      });
    },
  };
}

const unchanged = (): Change => (tell) => tell;

/** A group of which some methods are others. */
function groupWith(group: BufferGroup, overrides: Partial<BufferGroup>): BufferGroup {
  return new Proxy(group, {
    get(target, key) {
      const own = Reflect.get(overrides, key) ?? Reflect.get(target, key);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
}

const every = (count: number): (() => boolean) => {
  let at = 0;
  return () => ++at % count === 0;
};

const overwritten = lending(
  "bytes change while they are lent",
  new RegExp(`${STREAM.source}|${HELD}`),
  () => (tell) => (completion, result, group) => {
    const bytes = result > 0 ? group.view(completion.bufferId, completion.offset, result) : null;
    tell(completion, result, group);
    setImmediate(() => {
      if (bytes !== null) bytes[0] = ~(bytes[0] as number);
    });
  },
);

/** Lots are given back behind the back of the program, which may look at them as before. */
function givenBackEarly(): Sabotage {
  const seen = new WeakMap<BufferGroup, (piece: number, offset: number, count: number) => void>();
  const isThird = every(3);
  const change = (): Change => (tell) => (completion, result, group) => {
    tell(completion, result, group);
    if (result > 0) seen.get(group)?.(completion.bufferId, completion.offset, result);
  };
  const wrapGroup = (group: BufferGroup): BufferGroup => {
    const early = new Map<number, number>();
    const views = new Map<string, Uint8Array>();
    const wrapped = groupWith(group, {
      view: (piece, offset, length) => {
        const key = `${piece} ${offset} ${length}`;
        if ((early.get(piece) ?? 0) > 0) return views.get(key) ?? group.view(piece, offset, length);
        const view = group.view(piece, offset, length);
        views.set(key, view);
        return view;
      },
      release: (piece) => {
        const count = early.get(piece) ?? 0;
        if (count === 0) group.release(piece);
        else early.set(piece, count - 1);
      },
    });
    // One that the program has given back itself by now is nobody's any more.
    seen.set(wrapped, (piece) => {
      if (!isThird()) return;
      try {
        group.release(piece);
        early.set(piece, (early.get(piece) ?? 0) + 1);
      } catch {
        early.set(piece, 0);
      }
    });
    return wrapped;
  };
  return lending(
    "a piece is lent again while it is held",
    new RegExp(`${STREAM.source}|${HELD}|given back|returned`),
    change,
    wrapGroup,
  );
}

const forgotten = lending(
  "memory that was given back stays away",
  new RegExp(`${COUNTED}|wait for memory|there is memory`),
  unchanged,
  (group) => {
    const isThird = every(3);
    return groupWith(group, {
      release: (piece) => {
        if (!isThird()) group.release(piece);
      },
    });
  },
);

const unwoken = lending(
  "nobody is told that there is memory again",
  /wait for memory/,
  unchanged,
  (group) => groupWith(group, { whenAvailable: () => undefined }),
);

const ended = lending(
  "a receive of lots ends before its end",
  new RegExp(`${STREAM.source}|${COUNTED}|has not ended`),
  () => (tell) => (completion, result, group) => tell(completion, result > 100 ? 0 : result, group),
);

const lying = lending(
  "a receive of lots that is cancelled tells of an end",
  STREAM,
  () => (tell) => (completion, result, group) =>
    tell(completion, result === -ECANCELED ? 0 : result, group),
);

const misplaced = lending(
  "a lot begins where the one before it did",
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

export const lentSabotages: readonly Sabotage[] = [
  overwritten,
  givenBackEarly(),
  forgotten,
  unwoken,
  ended,
  lying,
  misplaced,
];
