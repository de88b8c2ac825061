// Regions and blocks over an engine that only records its calls.

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { IOError } from "../errors.js";
import { Buffers } from "./buffers.js";
import { checkView, Memory, PAGE_SIZE_BYTES, transferLength } from "./memory.js";
import type { Native, NativeSession } from "./native.js";

const test = suite("memory");
const MEBIBYTE = 1024 * 1024;

/** Hands out handles and remembers which are alive. */
class FakeEngine {
  readonly alive = new Map<number, number>();
  registered = 0;
  limit = Number.MAX_SAFE_INTEGER;
  #next = 1;

  readonly session = {
    addBuffer: (_memory: Uint8Array, sizeBytes: number, register: boolean): number => {
      if (this.alive.size >= this.limit) return -1;
      this.alive.set(this.#next, sizeBytes);
      if (register) this.registered += sizeBytes;
      return this.#next++;
    },
    releaseBuffer: (handle: number): boolean => this.alive.delete(handle),
  } as unknown as NativeSession;

  readonly native = {
    addressRemainder: () => 16,
    holdsMemory: true,
  } as unknown as Native;
}

function setUp(): [FakeEngine, Memory] {
  const engine = new FakeEngine();
  return [engine, new Memory(engine.native, engine.session)];
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof IOError) return error.code;
    throw error;
  }
  return "none";
}

test("views of one ArrayBuffer share a region", () => {
  const [engine, memory] = setUp();
  const buffer = new ArrayBuffer(100);
  const one = memory.regionOf(new Uint8Array(buffer, 10, 20), "read");
  const other = memory.regionOf(new DataView(buffer), "read");
  assert.is(one, other);
  assert.is(engine.alive.get(one.handle), 100);
  assert.is.not(memory.regionOf(new Uint8Array(100), "read"), one);
});

test("a detached buffer is refused, seen before or not", () => {
  const [, memory] = setUp();
  for (const seen of [true, false]) {
    const view = new Uint8Array(64);
    if (seen) memory.regionOf(view, "read");
    structuredClone(view.buffer, { transfer: [view.buffer] });
    const code = codeOf(() => memory.regionOf(view, "read"));
    assert.is(code, "ERR_IO_BUFFER_DETACHED");
  }
  assert.is(
    codeOf(() => memory.regionOf(new Uint8Array(0), "read")),
    "none",
  );
});

test("memory that may shrink is refused", () => {
  const [, memory] = setUp();
  const make = ArrayBuffer as unknown as new (
    size: number,
    options: { maxByteLength: number },
  ) => ArrayBuffer;
  const resizable = new make(8, { maxByteLength: 64 });
  if (!("resizable" in resizable)) return;
  const code = codeOf(() => memory.regionOf(new Uint8Array(resizable), "read"));
  assert.is(code, "ERR_INVALID_ARG_TYPE");
});

test("idle memory is let go, memory in flight never", () => {
  const [engine, memory] = setUp();
  const busy = memory.regionOf(new Uint8Array(MEBIBYTE), "read");
  busy.inFlight = 1;
  const idleSizes = () => {
    assert.ok(engine.alive.has(busy.handle));
    return [...engine.alive].filter(([handle]) => handle !== busy.handle).map(([, size]) => size);
  };
  for (let index = 0; index < 5000; index++) memory.regionOf(new Uint8Array(8), "read");
  assert.is(idleSizes().length, 1024);
  for (let index = 0; index < 64; index++) memory.regionOf(new Uint8Array(MEBIBYTE), "read");
  const bytes = idleSizes().reduce((sum, size) => sum + size, 0);
  assert.is(bytes, 16 * MEBIBYTE);
});

test("memory that was in flight is let go when others have come meanwhile", () => {
  const [engine, memory] = setUp();
  const views = Array.from({ length: 3000 }, () => new Uint8Array(8));
  const regions = views.map((view) => memory.regionOf(view, "read"));
  assert.is(engine.alive.size, 1024);
  const again = views.map((view) => {
    const region = memory.regionOf(view, "read");
    region.inFlight = 2;
    return region;
  });
  assert.is(engine.alive.size, 3000);
  assert.is.not(again[0], regions[0]);
  for (const region of again) region.finish();
  assert.is(engine.alive.size, 3000);
  for (const region of again) region.finish();
  for (let index = 0; index < 1024; index++) memory.regionOf(new Uint8Array(8), "read");
  assert.is(engine.alive.size, 1024);
  // A forgotten buffer is registered again at its next use.
  const [first] = again;
  assert.not(engine.alive.has(first!.handle));
  assert.ok(engine.alive.has(memory.regionOf(views[0]!, "read").handle));
});

test("making room does not look at all that is in flight", () => {
  const [engine, memory] = setUp();
  let looks = 0;
  const use = () => {
    let inFlight = 1;
    Object.defineProperty(memory.regionOf(new Uint8Array(8), "read"), "inFlight", {
      get: () => {
        looks++;
        return inFlight;
      },
      set: (count: number) => {
        inFlight = count;
      },
    });
  };
  for (let index = 0; index < 8000; index++) use();
  for (let index = 0; index < 8000; index++) memory.regionOf(new Uint8Array(8), "read");
  assert.is(engine.alive.size, 8000 + 1024);
  assert.ok(looks <= 2 * 8000, `${looks} looks at 8,000 regions`);
});

test("using the same memory again looks at no other memory", () => {
  const [, memory] = setUp();
  const views = Array.from({ length: 3000 }, () => new Uint8Array(8));
  const regions = views.map((view) => {
    const region = memory.regionOf(view, "read");
    region.inFlight++;
    return region;
  });
  // Each leaves the list of idle ones once, and knows of its idleness from then on.
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 1024; index++) memory.regionOf(new Uint8Array(8), "read");
  }
  let looks = 0;
  for (const region of regions) {
    let inFlight = region.inFlight;
    Object.defineProperty(region, "inFlight", {
      get: () => {
        looks++;
        return inFlight;
      },
      set: (count: number) => {
        inFlight = count;
      },
    });
  }
  for (let round = 0; round < 3; round++) {
    for (const [index, region] of regions.entries()) {
      region.finish();
      assert.ok(memory.findsAgain(region, views[index]!));
      region.inFlight++;
    }
  }
  // Two of each of finish(), one of each ++, and one of what the one before has become.
  assert.ok(looks <= 4 * 3 * 3000, `${looks} looks`);
});

test("a view is found again as long as its memory is known", () => {
  const [engine, memory] = setUp();
  const view = new Uint8Array(new ArrayBuffer(64), 16, 32);
  const region = memory.regionOf(view, "read");
  assert.ok(memory.findsAgain(region, view));
  assert.equal([memory.viewStart, memory.viewBytes], [16, 32]);
  const [, other] = setUp();
  assert.not(other.findsAgain(region, view));
  for (let index = 0; index < 1024; index++) memory.regionOf(new Uint8Array(8), "read");
  assert.not(engine.alive.has(region.handle));
  assert.not(memory.findsAgain(region, view));
  const again = memory.regionOf(view, "read");
  assert.ok(memory.findsAgain(again, view));
  structuredClone(view.buffer, { transfer: [view.buffer] });
  assert.not(memory.findsAgain(again, view));
});

test("memory that was found again and not used is let go", () => {
  const [engine, memory] = setUp();
  const views = Array.from({ length: 2000 }, () => new Uint8Array(8));
  const regions = views.map((view) => {
    const region = memory.regionOf(view, "read");
    region.inFlight++;
    return region;
  });
  for (let index = 0; index < 1024; index++) memory.regionOf(new Uint8Array(8), "read");
  for (const region of regions) region.finish();
  // As operations do that are refused after their memory was found.
  for (let round = 0; round < 3; round++) {
    for (const [index, region] of regions.entries()) memory.findsAgain(region, views[index]!);
  }
  for (let index = 0; index < 1024; index++) memory.regionOf(new Uint8Array(8), "read");
  assert.ok(engine.alive.size <= 1025, `${engine.alive.size} are known`);
});

test("memory that is used again and again leaves room for the rest to be let go", () => {
  const [engine, memory] = setUp();
  const view = new Uint8Array(8);
  const region = memory.regionOf(view, "send");
  region.inFlight++;
  for (let index = 0; index < 1024; index++) memory.regionOf(new Uint8Array(8), "read");
  region.finish(); // idle, and back in the list
  for (let round = 0; round < 10; round++) {
    assert.ok(memory.findsAgain(region, view));
    region.inFlight++;
    region.finish();
    memory.regionOf(new Uint8Array(8), "read");
  }
  for (let index = 0; index < 5000; index++) memory.regionOf(new Uint8Array(8), "read");
  assert.is(engine.alive.size, 1024);
});

test("a view is taken whose ArrayBuffer is larger than any view", () => {
  const [engine, memory] = setUp();
  const sizeBytes = 5 * 1024 * MEBIBYTE;
  const view = new Uint8Array(new ArrayBuffer(sizeBytes), sizeBytes - 16, 16);
  const region = memory.regionOf(view, "read");
  assert.is(engine.alive.get(region.handle), sizeBytes);
  assert.is(memory.viewStart, sizeBytes - 16);
});

test("memory that is larger than all that may stay is let go when it is idle", () => {
  const [engine, memory] = setUp();
  const view = new Uint8Array(32 * MEBIBYTE);
  const region = memory.regionOf(view, "read");
  region.inFlight = 2;
  region.finish();
  assert.ok(engine.alive.has(region.handle));
  region.finish();
  assert.not(engine.alive.has(region.handle));
  assert.is.not(memory.regionOf(view, "read").handle, region.handle);
});

test("too many buffers in flight is a named error", () => {
  const [engine, memory] = setUp();
  engine.limit = 3;
  for (let index = 0; index < 3; index++) {
    memory.regionOf(new Uint8Array(8), "read").inFlight = 1;
  }
  assert.is(
    codeOf(() => memory.regionOf(new Uint8Array(8), "read")),
    "ERR_IO_BUFFERS_LIMIT",
  );
});

test("blocks are aligned, apart, and as large as asked", () => {
  const [engine, memory] = setUp();
  const buffers = new Buffers(memory, 64 * MEBIBYTE);
  const taken = new Map<ArrayBufferLike, [start: number, end: number][]>();
  for (const sizeBytes of [1, 4095, 4096, 4097, 10_000, 65_536, MEBIBYTE, 3 * MEBIBYTE]) {
    const block = buffers.acquire(sizeBytes);
    assert.is(block.byteLength, sizeBytes);
    // The fake's memory lies 16 bytes beyond a page.
    assert.is((block.byteOffset + 16) % PAGE_SIZE_BYTES, 0);
    const ranges = taken.get(block.buffer) ?? [];
    const range: [number, number] = [block.byteOffset, block.byteOffset + sizeBytes];
    for (const [start, end] of ranges) assert.ok(range[1] <= start || range[0] >= end);
    taken.set(block.buffer, [...ranges, range]);
    assert.is(memory.regionOf(block, "read").inFlight, 0);
  }
  assert.ok(engine.registered >= buffers.sizeBytes);
});

test("a block in flight is given out only after its last operation", () => {
  const [, memory] = setUp();
  const buffers = new Buffers(memory, MEBIBYTE);
  const block = buffers.acquire(MEBIBYTE);
  const region = memory.regionOf(block, "read");
  region.inFlight = 2;
  buffers.release(block);
  assert.is(
    codeOf(() => memory.regionOf(block, "read")),
    "ERR_IO_BUFFER_RELEASED",
  );
  assert.is(
    codeOf(() => buffers.acquire(MEBIBYTE)),
    "ERR_IO_BUFFERS_LIMIT",
  );
  region.finish();
  assert.is(
    codeOf(() => buffers.acquire(MEBIBYTE)),
    "ERR_IO_BUFFERS_LIMIT",
  );
  region.finish();
  assert.is(buffers.acquire(MEBIBYTE).byteOffset, block.byteOffset);
});

test("blocks are checked: released twice, foreign, too long, of no size", () => {
  const [, memory] = setUp();
  const buffers = new Buffers(memory, 4 * MEBIBYTE);
  const block = buffers.acquire(100);
  const longer = new Uint8Array(block.buffer, block.byteOffset, 3 * PAGE_SIZE_BYTES);
  assert.is(
    codeOf(() => memory.regionOf(longer, "read")),
    "ERR_OUT_OF_RANGE",
  );
  const beside = new Uint8Array(block.buffer, block.byteOffset + PAGE_SIZE_BYTES, 8);
  assert.is(
    codeOf(() => memory.regionOf(beside, "read")),
    "ERR_IO_BUFFER_RELEASED",
  );
  for (const sizeBytes of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.is(
      codeOf(() => buffers.acquire(sizeBytes)),
      "ERR_OUT_OF_RANGE",
    );
  }
  const foreign = new Uint8Array(8);
  for (const wrong of [foreign, block.subarray(0)]) {
    assert.is(
      codeOf(() => buffers.release(wrong)),
      "ERR_IO_BUFFER_RELEASED",
    );
  }
  block[Symbol.dispose]();
  assert.is(
    codeOf(() => buffers.release(block)),
    "ERR_IO_BUFFER_RELEASED",
  );
});

test("what is no view is refused, and lengths are cut to what one call can move", () => {
  for (const wrong of [null, undefined, 5, "text", [1, 2], new ArrayBuffer(4), {}]) {
    assert.is(
      codeOf(() => checkView(wrong, "read")),
      "ERR_INVALID_ARG_TYPE",
    );
  }
  checkView(new DataView(new ArrayBuffer(1)), "read");
  assert.is(transferLength(5e9), 0x7ffff000);
  assert.is(transferLength(7), 7);
});

test.run();
