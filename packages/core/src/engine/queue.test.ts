// Garbage over the rings: whatever stands in the shared memory, every queued operation is answered
// once, and later operations work. IO_SEED repeats a run.

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { IOError } from "../errors.js";
import { Completion } from "../ring/completion.js";
import {
  COMPLETION_GENERATION,
  COMPLETION_SLOT,
  COMPLETION_WORDS,
  ENTRY_ARGUMENT_EXTRA,
  ENTRY_GENERATION,
  ENTRY_OFFSET,
  ENTRY_OPERATION,
  ENTRY_SLOT,
  ENTRY_WORDS,
  HEADER_PUMPING,
  HEADER_QUEUED,
  HEADER_WORDS,
  OPCODE_CANCEL_ALL,
  OPCODE_NOP,
  OPCODE_TIMEOUT,
} from "./abi.js";
import { loadNative } from "./load.js";
import type { NativeSession } from "./native.js";
import { Queue, slotsFor } from "./queue.js";

const test = suite("queue");
const seed = Number(process.env["IO_SEED"] ?? Date.now() % 1_000_000_000);
process.stdout.write(`queue: seed ${seed} (repeat with IO_SEED=${seed})\n`);
const CAPACITY = 128;
const LIMIT = 300;
const ROUND_NS = 10_000_000;

function randomFrom(start: number): (limit: number) => number {
  let state = start;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * limit);
  };
}

function openQueue(capacity = CAPACITY, limit = LIMIT): Queue {
  const native = loadNative();
  return new Queue(capacity, (shared, dispatch) => {
    const slots = slotsFor(limit);
    const session = new native.Session("auto", capacity, slots, false, false, shared, dispatch);
    assert.is(session.failure, 0, session.reason);
    return session;
  });
}

function nothing(): void {}

/** Ends everything, counting the completions, and checks that the queue still works. */
function finish(queue: Queue): void {
  while (queue.inFlight > 0) {
    queue.whenFree(() => queue.begin(new Completion(), nothing, OPCODE_CANCEL_ALL));
    queue.poll(ROUND_NS);
  }
  let answer = Number.NaN;
  queue.begin(
    new Completion(),
    (_completion, result) => {
      answer = result;
    },
    OPCODE_NOP,
  );
  while (queue.inFlight > 0) queue.poll(ROUND_NS);
  assert.is(answer, 0);
  assert.is(queue.strays, 0);
  queue.session.close();
}

test("entries overwritten with random bytes are answered", () => {
  const queue = openQueue();
  const random = randomFrom(seed);
  let queued = 0;
  let refused = 0;
  const calls: number[] = [];
  for (let round = 0; round < 300; round++) {
    const count = 1 + random(CAPACITY - 1);
    const first = queued;
    for (let index = 0; index < count; index++) {
      const number = queued++;
      calls[number] = 0;
      const at = queue.begin(
        new Completion(),
        (_completion, result) => {
          calls[number]!++;
          if (result < 0) refused++;
        },
        OPCODE_NOP,
      );
      if (random(4) === 0) continue;
      for (let word = 0; word < ENTRY_WORDS; word++) queue.words[at + word] = random(2 ** 32);
    }
    for (let turn = 0; queue.inFlight > 0 && turn < 1000; turn++) queue.poll(ROUND_NS);
    assert.is(queue.inFlight, 0);
    for (let number = first; number < queued; number++) assert.is(calls[number], 1);
  }
  assert.ok(refused > queued / 2);
  finish(queue);
});

test("single damaged words are answered, whatever they mean", () => {
  const queue = openQueue();
  const random = randomFrom(seed + 1);
  const identity = [ENTRY_SLOT, ENTRY_GENERATION];
  let queued = 0;
  let answered = 0;
  for (let round = 0; round < 300; round++) {
    for (let index = random(100); index > 0; index--) {
      queued++;
      const at = queue.begin(
        new Completion(),
        (completion) => {
          if (!completion.active) answered++;
        },
        OPCODE_TIMEOUT,
      );
      queue.doubles[at / 2 + ENTRY_OFFSET] = random(100_000);
      for (let word = 3; word <= ENTRY_ARGUMENT_EXTRA; word++) {
        if (word < 6 || word > 13) queue.words[at + word] = 0;
      }
      const word = random(ENTRY_WORDS);
      if (identity.includes(word)) continue;
      const value = random(2) === 0 ? random(2 ** 32) : random(64);
      queue.words[at + word] = (queue.words[at + word] as number) ^ value;
      // Paths come from the text area, which is empty, so no operation can name a file.
      if (word === ENTRY_OPERATION) queue.words[at + 5] = 0;
    }
    while (queue.inFlight > 0) {
      queue.whenFree(() => queue.begin(new Completion(), nothing, OPCODE_CANCEL_ALL));
      queue.poll(ROUND_NS);
    }
  }
  assert.is(answered, queued);
  finish(queue);
});

test("wrong generations are refused, and the slot is good for the next operation", () => {
  const queue = openQueue();
  for (const wrong of [1, -1, 2 ** 31 - 1, -(2 ** 31)]) {
    const results: number[] = [];
    const at = queue.begin(
      new Completion(),
      (_completion, result) => {
        results.push(result);
      },
      OPCODE_NOP,
    );
    queue.words[at + ENTRY_GENERATION] = (queue.words[at + ENTRY_GENERATION] as number) + wrong;
    while (queue.inFlight > 0) queue.poll(ROUND_NS);
    assert.is(results.length, 1);
    assert.ok(results[0]! < 0);
  }
  finish(queue);
});

test("garbage in the completion ring is not taken for completions", () => {
  const queue = openQueue();
  let answered = 0;
  const random = randomFrom(seed + 2);
  for (let round = 0; round < 100; round++) {
    queue.begin(new Completion(), () => answered++, OPCODE_NOP);
    const completions = new Int32Array(
      queue.words.buffer,
      queue.words.byteOffset + queue.words.byteLength,
      CAPACITY * 4,
    );
    for (let index = 0; index < completions.length; index++) completions[index] = random(2 ** 32);
    while (queue.inFlight > 0) queue.poll(ROUND_NS);
  }
  assert.is(answered, 100);
  finish(queue);
});

test("refused operations keep their order and their slots over many batches", () => {
  const queue = openQueue(CAPACITY, 4000);
  const order: number[] = [];
  const wrong = 0;
  const start = (number: number): void => {
    queue.begin(
      new Completion(),
      (_completion, result) => {
        assert.ok(result < 0);
        order.push(number);
        if (number < 12_000) start(number + 4000);
      },
      wrong,
    );
  };
  for (let number = 0; number < 4000; number++) start(number);
  while (queue.inFlight > 0) queue.poll(ROUND_NS);
  assert.is(order.length, 16_000);
  assert.equal(
    order,
    order.map((_number, index) => index),
  );
  finish(queue);
});

test("the limit, a completion in use, and chains that are too long throw and queue nothing", () => {
  const queue = openQueue(CAPACITY, 10);
  const codeOf = (act: () => void): string => {
    try {
      act();
    } catch (error) {
      if (error instanceof IOError) return error.code;
      throw error;
    }
    return "none";
  };
  const completion = new Completion();
  queue.begin(completion, nothing, OPCODE_NOP);
  const again = (): void => void queue.begin(completion, nothing, OPCODE_NOP);
  assert.is(codeOf(again), "ERR_IO_COMPLETION_ACTIVE");
  const roomFor = (count: number): void => queue.checkRoom(count);
  assert.is(
    codeOf(() => roomFor(10)),
    "ERR_IO_IN_FLIGHT_LIMIT",
  );
  roomFor(9);
  for (let index = 1; index < 10; index++) queue.begin(new Completion(), nothing, OPCODE_NOP);
  const more = (): void => void queue.begin(new Completion(), nothing, OPCODE_NOP);
  assert.is(codeOf(more), "ERR_IO_IN_FLIGHT_LIMIT");
  assert.is(queue.inFlight, 10);
  finish(queue);
});

/** A queue whose session hands nothing over, and notes how many entries it was given each time. */
test("a completion that cannot be written to throws, and queues nothing", () => {
  const queue = openQueue();
  const frozen = new Completion();
  frozen._callback = nothing; // so that the slot is the first that would be written
  Object.freeze(frozen);
  for (let round = 0; round < LIMIT; round++) {
    assert.throws(() => queue.begin(frozen, nothing, OPCODE_NOP), TypeError);
  }
  assert.is(queue.inFlight, 0);
  finish(queue);
});

function openFed(ready: (handedOver: number) => number) {
  const CAPACITY_FED = 256;
  const handed: number[] = [];
  let header = new Int32Array(0);
  let completions = new Int32Array(0);
  const queue = new Queue(CAPACITY_FED, (shared) => {
    const start = (HEADER_WORDS + CAPACITY_FED * ENTRY_WORDS) * 4;
    header = new Int32Array(shared, 0, HEADER_WORDS);
    completions = new Int32Array(shared, start, CAPACITY_FED * COMPLETION_WORDS);
    const session = {
      slots: slotsFor(CAPACITY_FED),
      activate: nothing,
      submit: () => {
        const queued = header[HEADER_QUEUED] as number;
        header[HEADER_QUEUED] = 0;
        handed.push(queued);
        return ready(handed.reduce((sum, count) => sum + count, 0));
      },
    };
    return session as unknown as NativeSession;
  });
  const all = Array.from({ length: 32 }, () => new Completion());
  const complete = (ended: readonly Completion[]): void => {
    for (const [index, completion] of ended.entries()) {
      const at = index * COMPLETION_WORDS;
      const [slot, generation] = queue.tokenOf(completion);
      completions[at + COMPLETION_SLOT] = slot;
      completions[at + COMPLETION_GENERATION] = generation;
    }
    queue.dispatch(ended.length);
  };
  /** Completes all, and has `next` called for each; returns what was handed over meanwhile. */
  const batch = (next: (completion: Completion) => void): number[] => {
    for (const completion of all) queue.begin(completion, next, OPCODE_NOP);
    header[HEADER_QUEUED] = 0;
    handed.length = 0;
    complete(all);
    return [...handed];
  };
  const queued: Completion[] = [];
  const read = (): void => {
    const completion = new Completion();
    queue.begin(completion, nothing, OPCODE_NOP);
    queued.push(completion);
    queue.feedDevice();
  };
  /** Ends what `read` has queued. */
  const end = (): void => {
    header[HEADER_QUEUED] = 0;
    complete(queued.splice(0));
  };
  const pump = (on: number): void => {
    header[HEADER_PUMPING] = on;
  };
  return { handed, batch, read, end, pump };
}

test("what a batch of reads starts is handed over early, in growing parts", () => {
  const { batch, read, end } = openFed(() => 0);
  for (let round = 0; round < 3; round++) {
    assert.equal(batch(read), [1, 2, 4, 8, 16]);
    end();
  }
});

test("what settled promises start is handed over early, while the pump runs", () => {
  const { handed, batch, read, pump } = openFed(() => 0);
  assert.equal(batch(nothing), []);
  read();
  assert.equal(handed, []);
  pump(1);
  for (let index = 0; index < 20; index++) read();
  assert.equal(handed, [2, 2, 4, 8]);
});

test("reads from memory are not handed over early, but now and then", () => {
  let fromMemory = true;
  const { batch, read, end } = openFed((handedOver) => (fromMemory ? handedOver : 0));
  const fed = Array.from({ length: 200 }, () => {
    const parts = batch(read);
    end();
    return parts.length > 0;
  });
  const count = fed.filter(Boolean).length;
  assert.ok(fed[0]);
  assert.ok(count >= 3 && count <= 24, `${count} of 200 batches were fed`);
  fromMemory = false;
  let unfed = 0;
  while (batch(read).length === 0) {
    end();
    assert.ok(++unfed <= 64);
  }
  end();
  for (let round = 0; round < 5; round++) {
    assert.ok(batch(read).length > 0);
    end();
  }
});

test("the memory of the rings stays where it is", () => {
  const queue = openQueue();
  for (const view of [queue.words, queue.doubles]) {
    const buffer = view.buffer as ArrayBuffer;
    const sizeBytes = buffer.byteLength;
    try {
      structuredClone(buffer, { transfer: [buffer] }); // Node 20 makes a copy
    } catch (error) {
      assert.is((error as Error).name, "DataCloneError");
    }
    assert.is(buffer.byteLength, sizeBytes);
  }
  finish(queue);
});

function growTable(queued: number): void {
  const limit = 5000;
  const queue = openQueue(CAPACITY, limit);
  Reflect.set(queue, "sequence", queued | 0);
  const random = randomFrom(seed + 3);
  for (let round = 0; round < 3; round++) {
    const calls = new Int32Array(limit);
    const wrong = new Int32Array(limit);
    for (let number = 0; number < limit; number++) {
      const at = queue.begin(
        new Completion(),
        (_completion, result) => {
          calls[number]!++;
          if (result < 0 !== (wrong[number] === 1)) calls[number] = 1000;
        },
        OPCODE_NOP,
      );
      if (random(3) > 0) continue;
      wrong[number] = 1;
      // The last one names a slot that is not there yet.
      if (random(2) === 0) queue.words[at + ENTRY_OPERATION] = 0;
      else queue.words[at + ENTRY_SLOT] = limit + 8 + random(1_000_000);
      if (random(50) === 0) queue.session.submit();
    }
    assert.is(queue.inFlight, limit);
    const more = (): void => void queue.begin(new Completion(), nothing, OPCODE_NOP);
    assert.throws(more, /5000 operations are in flight/);
    while (queue.inFlight > 0) queue.poll(ROUND_NS);
    assert.ok(calls.every((count) => count === 1));
  }
  finish(queue);
}

test("the table grows while entries are queued, refused and in flight", () => {
  growTable(0);
});

// Numbers whose low bits are 0, as those of the engine's first entry are.
for (const queued of [2 ** 31 - 8192, 2 ** 32 - 8192]) {
  test(`the table grows after about ${queued} entries were queued`, () => {
    growTable(queued);
  });
}

test("what callbacks throw reaches the program, and the rest of the batch is called", () => {
  const queue = openQueue();
  const called: number[] = [];
  for (let index = 0; index < 5; index++) {
    queue.begin(
      new Completion(),
      () => {
        called.push(index);
        if (index === 2) throw new Error("two");
      },
      OPCODE_NOP,
    );
  }
  assert.throws(() => queue.poll(ROUND_NS), /two/);
  assert.equal(called, [0, 1, 2, 3, 4]);
  assert.not(queue.dispatching);
  finish(queue);
});

test.run();
