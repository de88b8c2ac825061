// Stream sockets by the verbs of the ring, in both modes.

import { Completion, type IO, OpenFlags } from "@io/core";
import * as assert from "uvu/assert";
import { isBsdHere } from "../../support/system.js";
import { text } from "../support/data.js";
import { MODES, type Mode, type Suite } from "../support/harness.js";
import { listeningDescriptor, pairOfDescriptors, unixAddress } from "../support/network.js";
import {
  negative,
  outcome,
  refusalCode,
  roundTrips,
  type Start,
  Started,
  success,
  until,
} from "../support/verbs.js";

export function streamsRing(suite: Suite): void {
  for (const mode of MODES) {
    registerVerbs(suite, mode);
    registerErrors(suite, mode);
    registerNoSocket(suite, mode);
    registerMultishot(suite, mode);
    registerCancelled(suite, mode);
    registerClosing(suite, mode);
  }
}

function registerVerbs(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: the ring sends, receives, gathers and shuts down`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const { near, far } = await pairOfDescriptors(io, unixAddress(trial));
    const buffer = new Uint8Array(32);
    const receive = (descriptor: number): Promise<number> =>
      outcome(io, (c, callback) => ring.receive(c, callback, descriptor, buffer));
    const send = (descriptor: number, data: string): Promise<number> =>
      outcome(io, (c, callback) => ring.send(c, callback, descriptor, Buffer.from(data)));
    assert.is(await send(near, "abc"), 3);
    assert.is(await receive(far), 3);
    assert.is(text(buffer, 3), "abc");
    const parts = [Buffer.from("de"), Buffer.from("fgh")];
    assert.is(await outcome(io, (c, callback) => ring.sendVectored(c, callback, far, parts)), 5);
    assert.is(await receive(near), 5);
    assert.is(text(buffer, 5), "defgh");
    const shutdown = (descriptor: number, how: "send" | "receive" | "both"): Promise<number> =>
      outcome(io, (c, callback) => ring.shutdown(c, callback, descriptor, how));
    assert.is(await shutdown(near, "send"), 0);
    assert.is(await receive(far), 0);
    assert.is(await send(near, "x"), negative("EPIPE"));
    assert.is(await send(far, "still"), 5);
    assert.is(await receive(near), 5);
    assert.is(await shutdown(near, "receive"), 0);
    assert.is(await receive(near), 0);
    assert.is(await shutdown(far, "both"), 0);
  });
}

function registerErrors(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: errors of sockets are negative error numbers`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const address = unixAddress();
    const socket = await success(io, (c, callback) => ring.socket(c, callback, "unix"));
    const connect = (): Promise<number> =>
      outcome(io, (c, callback) => ring.connect(c, callback, socket, address));
    // Of a path that is not there; an abstract name cannot be missing.
    assert.is(await connect(), negative(isBsdHere() ? "ENOENT" : "ECONNREFUSED"));
    const buffer = new Uint8Array(4);
    const receive = await outcome(io, (c, callback) => ring.receive(c, callback, socket, buffer));
    assert.ok(receive === negative("ENOTCONN") || receive === negative("EINVAL"), `${receive}`);
    const send = await outcome(io, (c, callback) => ring.send(c, callback, socket, buffer));
    assert.is(send, negative("ENOTCONN"));
    const accept = await outcome(io, (c, callback) => ring.accept(c, callback, socket));
    assert.is(accept, negative("EINVAL"));
    await listeningDescriptor(io, address);
    assert.is(await connect(), 0);
    assert.is(await connect(), negative("EISCONN"));
    const other = await success(io, (c, callback) => ring.socket(c, callback, "unix"));
    const bind = await outcome(io, (c, callback) => ring.bind(c, callback, other, address));
    assert.is(bind, negative("EADDRINUSE"));
    const wrong = { family: "ipv4", host: "not an address", port: 80 } as const;
    const inet = await success(io, (c, callback) => ring.socket(c, callback, "ipv4"));
    const refused = await outcome(io, (c, callback) => ring.connect(c, callback, inet, wrong));
    assert.is(refused, negative("EINVAL"));
    const port = { ...wrong, host: "127.0.0.1", port: 65_536 };
    const call = (): void => ring.connect(new Completion(), () => undefined, inet, port);
    assert.is(refusalCode(call), "ERR_OUT_OF_RANGE");
  });
}

function registerNoSocket(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a file is no socket, however often one asks`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const flags = OpenFlags.read | OpenFlags.write | OpenFlags.create;
    const path = trial.path();
    const file = await success(io, (c, callback) => ring.open(c, callback, path, flags, 0o600));
    await success(io, (c, callback) => ring.write(c, callback, file, Buffer.from("text"), 0));
    const buffer = new Uint8Array(4);
    const starts: Start[] = [
      (c, callback) => ring.receive(c, callback, file, buffer),
      (c, callback) => ring.send(c, callback, file, buffer),
      (c, callback) => ring.sendVectored(c, callback, file, [buffer]),
      (c, callback) => ring.accept(c, callback, file),
      (c, callback) => ring.acceptMultishot(c, callback, file),
      (c, callback) => ring.connect(c, callback, file, unixAddress()),
      (c, callback) => ring.bind(c, callback, file, unixAddress()),
      (c, callback) => ring.listen(c, callback, file, 1),
      (c, callback) => ring.shutdown(c, callback, file, "both"),
    ];
    for (let round = 0; round < 3; round++) {
      for (const start of starts) assert.is(await outcome(io, start), negative("ENOTSOCK"));
      const together = starts.map((start) => new Started(start));
      await until(io, () => together.every(({ done }) => done), "all of them");
      for (const { result } of together) assert.is(result, negative("ENOTSOCK"));
    }
    assert.is(await success(io, (c, callback) => ring.read(c, callback, file, buffer, 0)), 4);
  });
}

async function connectMany(io: IO, address: ReturnType<typeof unixAddress>, count: number) {
  for (let index = 0; index < count; index++) {
    const socket = await success(io, (c, callback) => io.ring.socket(c, callback, address.family));
    await success(io, (c, callback) => io.ring.connect(c, callback, socket, address));
  }
}

function registerMultishot(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: a multishot accept goes on until it is cancelled`, async (trial) => {
    const io = await trial.open({ mode });
    const address = unixAddress();
    const listening = await listeningDescriptor(io, address);
    const accepted: number[] = [];
    const ends: number[] = [];
    const completion = new Completion();
    io.ring.acceptMultishot(
      completion,
      (ended, result) => {
        assert.is(ended, completion);
        if (ended.active) accepted.push(result);
        else ends.push(result);
      },
      listening,
    );
    await connectMany(io, address, 100);
    await until(io, () => accepted.length === 100, "100 connections");
    assert.is(new Set(accepted).size, 100);
    assert.ok(accepted.every((descriptor) => descriptor > 0));
    assert.equal([completion.active, ends.length], [true, 0]);
    assert.is(io.stats().inFlight, 1);
    const cancel = await outcome(io, (c, callback) => io.ring.cancel(c, callback, completion));
    assert.is(cancel, 0);
    await until(io, () => ends.length > 0, "the end of the accept");
    assert.equal(ends, [negative("ECANCELED")]);
    assert.is(completion.active, false);
    await connectMany(io, address, 1);
    assert.is(
      (await success(io, (c, callback) => io.ring.accept(c, callback, listening))) > 0,
      true,
    );
    assert.is(accepted.length, 100);
  });

  suite.test(`${mode}: closing the listener ends a multishot accept`, async (trial) => {
    const io = await trial.open({ mode });
    const address = unixAddress();
    const listening = await listeningDescriptor(io, address);
    const accept = new Started((c, callback) => io.ring.acceptMultishot(c, callback, listening));
    await connectMany(io, address, 3);
    await until(io, () => accept.results.length === 3, "three connections");
    assert.is(await outcome(io, (c, callback) => io.ring.close(c, callback, listening)), 0);
    await until(io, () => accept.done, "the end of the accept");
    assert.equal(accept.results.slice(3), [negative("ECANCELED")]);
  });
}

function registerCancelled(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: an accept that is cancelled leaves no client waiting`, async (trial) => {
    const io = await trial.open({ mode });
    const { ring } = io;
    const address = unixAddress();
    const listening = await listeningDescriptor(io, address);
    const accept = (): Started => new Started((c, callback) => ring.accept(c, callback, listening));
    const accepts = [accept(), accept(), accept()];
    await roundTrips(io);
    for (let round = 0; round < 20; round++) {
      const socket = await success(io, (c, callback) => ring.socket(c, callback, "unix"));
      // In one batch: the connection is there, and the first accept, woken for it, is cancelled.
      const [first] = accepts as [Started];
      const connect = new Started((c, callback) => ring.connect(c, callback, socket, address));
      const cancel = new Started((c, callback) => ring.cancel(c, callback, first.completion));
      const over = (): boolean => connect.done && cancel.done && first.done;
      await until(io, over, "the connect, the cancel and what it cancelled");
      accepts.shift();
      if (first.result < 0) {
        const taken = (): boolean => accepts.some(({ done }) => done);
        await until(io, taken, "the connection at another accept");
        const index = accepts.findIndex(({ done }) => done);
        assert.ok((accepts.splice(index, 1)[0] as Started).result > 0);
      }
      while (accepts.length < 3) accepts.push(accept());
    }
  });
}

function registerClosing(suite: Suite, mode: Mode): void {
  suite.test(`${mode}: closing ends what is in flight first, then completes`, async (trial) => {
    const io = await trial.open({ mode });
    const { near, far } = await pairOfDescriptors(io);
    const order: string[] = [];
    const buffer = new Uint8Array(4);
    for (let index = 0; index < 3; index++) {
      io.ring.receive(
        new Completion(),
        (_completion, result) => {
          assert.is(result, negative("ECANCELED"));
          order.push("receive");
        },
        near,
        buffer,
      );
    }
    io.ring.close(
      new Completion(),
      (_completion, result) => {
        assert.is(result, 0);
        order.push("close");
      },
      near,
    );
    const late = new Started((c, callback) => io.ring.receive(c, callback, near, buffer));
    const again = new Started((c, callback) => io.ring.close(c, callback, near));
    await until(io, () => order.length === 4 && late.done && again.done, "the close");
    assert.equal(order, ["receive", "receive", "receive", "close"]);
    assert.equal([late.result, again.result], [negative("EBADF"), negative("EBADF")]);
    assert.is(await outcome(io, (c, callback) => io.ring.receive(c, callback, far, buffer)), 0);
  });
}
