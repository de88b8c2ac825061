// Random programs of promises: aborts, time limits and closes at any moment. Every promise settles,
// an error has a cause in the program, data is not lost, and nothing is left in flight.

import { IO, type IOError, type OperationOptions, type Socket } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fillFrom, firstWrong, Random, seedOf, stepsOf } from "./support.js";

const test = suite("fuzz/promises");
const seed = seedOf("fuzz/promises");
const MAX_MS = 3;
// Errors that may come at any time: everything is cancelled, or too much is in flight.
const COMMON_CODES = ["ECANCELED", "ERR_IO_IN_FLIGHT_LIMIT"];

interface Stream {
  readonly from: Socket;
  readonly to: Socket;
  sent: number;
  received: number;
  sending: boolean;
  receiving: boolean;
}

class Program {
  readonly running = new Set<Promise<void>>();
  readonly aborting = new Set<AbortController>();
  readonly streams: Stream[] = [];
  closed: Socket | null = null;
  readonly failures: Error[] = [];
  started = 0;
  settled = 0;

  constructor(
    readonly io: IO,
    readonly random: Random,
  ) {}

  async setUp(): Promise<void> {
    for (let count = 0; count < 4; count++) {
      const listener = await this.io.listen({ port: 0 });
      const accepting = listener.accept();
      const client = await this.io.connect({ port: listener.address.port });
      const server = await accepting;
      await listener.close();
      if (this.closed === null) {
        await Promise.all([client.close(), server.close()]);
        this.closed = client;
        continue;
      }
      const none = { sent: 0, received: 0, sending: false, receiving: false };
      this.streams.push({ from: client, to: server, ...none });
      this.streams.push({ from: server, to: client, ...none });
    }
  }

  /** None, a time limit, a signal, or both; some signals are aborted before they are used. */
  options(): OperationOptions | undefined {
    const options: OperationOptions = {};
    if (this.random.oneIn(3)) options.timeoutMs = this.random.below(MAX_MS * 1000) / 1000;
    if (this.random.oneIn(3)) {
      const aborting = new AbortController();
      if (this.random.oneIn(10)) aborting.abort();
      else this.aborting.add(aborting);
      options.signal = aborting.signal;
    }
    return this.random.oneIn(4) ? undefined : options;
  }

  /** Only who gave a time limit may be late, and only who gave a signal may be aborted. */
  watch(
    start: (options: OperationOptions | undefined) => Promise<unknown>,
    done: (count: number) => void,
  ): void {
    const options = this.options();
    const allowed = new Set(COMMON_CODES);
    if (options?.timeoutMs !== undefined) allowed.add("ETIMEDOUT");
    if (options?.signal !== undefined) allowed.add("ABORT_ERR");
    const promise = start(options);
    this.started++;
    const watched = promise
      .then(
        (count) => done(typeof count === "number" ? count : 0),
        (error: IOError) => {
          assert.ok(allowed.has(error.code), `${error.code}: ${error.message}`);
          done(-1);
        },
      )
      .catch((error: Error) => {
        this.failures.push(error);
      })
      .finally(() => {
        this.settled++;
        this.running.delete(watched);
      });
    this.running.add(watched);
  }

  step(): void {
    const stream = this.random.pick(this.streams);
    const buffer = new Uint8Array(1 + this.random.below(5000));
    const kind = this.random.below(10);
    if (kind < 3 && !stream.sending) {
      fillFrom(buffer, stream.sent);
      stream.sending = true;
      this.watch(
        (options) => stream.from.send(buffer, options),
        (count) => {
          stream.sending = false;
          if (count > 0) stream.sent += count;
        },
      );
    } else if (kind < 6 && !stream.receiving) {
      stream.receiving = true;
      this.watch(
        (options) => stream.to.receive(buffer, options),
        (count) => {
          stream.receiving = false;
          assert.is(firstWrong(buffer, Math.max(count, 0), stream.received), -1);
          if (count > 0) stream.received += count;
        },
      );
    } else if (kind < 8) {
      const durationMs = this.random.oneIn(4) ? 3600e3 : this.random.below(MAX_MS * 1e6) / 1e6;
      this.watch(
        (options) => this.io.sleep(durationMs, options),
        () => undefined,
      );
    } else if (kind < 9) {
      const aborting = [...this.aborting];
      if (aborting.length > 0) {
        const chosen = this.random.pick(aborting);
        this.aborting.delete(chosen);
        chosen.abort();
      }
    } else if (this.random.oneIn(20)) {
      this.watch(
        () => this.io.cancelAll(),
        () => undefined,
      );
    } else {
      this.refused(stream);
    }
  }

  /** What is refused may leave nothing behind for the operation that comes next. */
  refused(stream: Stream): void {
    const wrong = "text" as unknown as Uint8Array;
    const options = { timeoutMs: 0.001 };
    const [refused, code] = this.random.oneIn(2)
      ? [stream.to.receive(wrong, options), "ERR_INVALID_ARG_TYPE"]
      : [this.closed!.receive(new Uint8Array(8), options), "ERR_IO_CLOSED"];
    const refusal = refused.then(
      () => assert.unreachable(),
      (error: IOError) => assert.is(error.code, code),
    );
    const watched = refusal
      .catch((error: Error) => {
        this.failures.push(error);
      })
      .finally(() => this.running.delete(watched));
    this.running.add(watched);
  }

  async run(steps: number): Promise<void> {
    for (let count = 0; count < steps; count++) {
      this.step();
      if (this.random.oneIn(5)) {
        await new Promise<void>((resolve) => {
          setImmediate(resolve);
        });
      }
      if (this.running.size > 50) await this.io.cancelAll().catch(() => undefined);
    }
  }

  /** Ends what never ends by itself and waits for all. */
  async end(): Promise<void> {
    for (const aborting of this.aborting) aborting.abort();
    while (this.running.size > 0) {
      // The aborts may have taken the last slots: then it is their turn first.
      await this.io.cancelAll().catch((error: IOError) => {
        assert.is(error.code, "ERR_IO_IN_FLIGHT_LIMIT");
        return this.io.nop().catch(() => undefined);
      });
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
    }
    this.check();
  }

  check(): void {
    for (const failure of this.failures) throw failure;
    assert.is(this.settled, this.started);
  }

  /** What was sent and not received yet is still there. */
  async drain(): Promise<void> {
    for (const stream of this.streams) {
      const left = new Uint8Array(stream.sent - stream.received);
      assert.is(await stream.to.receiveFull(left), left.length);
      assert.is(firstWrong(left, left.length, stream.received), -1, "the rest of a stream");
    }
  }
}

for (const inFlightLimit of [32, 4096]) {
  test(`random promises, at most ${inFlightLimit} in flight`, async () => {
    const io = await IO.open({ inFlightLimit });
    const program = new Program(io, new Random(seed + inFlightLimit));
    await program.setUp();
    await program.run(stepsOf(4000));
    await program.end();
    await program.drain();
    const stats = io.stats();
    assert.is(stats.inFlight, 0);
    assert.is(stats.strays, 0);
    await io.close();
  });
}

test("closing at any moment settles every promise", async () => {
  const random = new Random(seed);
  for (let round = 0; round < 60; round++) {
    const io = await IO.open({ inFlightLimit: 64 });
    const program = new Program(io, random);
    await program.setUp();
    await program.run(random.below(150));
    const closing = io.close();
    for (const aborting of program.aborting) if (random.oneIn(2)) aborting.abort();
    await closing;
    for (const aborting of program.aborting) aborting.abort();
    await Promise.all(program.running);
    program.check();
  }
});

test.run();
