// Many connections that do nothing: however many there are, they end neither the loop over their
// listener nor anything else of their IO, and when they have gone it goes on as before.

import { Completion, type IO, type Listener, type Socket } from "@io/core";
import * as assert from "uvu/assert";
import { GUARD_MS, guarded, type Suite } from "../support/harness.js";
import { targetOf } from "../support/network.js";
import { negative, until } from "../support/verbs.js";

const LIMIT = 24;
const CROWD = 3 * LIMIT;
const CANCELED = negative("ECANCELED");

type Echo = (socket: Socket) => Promise<void>;

const ECHOES: readonly [string, Echo][] = [
  [
    "receive",
    async (socket) => {
      const buffer = new Uint8Array(64);
      for (let count = await socket.receive(buffer); count > 0; ) {
        await socket.sendAll(buffer.subarray(0, count));
        count = await socket.receive(buffer);
      }
    },
  ],
  [
    "receiving",
    async (socket) => {
      for await (using chunk of socket.chunks()) await socket.sendAll(chunk.bytes);
    },
  ],
];

/** Serves every client; `ended` says why the loop does not go on. */
class EchoServer {
  served = 0;
  ended: string | undefined;
  readonly errors: string[] = [];

  constructor(listener: Listener, echo: Echo) {
    const serve = async (socket: Socket): Promise<void> => {
      this.served++;
      await echo(socket).catch((error) => this.errors.push(error.code));
      await socket.close();
    };
    const loop = async (): Promise<void> => {
      for await (const socket of listener) void serve(socket);
    };
    loop().then(
      () => {
        this.ended = "done";
      },
      (error) => {
        this.ended = error.code;
      },
    );
  }
}

async function answers(socket: Socket): Promise<void> {
  await socket.sendAll(new Uint8Array(5));
  assert.is(await socket.receiveFull(new Uint8Array(5), { timeoutMs: GUARD_MS }), 5);
}

async function otherWork(io: IO, path: string): Promise<void> {
  const file = await io.openFile(path, { write: true, create: true });
  await file.write(new Uint8Array(8), 0);
  await file.close();
  await io.sleep(0.001);
  assert.is(await io.nop(), 0);
}

export function streamsCrowd(suite: Suite): void {
  registerIdle(suite);
  registerWaiting(suite);
  registerMany(suite);
}

function registerIdle(suite: Suite): void {
  for (const [name, echo] of ECHOES) {
    suite.test(`more idle clients than inFlightLimit, served by ${name}`, async (trial) => {
      const io = await trial.open({ inFlightLimit: LIMIT });
      const outside = await trial.open();
      const listener = await io.listen({ host: "127.0.0.1", port: 0 });
      const server = new EchoServer(listener, echo);
      const connect = (): Promise<Socket> => outside.connect(targetOf(listener.address));
      const good = await connect();
      await answers(good);
      const crowd = await Promise.all(Array.from({ length: CROWD }, connect));
      await until(io, () => server.served >= LIMIT / 3, "some of the crowd to be served");
      for (let round = 0; round < 3; round++) {
        await answers(good);
        await otherWork(io, trial.path("file"));
      }
      assert.is(server.ended, undefined);
      assert.ok(server.served < LIMIT, `${server.served}`);
      // A new connection waits in the backlog, and has its turn when others have gone.
      const late = await connect();
      await Promise.all(crowd.map((socket) => socket.close()));
      await guarded("an answer for who came last", answers(late));
      await answers(good);
      assert.is(server.ended, undefined);
      assert.equal(server.errors, []);
      await Promise.all([good.close(), late.close()]);
      await until(io, () => server.served === CROWD + 2, "all to be served");
      await listener.close();
    });
  }
}

function registerWaiting(suite: Suite): void {
  suite.test("operations of others make an accept wait, and do not end it", async (trial) => {
    const io = await trial.open({ inFlightLimit: LIMIT });
    const outside = await trial.open();
    const listener = await io.listen({ host: "127.0.0.1", port: 0 });
    const sleeping = Array.from({ length: LIMIT }, () => new Completion());
    let ended = 0;
    for (const completion of sleeping) {
      io.ring.timeout(
        completion,
        (_completion, result) => {
          ended += result === CANCELED ? 1 : 0;
        },
        3600e9,
      );
    }
    const accepting = listener.accept();
    const client = await outside.connect(targetOf(listener.address));
    io.ring.cancelAll(new Completion(), () => {});
    await guarded("the accept", accepting);
    await until(io, () => ended === LIMIT, "all to be cancelled");
    await client.close();
  });

  suite.test("a listener that waits for room can be closed, and its IO too", async (trial) => {
    const io = await trial.open({ inFlightLimit: LIMIT });
    const listener = await io.listen({ host: "127.0.0.1", port: 0 });
    const other = await io.listen({ host: "127.0.0.1", port: 0 });
    for (let count = 0; count < LIMIT - 2; count++) void io.sleep(3_600_000).catch(() => {});
    const codes = [listener, other].map((one) =>
      one.accept().then(
        () => "accepted",
        (error) => error.code,
      ),
    );
    await listener.close();
    assert.is(await codes[0], "ECANCELED");
    await trial.close(io);
    await other.close();
    assert.is(await codes[1], "ECANCELED");
  });
}

function registerMany(suite: Suite): void {
  suite.test(
    "more are in flight and end together than a ring of the kernel holds",
    async (trial) => {
      // That of io_uring has 65,536 entries at most, and 32,768 here.
      const count = 70_000;
      const io = await trial.open();
      let ended = 0;
      const called = (_completion: Completion, result: number): void => {
        if (result === CANCELED) ended++;
      };
      for (let index = 0; index < count; index++) {
        io.ring.timeout(new Completion(), called, 3600e9);
      }
      await io.nop();
      assert.is(io.stats().inFlight, count);
      io.ring.cancelAll(new Completion(), () => {});
      await until(io, () => ended === count, "all to be cancelled");
      const { inFlight, overflows, strays } = io.stats();
      assert.equal({ inFlight, overflows, strays }, { inFlight: 0, overflows: 0, strays: 0 });
      assert.is(await io.nop(), 0);
    },
  );
}
