// Unix datagrams to receivers that are full: many of them wait, and go when there is room.

import type { DatagramSocket, IO } from "@io/core";
import * as assert from "uvu/assert";
import { guarded, type Suite, type Trial } from "../support/harness.js";
import { roundTrips } from "../support/verbs.js";

const SENDERS = 600;
const MESSAGE = Buffer.alloc(100, 7);

interface Crowd {
  readonly io: IO;
  readonly receivers: DatagramSocket[];
  /** What each sender has sent. */
  readonly sent: number[];
  readonly sending: Promise<void>[];
}

/** Senders that send to their receiver until they wait, `each` datagrams at most. */
async function crowd(trial: Trial, receivingIO: IO, count: number, each: number): Promise<Crowd> {
  const io = await trial.open();
  const paths = Array.from({ length: count }, (_, index) => trial.path(`receiver-${index}`));
  const receivers: DatagramSocket[] = [];
  for (const path of paths) receivers.push(await receivingIO.openDatagram({ path }));
  const sent: number[] = [];
  const sending: Promise<void>[] = [];
  for (let index = 0; index < SENDERS; index++) {
    const sender = await io.openDatagram({ path: trial.path(`sender-${index}`) });
    const path = paths[index % count] as string;
    sent.push(0);
    const send = async (): Promise<void> => {
      while ((sent[index] as number) < each) {
        await sender.sendTo(MESSAGE, { path });
        sent[index]!++;
      }
    };
    const sends = send();
    sends.catch(() => undefined); // the end of the test ends those that wait
    sending.push(sends);
  }
  await roundTrips(io);
  return { io, receivers, sent, sending };
}

const total = ({ sent }: Crowd): number => sent.reduce((sum, one) => sum + one, 0);

export function datagramsFull(suite: Suite): void {
  for (const count of [1, SENDERS]) {
    const name = `${count === 1 ? "one full receiver" : "full receivers"} and ${SENDERS} senders`;

    suite.test(`${name}: waiting makes few calls`, async (trial) => {
      const made = await crowd(trial, await trial.open(), count, Number.POSITIVE_INFINITY);
      const before = made.io.stats().systemCalls;
      const sentBefore = total(made);
      const rounds = 10;
      for (let round = 0; round < rounds; round++) await made.io.sleep(21);
      assert.is(total(made), sentBefore, "the receivers are full");
      const calls = made.io.stats().systemCalls - before;
      // On a busy machine the rounds take longer, and more tries fall into them.
      const tries = calls / made.io.stats().inFlight;
      assert.ok(tries < rounds / 2, `${calls} calls`);
    });

    suite.test(`${name}: each datagram arrives when there is room`, async (trial) => {
      const receiving = await trial.open();
      const each = count === 1 ? 4 : 20;
      const made = await crowd(trial, receiving, count, each);
      const buffer = new Uint8Array(200);
      const perReceiver = (SENDERS / count) * each;
      const receive = async (receiver: DatagramSocket): Promise<void> => {
        for (let left = perReceiver; left > 0; left--) {
          assert.is((await receiver.receive(buffer)).byteLength, MESSAGE.byteLength);
        }
      };
      await guarded("the datagrams", Promise.all(made.receivers.map(receive)));
      await guarded("the sends", Promise.all(made.sending));
      assert.is(total(made), SENDERS * each);
    });
  }

  suite.test("what one IO receives makes room for what it sends at once", async (trial) => {
    const io = await trial.open();
    const path = trial.path("receiver");
    const receiver = await io.openDatagram({ path });
    const sender = await io.openDatagram({ path: trial.path("sender") });
    const count = 500;
    const send = async (): Promise<void> => {
      for (let left = count; left > 0; left--) await sender.sendTo(MESSAGE, { path });
    };
    const sending = send();
    const buffer = new Uint8Array(200);
    await roundTrips(io);
    for (let left = count; left > 0; left--) await guarded("receive", receiver.receive(buffer));
    await guarded("the sends", sending);
  });

  suite.test("a full receiver that is closed ends the sends that wait for it", async (trial) => {
    const receiving = await trial.open();
    const made = await crowd(trial, receiving, 1, Number.POSITIVE_INFINITY);
    await made.receivers[0]!.close();
    const settled = await guarded("the sends", Promise.allSettled(made.sending));
    const codes = new Set(settled.map((one) => one.status === "rejected" && one.reason.code));
    assert.ok(!codes.has(false), "each of them fails");
    for (const code of codes) assert.ok(["ECONNREFUSED", "ENOENT"].includes(code), code);
  });
}
