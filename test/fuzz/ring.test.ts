// Random programs of the ring against a model: every operation has exactly one final completion,
// the data is that which was written, a chain stops at its first failure, nothing is left in
// flight.

import { writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import {
  type AcquiredBuffer,
  type Address,
  Completion,
  IO,
  IOError,
  OpenFlags,
  SocketAddress,
} from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  byteAt,
  fillFrom,
  firstWrong,
  Random,
  seedOf,
  stepsOf,
  temporaryFolder,
} from "./support.js";

const { EADDRINUSE, ECANCELED, EBADF, ENOENT, EALREADY } = constants.errno;
const FILE_BYTES = 256 * 1024;
const REGIONS = 16;
const REGION_BYTES = 4096;
const IN_FLIGHT_LIMIT = 96;
const MAX_NS = 3_000_000;
const seed = seedOf("fuzz/ring");
const folder = temporaryFolder();
const test = suite("fuzz/ring");

type Done = (result: number, last: boolean) => void;

/** One direction of a stream: what was sent and what came, by position. */
interface Stream {
  from: number;
  to: number;
  sent: number;
  received: number;
  sending: boolean;
  receiving: boolean;
}

/** Messages on their way: unix datagrams are neither lost nor turned around. */
interface Mail {
  from: number;
  to: number;
  path: string;
  /** Of each message on its way: its length and where in the endless data it begins. */
  under: { length: number; base: number }[];
  sending: boolean;
  receiving: boolean;
}

class Program {
  readonly io: IO;
  readonly random: Random;
  readonly path = join(folder, "read");
  readonly scratch = join(folder, "scratch");
  readonly live = new Set<Completion>();
  readonly held = new Map<AcquiredBuffer, number>();
  readonly streams: Stream[] = [];
  readonly mails: Mail[] = [];
  /** What each region of the scratch file holds: a position of the endless data, or unknown. */
  readonly regions: { base: number | null; busy: boolean }[] = [];
  readFile = -1;
  writeFile = -1;
  stale = -1;
  finals = 0;
  calls = 0;
  started = 0;
  verified = 0;
  accepted: number[] = [];

  constructor(io: IO, random: Random) {
    this.io = io;
    this.random = random;
    for (let index = 0; index < REGIONS; index++) this.regions.push({ base: null, busy: false });
  }

  /** Starts one operation; a refusal because the IO is full counts as not started. */
  start(begin: (completion: Completion, callback: () => void) => void, done: Done): boolean {
    const completion = new Completion();
    let ended = false;
    const callback = (same: Completion, result: number): void => {
      assert.is(same, completion);
      this.calls++;
      assert.not(ended, "a completion after the final one");
      assert.type(result, "number");
      if (!completion.active) {
        ended = true;
        this.finals++;
        this.live.delete(completion);
      }
      done(result, !completion.active);
    };
    try {
      begin(completion, callback as () => void);
    } catch (error) {
      if (error instanceof IOError && error.code === "ERR_IO_IN_FLIGHT_LIMIT") return false;
      throw error;
    }
    this.started++;
    assert.ok(completion.active);
    this.live.add(completion);
    return true;
  }

  call(begin: (completion: Completion, callback: () => void) => void): number {
    let answer = Number.NaN;
    assert.ok(
      this.start(begin, (result) => {
        answer = result;
      }),
    );
    while (Number.isNaN(answer)) this.io.runFor(1e9);
    return answer;
  }

  open(path: string): number {
    const flags = OpenFlags.read | OpenFlags.write | OpenFlags.create;
    const descriptor = this.call((c, done) => this.io.ring.open(c, done, path, flags, 0o600));
    assert.ok(descriptor > 0, `open gave ${descriptor}`);
    return descriptor;
  }

  setUp(): void {
    const content = new Uint8Array(FILE_BYTES);
    fillFrom(content, 0);
    writeFileSync(this.path, content);
    this.readFile = this.open(this.path);
    this.writeFile = this.open(this.scratch);
    for (const family of ["unix", "ipv4", "ipv4"] as const) this.addConnection(family);
    for (let count = 0; count < 2; count++) this.addMail();
  }

  /** A unix socket's path, or a port of this machine: only TCP can spare the copy. */
  bind(family: "unix" | "ipv4"): [listener: number, where: Address] {
    const { ring } = this.io;
    const listener = this.call((c, done) => ring.socket(c, done, family));
    const path = `\0io-fuzz-${process.pid}-${this.streams.length}-${this.random.below(1e9)}`;
    for (;;) {
      const port = 10_000 + this.random.below(50_000);
      const where: Address =
        family === "unix" ? { family, path } : { family, host: "127.0.0.1", port };
      const result = this.call((c, done) => ring.bind(c, done, listener, where));
      if (result === 0) return [listener, where];
      assert.is(result, -EADDRINUSE);
    }
  }

  addConnection(family: "unix" | "ipv4"): void {
    const { ring } = this.io;
    const [listener, where] = this.bind(family);
    assert.is(
      this.call((c, done) => ring.listen(c, done, listener, 8)),
      0,
    );
    const client = this.call((c, done) => ring.socket(c, done, family));
    assert.is(
      this.call((c, done) => ring.connect(c, done, client, where)),
      0,
    );
    const server = this.call((c, done) => ring.accept(c, done, listener));
    assert.ok(server > 0);
    assert.is(
      this.call((c, done) => ring.close(c, done, listener)),
      0,
    );
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.streams.push({ from, to, sent: 0, received: 0, sending: false, receiving: false });
    }
  }

  addMail(): void {
    const { ring } = this.io;
    const path = `\0io-fuzz-mail-${process.pid}-${this.mails.length}-${this.random.below(1e9)}`;
    const [from, to] = [`${path}-from`, path].map((name) => {
      const descriptor = this.call((c, done) => ring.socket(c, done, "unix", "datagram"));
      const where = { family: "unix", path: name } as const;
      assert.is(
        this.call((c, done) => ring.bind(c, done, descriptor, where)),
        0,
      );
      return descriptor;
    }) as [number, number];
    this.mails.push({ from, to, path, under: [], sending: false, receiving: false });
  }

  // ---- memory: a block that is released in flight may not be given out before its operation ends

  take(sizeBytes: number): AcquiredBuffer | Uint8Array<ArrayBuffer> {
    if (this.random.oneIn(2)) return new Uint8Array(sizeBytes);
    try {
      return this.io.buffers.acquire(sizeBytes);
    } catch (error) {
      if (error instanceof IOError && error.code === "ERR_IO_BUFFERS_LIMIT")
        return new Uint8Array(sizeBytes);
      throw error;
    }
  }

  give(buffer: AcquiredBuffer | Uint8Array<ArrayBuffer>): void {
    if (Symbol.dispose in buffer) this.io.buffers.release(buffer);
  }

  /** Holds a block with a pattern that must not change, and releases others. */
  stepHold(): void {
    for (const [buffer, base] of this.held) {
      if (this.held.size < 12 && !this.random.oneIn(4)) continue;
      assert.is(firstWrong(buffer, buffer.length, base), -1, "memory was written by a stranger");
      this.held.delete(buffer);
      this.io.buffers.release(buffer);
    }
    const buffer = this.take(1 + this.random.below(20_000));
    const base = this.random.below(1e6);
    fillFrom(buffer, base);
    if (Symbol.dispose in buffer) this.held.set(buffer, base);
  }

  // ---- operations

  stepRead(): void {
    const offset = this.random.below(FILE_BYTES);
    const buffer = this.take(1 + this.random.below(9000));
    const early = this.random.oneIn(10);
    const started = this.start(
      (c, done) => this.io.ring.read(c, done, this.readFile, buffer, offset),
      (result) => {
        if (early) return; // released in flight: another block may have the memory by now
        if (result >= 0) {
          assert.ok(result <= buffer.length);
          assert.is(firstWrong(buffer, result, offset), -1, `read at ${offset}`);
          this.verified++;
        } else assert.ok(result === -ECANCELED || result === -EBADF, `read: ${result}`);
        this.give(buffer);
      },
    );
    if (early || !started) this.give(buffer);
  }

  stepRegion(): void {
    const index = this.random.below(REGIONS);
    const region = this.regions[index]!;
    if (region.busy) return;
    const buffer = this.take(REGION_BYTES);
    const position = index * REGION_BYTES;
    const { base } = region;
    if (base !== null && this.random.oneIn(2)) {
      region.busy = this.start(
        (c, done) => this.io.ring.read(c, done, this.writeFile, buffer, position),
        (result) => {
          region.busy = false;
          if (result > 0) assert.is(firstWrong(buffer, result, base), -1, "what was written");
          this.give(buffer);
        },
      );
    } else {
      const next = this.random.below(1e6);
      fillFrom(buffer, next);
      region.busy = this.start(
        (c, done) => this.io.ring.write(c, done, this.writeFile, buffer, position),
        (result) => {
          region.busy = false;
          region.base = result === REGION_BYTES ? next : null;
          this.give(buffer);
        },
      );
      if (region.busy) region.base = null;
    }
    if (!region.busy) this.give(buffer);
  }

  stepStream(): void {
    const stream = this.random.pick(this.streams);
    const buffer = this.take(1 + this.random.below(6000));
    if (this.random.oneIn(2)) {
      if (stream.sending) {
        this.give(buffer);
        return;
      }
      fillFrom(buffer, stream.sent);
      const zeroCopy = this.random.pick(["never", "auto", "always"] as const);
      let sent = false;
      stream.sending = this.start(
        (c, done) => this.io.ring.send(c, done, stream.from, buffer, zeroCopy),
        (result, last) => {
          if (!sent) {
            stream.sending = false;
            if (result > 0) stream.sent += result;
            else assert.is(result, -ECANCELED);
          }
          sent = true;
          if (last) this.give(buffer);
        },
      );
      if (!stream.sending) this.give(buffer);
      return;
    }
    if (stream.receiving) {
      this.give(buffer);
      return;
    }
    stream.receiving = this.start(
      (c, done) => this.io.ring.receive(c, done, stream.to, buffer),
      (result) => {
        stream.receiving = false;
        if (result > 0) {
          const wrong = firstWrong(buffer, result, stream.received);
          assert.is(wrong, -1, `byte ${stream.received + wrong} of the stream`);
          stream.received += result;
          this.verified++;
        } else assert.is(result, -ECANCELED);
        this.give(buffer);
      },
    );
    if (!stream.receiving) this.give(buffer);
  }

  stepMail(): void {
    const mail = this.random.pick(this.mails);
    if (this.random.oneIn(2)) this.sendMail(mail);
    else this.receiveMail(mail);
  }

  sendMail(mail: Mail): void {
    if (mail.sending) return;
    const buffer = this.take(1 + this.random.below(3000));
    const base = this.random.below(1e6);
    fillFrom(buffer, base);
    const to = SocketAddress.of({ family: "unix", path: mail.path });
    const cut = this.random.below(buffer.length);
    const message = this.random.oneIn(2) ? buffer : [buffer.subarray(0, cut), buffer.subarray(cut)];
    mail.sending = this.start(
      (c, done) => this.io.ring.sendMessage(c, done, mail.from, message, to),
      (result) => {
        mail.sending = false;
        if (result >= 0) assert.is(result, buffer.length, "a message is sent in full");
        else {
          assert.is(result, -ECANCELED);
          mail.under.pop();
        }
        this.give(buffer);
      },
    );
    // The peer may receive it before the end of its send is reported.
    if (mail.sending) mail.under.push({ length: buffer.length, base });
    else this.give(buffer);
  }

  receiveMail(mail: Mail): void {
    if (mail.receiving) return;
    const buffer = this.take(1 + this.random.below(4000));
    const peer = new SocketAddress();
    mail.receiving = this.start(
      (c, done) => this.io.ring.receiveMessage(c, done, mail.to, buffer, peer),
      (result) => {
        mail.receiving = false;
        if (result >= 0) {
          const next = mail.under.shift();
          if (next === undefined) throw new Error("a message that was never sent");
          assert.is(result, Math.min(next.length, buffer.length));
          assert.is(peer.truncated, next.length > buffer.length);
          assert.is(firstWrong(buffer, result, next.base), -1, "a message");
          this.verified++;
          assert.is(peer.address!.path, `${mail.path}-from`);
        } else assert.is(result, -ECANCELED);
        this.give(buffer);
      },
    );
    if (!mail.receiving) this.give(buffer);
  }

  stepTimeout(): void {
    const duration = this.random.oneIn(3) ? 3600e9 : this.random.below(MAX_NS);
    this.start(
      (c, done) => this.io.ring.timeout(c, done, duration),
      (result) => assert.ok(result === 0 || result === -ECANCELED, `timeout: ${result}`),
    );
  }

  stepCancel(): void {
    const targets = [...this.live];
    if (targets.length === 0) return;
    const target = this.random.pick(targets);
    this.start(
      (c, done) => this.io.ring.cancel(c, done, target),
      (result) => {
        assert.ok([0, -ENOENT, -EALREADY, -ECANCELED].includes(result), `cancel: ${result}`);
      },
    );
  }

  stepCancelMany(): void {
    const { ring } = this.io;
    const stream = this.random.pick(this.streams);
    this.start(
      (c, done) =>
        this.random.oneIn(4) ? ring.cancelAll(c, done) : ring.cancelDescriptor(c, done, stream.to),
      (result) => assert.ok(result >= 0 || result === -ENOENT, `cancel many: ${result}`),
    );
  }

  /** A chain of nops and time-outs with perhaps one that fails: nothing behind it succeeds. */
  stepChain(): void {
    const length = 2 + this.random.below(6);
    const results = new Array<number>(length).fill(Number.NaN);
    const { ring } = this.io;
    const failing = this.random.oneIn(2) ? this.random.below(length) : -1;
    const buffer = new Uint8Array(16);
    let left = length;
    for (let index = 0; index < length; index++) {
      const done = (result: number): void => {
        results[index] = result;
        if (--left > 0) return;
        const first = results.findIndex((value) => value < 0);
        if (first === -1) return;
        for (const value of results.slice(first)) assert.ok(value < 0, results.join(" "));
      };
      const started = this.start((c, callback) => {
        c.link = index < length - 1;
        if (index === failing) ring.read(c, callback, this.writeFile, buffer, FILE_BYTES * 8);
        else {
          const start = this.random.pick([
            () => ring.timeout(c, callback, this.random.below(100_000)),
            () => ring.sync(c, callback, this.readFile, "data"),
            () => ring.nop(c, callback),
          ]);
          start();
        }
      }, done);
      if (!started) return; // the limit in flight: its queued entries are cancelled
    }
  }

  /** Closes a file with whatever is in flight on it, and opens it again. */
  stepReopen(): void {
    const old = this.readFile;
    const closed = this.start(
      (c, done) => this.io.ring.close(c, done, old),
      (result) => assert.is(result, 0, "close"),
    );
    if (!closed) return;
    while (this.live.size > IN_FLIGHT_LIMIT / 2) this.settle();
    this.stale = old;
    this.readFile = this.open(this.path);
  }

  stepStale(): void {
    if (this.stale === -1) return;
    const buffer = new Uint8Array(8);
    this.start(
      (c, done) => this.io.ring.read(c, done, this.stale, buffer, 0),
      (result) => assert.is(result, -EBADF, "a stale descriptor"),
    );
  }

  stepVectored(): void {
    const offset = this.random.below(FILE_BYTES - 40_000);
    const buffers = Array.from({ length: 1 + this.random.below(20) }, () =>
      this.take(1 + this.random.below(1500)),
    );
    const started = this.start(
      (c, done) => this.io.ring.readVectored(c, done, this.readFile, buffers, offset),
      (result) => {
        let left = Math.max(result, 0);
        let position = offset;
        for (const buffer of buffers) {
          const count = Math.min(left, buffer.length);
          assert.is(firstWrong(buffer, count, position), -1, "a vector");
          left -= count;
          position += count;
          this.give(buffer);
        }
      },
    );
    if (!started) for (const buffer of buffers) this.give(buffer);
  }

  /** Ends what never ends by itself, so that there is room again. */
  settle(): void {
    this.start(
      (c, done) => this.io.ring.cancelAll(c, done),
      (result) => assert.ok(result >= 0, `cancelAll: ${result}`),
    );
    this.io.runFor(MAX_NS);
  }

  unreleased(): number {
    return this.io.stats().zeroCopyUnreleased;
  }

  step(): void {
    const steps: readonly [weight: number, step: () => void][] = [
      [20, () => this.stepRead()],
      [20, () => this.stepRegion()],
      [30, () => this.stepStream()],
      [15, () => this.stepMail()],
      [10, () => this.stepTimeout()],
      [12, () => this.stepCancel()],
      [2, () => this.stepCancelMany()],
      [8, () => this.stepChain()],
      [2, () => this.stepReopen()],
      [3, () => this.stepStale()],
      [6, () => this.stepVectored()],
      [5, () => this.stepHold()],
      [6, () => this.io.ring.flush()],
      [20, () => this.io.runFor(this.random.oneIn(10) ? this.random.below(200_000) : 0)],
    ];
    let left = this.random.below(steps.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, step] of steps) {
      left -= weight;
      if (left >= 0) continue;
      step();
      return;
    }
  }

  end(): void {
    while (this.live.size > this.unreleased()) this.settle();
    // Unreceived bytes keep the memory of zero-copy sends; a reset frees it.
    for (const { to } of this.streams) {
      assert.is(
        this.call((c, done) => this.io.ring.close(c, done, to)),
        0,
      );
    }
    while (this.live.size > 0) this.settle();
    assert.is(this.finals, this.started);
    const stats = this.io.stats();
    assert.is(stats.inFlight, 0);
    assert.is(stats.strays, 0);
    assert.is(stats.overflows, 0);
    assert.is(stats.completed, this.calls);
    assert.is(stats.submitted + stats.refused, this.started);
    for (const [buffer, base] of this.held) {
      assert.is(firstWrong(buffer, buffer.length, base), -1, "memory was written by a stranger");
    }
  }
}

test("byteAt differs from place to place", () => {
  const differing = Array.from({ length: 1000 }, (_, at) => byteAt(at) === byteAt(at + 4096));
  assert.ok(differing.filter(Boolean).length < 100);
});

for (let round = 0; round < 4; round++) {
  test(`random program ${round + 1}`, async () => {
    const entries = round % 2 === 0 ? 128 : 1024;
    const io = await IO.open({
      mode: "detached",
      entries,
      inFlightLimit: IN_FLIGHT_LIMIT,
      buffersMaxBytes: 2 * 1024 * 1024,
    });
    const program = new Program(io, new Random(seed + round));
    program.setUp();
    for (let count = stepsOf(4000); count > 0; count--) program.step();
    program.end();
    assert.ok(program.verified > 0, "nothing was verified");
    await io.close();
  });
}

test.run();
