// Rings that are broken on purpose, each in one way. The checks must find every one of them: that
// is how one knows that they would find the same in the engine.

import { constants } from "node:os";
import { type Callback, Completion, type Descriptor, type Ring } from "@io/core";
import type { Copy } from "./trees/copies.js";
import type { WrapEvents } from "./trees/watches.js";

const { EBADF, ECANCELED, EEXIST, ENOENT } = constants.errno;

interface Shown {
  readonly name: string;
  /** What the checks say of it. */
  readonly foundAs: RegExp;
  /** So few steps show it, every time: with a socket that has to be accepted first, some more. */
  readonly maxSteps?: number;
}

/** What is broken, and which programs show it. */
export type Sabotage = Shown &
  (
    | { readonly shownBy: "streams" | "files"; wrap(ring: Ring): Ring }
    | { readonly shownBy: "copies"; wrap(copy: Copy): Copy }
    | { readonly shownBy: "watches"; readonly wrap: WrapEvents }
  );

/** What is wrong with a stream shows in one of these ways, depending on what comes next. */
export const STREAM = new RegExp(
  [
    "wrong bytes",
    "more were received than sent",
    "was written",
    "are missing",
    "after the end of the stream",
    "that has no cause",
    "that no peer sent",
    "never sent",
    "broke their chain",
  ].join("|"),
);

/**
 * A receive waits for bytes that were not reported, and never ends; and they
 * take the room that a send waits for.
 */
const LOSS = new RegExp(
  `${STREAM.source}|never happened: (the ends of #\\d+ (receive|send|next)|the rest)`,
);

type Overrides = Partial<{ [K in keyof Ring]: Ring[K] }>;

export function withOverrides(ring: Ring, overrides: Overrides): Ring {
  return new Proxy(ring, {
    get(target, key) {
      const own = Reflect.get(overrides, key) ?? Reflect.get(target, key);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
}

/** The same callback with another result. */
function changed<C>(callback: Callback<C>, change: (result: number) => number): Callback<C> {
  return (completion, result) => callback(completion, change(result));
}

const receives = (name: string, foundAs: RegExp, change: (result: number) => number): Sabotage => ({
  name,
  foundAs,
  shownBy: "streams",
  wrap: (ring) =>
    withOverrides(ring, {
      receive: (c, callback, descriptor, buffer) =>
        ring.receive(c, changed(callback, change), descriptor, buffer),
    }),
});

const every = (count: number): (() => boolean) => {
  let at = 0;
  return () => ++at % count === 0;
};

const dropped: Sabotage = {
  name: "one completion in ten is dropped",
  // Bytes that were received go with it, so that it shows in many ways.
  foundAs: new RegExp(`never happened|asked to end|in flight|stands before|${STREAM.source}`),
  shownBy: "streams",
  wrap: (ring) => {
    const isTenth = every(10);
    return withOverrides(ring, {
      receive: (c, callback, descriptor, buffer) =>
        ring.receive(
          c,
          (completion, result) => {
            if (!isTenth()) callback(completion, result);
          },
          descriptor,
          buffer,
        ),
    });
  },
};

const doubled: Sabotage = {
  name: "one completion in ten comes twice",
  foundAs: /completed again/,
  shownBy: "streams",
  wrap: (ring) => {
    const isTenth = every(10);
    return withOverrides(ring, {
      send: (c, callback, descriptor, buffer) =>
        ring.send(
          c,
          (completion, result) => {
            callback(completion, result);
            if (isTenth()) callback(completion, result);
          },
          descriptor,
          buffer,
        ),
    });
  },
};

/** Two receives that have completed on one socket are reported in the wrong order. */
const reordered: Sabotage = {
  name: "two receives of one socket change places",
  foundAs: STREAM,
  shownBy: "streams",
  wrap: (ring) => {
    const counts = new Map<Descriptor, number>();
    const held = new Map<Descriptor, () => void>();
    return withOverrides(ring, {
      receive: (c, callback, descriptor, buffer) => {
        ring.receive(
          c,
          (completion, result) => {
            const others = (counts.get(descriptor) ?? 1) - 1;
            counts.set(descriptor, others);
            const first = held.get(descriptor);
            held.delete(descriptor);
            if (first === undefined && others > 0 && result > 0) {
              const tell = (): void => callback(completion, result);
              held.set(descriptor, tell);
              // The second may never complete, and it is the order that is broken here: the first
              // one is not withheld for longer than a turn.
              setImmediate(() => {
                if (held.get(descriptor) !== tell) return;
                held.delete(descriptor);
                tell();
              });
              return;
            }
            callback(completion, result);
            first?.();
          },
          descriptor,
          buffer,
        );
        counts.set(descriptor, (counts.get(descriptor) ?? 0) + 1);
      },
    });
  },
};

/** What was asked to end says that it did, although it had done its work. */
function lyingCancel(name: string, verb: "send" | "receive"): Sabotage {
  return {
    name,
    foundAs: LOSS,
    shownBy: "streams",
    wrap: (ring) => {
      const asked = new WeakSet<object>();
      const lie = <C>(callback: Callback<C>): Callback<C> => {
        return (completion, result) =>
          callback(completion, asked.has(completion) && result > 0 ? -ECANCELED : result);
      };
      return withOverrides(ring, {
        cancel: (c, callback, target) => {
          asked.add(target);
          ring.cancel(c, callback, target);
        },
        ...(verb === "send"
          ? { send: (c, callback, d, buffer) => ring.send(c, lie(callback), d, buffer) }
          : { receive: (c, callback, d, buffer) => ring.receive(c, lie(callback), d, buffer) }),
      });
    },
  };
}

const idleCancel: Sabotage = {
  name: "a cancel says that it ended what it left alone",
  foundAs: /a cancel said|never happened/,
  shownBy: "streams",
  wrap: (ring) => withOverrides(ring, { cancel: (c, callback) => ring.nop(c, callback) }),
};

const hasty: Sabotage = {
  name: "a timeout elapses too early",
  foundAs: /too early/,
  shownBy: "streams",
  wrap: (ring) =>
    withOverrides(ring, {
      timeout: (c, callback, durationNs) => ring.timeout(c, callback, Math.floor(durationNs / 2)),
    }),
};

const leaking: Sabotage = {
  name: "a close closes nothing",
  foundAs: /is closed|it must fail|descriptors/,
  shownBy: "streams",
  wrap: (ring) => {
    const isTenth = every(10);
    return withOverrides(ring, {
      close: (c, callback, descriptor) => {
        if (isTenth()) ring.nop(c, callback);
        else ring.close(c, callback, descriptor);
      },
    });
  },
};

const late: Sabotage = {
  name: "memory is written to after its operation has ended",
  foundAs: /was written/,
  shownBy: "streams",
  wrap: (ring) =>
    withOverrides(ring, {
      receive: (c, callback, descriptor, buffer) =>
        ring.receive(
          c,
          (completion, result) => {
            callback(completion, result);
            const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
            if (result < 0) bytes[0] = 0;
          },
          descriptor,
          buffer,
        ),
    }),
};

/** A ring that sees what stands on the completion of each operation before it is started. */
const seen =
  (change: (completion: Completion) => void) =>
  (ring: Ring): Ring =>
    new Proxy(ring, {
      get(target, key) {
        const own = Reflect.get(target, key);
        if (typeof own !== "function") return own;
        return (...given: unknown[]) => {
          const [completion] = given;
          if (completion instanceof Completion) change(completion);
          return Reflect.apply(own, target, given);
        };
      },
    });

const unlinked = (shownBy: "streams" | "files"): Sabotage => ({
  name: `a chain goes on after a failure (${shownBy})`,
  foundAs: shownBy === "files" ? /^\{/ : /broke their chain|stands before it/,
  shownBy,
  wrap: seen((completion) => {
    completion.link = false;
  }),
});

const softened: Sabotage = {
  name: "a hard link holds no better than another",
  foundAs: /^\{/,
  shownBy: "files",
  wrap: seen((completion) => {
    if (completion.link === "hard") completion.link = true;
  }),
};

const hurried: Sabotage = {
  name: "the limit of an operation in a chain is over at once",
  // The chain's results, or a file that the chain has closed although it said otherwise.
  foundAs: /^\{|^prepareClose: the file .* is closed/,
  shownBy: "files",
  wrap: seen((completion) => {
    if (completion.timeoutNs !== undefined) completion.timeoutNs = 0;
  }),
};

const closedAnswers: Sabotage = {
  name: "a closed descriptor still answers",
  foundAs: /it must fail with/,
  maxSteps: 8,
  shownBy: "streams",
  wrap: (ring) =>
    withOverrides(ring, {
      shutdown: (c, callback, descriptor, how) =>
        ring.shutdown(
          c,
          changed(callback, (r) => (r === -EBADF ? 0 : r)),
          descriptor,
          how,
        ),
    }),
};

const files: readonly Sabotage[] = [
  {
    name: "another error number",
    foundAs: /"unlink"/,
    maxSteps: 4,
    shownBy: "files",
    wrap: (ring) =>
      withOverrides(ring, {
        unlink: (c, callback, path, directory) =>
          ring.unlink(
            c,
            changed(callback, (r) => (r === -ENOENT ? -EEXIST : r)),
            path,
            directory,
          ),
      }),
  },
  {
    name: "a write that leaves its last byte out",
    foundAs: /differ|found|content|chain/,
    shownBy: "files",
    wrap: (ring) =>
      withOverrides(ring, {
        write: (c, callback, descriptor, buffer, offset) => {
          const { buffer: memory, byteOffset, byteLength } = buffer;
          const less = new Uint8Array(memory, byteOffset, Math.max(0, byteLength - 1));
          const whole = (result: number): number => (result < 0 ? result : byteLength);
          ring.write(c, changed(callback, whole), descriptor, less, offset);
        },
      }),
  },
  {
    name: "a read from one byte further on",
    foundAs: /differ|"read"|chain/,
    shownBy: "files",
    wrap: (ring) =>
      withOverrides(ring, {
        read: (c, callback, descriptor, buffer, offset) =>
          ring.read(c, callback, descriptor, buffer, offset > 0 ? offset + 1 : offset),
      }),
  },
  {
    name: "a rename that does nothing",
    // Or at the next step that looks at one of the two names.
    foundAs: /"rename"|^\{/,
    maxSteps: 4,
    shownBy: "files",
    wrap: (ring) => withOverrides(ring, { rename: (c, callback) => ring.nop(c, callback) }),
  },
];

export const sabotages: readonly Sabotage[] = [
  dropped,
  doubled,
  reordered,
  lyingCancel("a send that was cancelled had been sent", "send"),
  lyingCancel("a receive that was cancelled had received", "receive"),
  receives("a receive loses its last byte", LOSS, (result) => (result > 1 ? result - 1 : result)),
  receives("a stream ends before its end", LOSS, (result) => (result > 100 ? 0 : result)),
  // A receive that the program asked to end is cancelled like the others, and then the bytes that
  // it had received show the fault.
  receives(
    "a receive is cancelled without a request",
    new RegExp(`without a request|${LOSS.source}`),
    (result) => (result > 1000 ? -ECANCELED : result),
  ),
  idleCancel,
  hasty,
  leaking,
  late,
  closedAnswers,
  unlinked("streams"),
  unlinked("files"),
  softened,
  hurried,
  ...files,
];
