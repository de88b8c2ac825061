// The rules of a stream and of single results, with histories made by hand: those that the model
// must let pass, and those that it must not.

import { constants } from "node:os";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { contentOf } from "./streams/content.js";
import { HeldChunks } from "./streams/held_chunks.js";
import { Side, Stream, Violation } from "./streams/model.js";
import { NO_BUFFERS, Operation, type OperationFields } from "./streams/operation.js";

const { ECANCELED, ETIMEDOUT, EPIPE, ECONNRESET } = constants.errno;
const test = suite("checks");

function violates(what: RegExp, call: () => unknown): void {
  assert.throws(call, (error: unknown) => {
    assert.instance(error, Violation, `threw ${error}`);
    assert.match((error as Violation).message, what);
    return true;
  });
}

/** A stream of two sends of 10 bytes each, which took this much. */
function streamOf(...taken: (number | null)[]): [Stream, Uint8Array] {
  const stream = new Stream("a -> b");
  const whole = taken.map((count) => {
    const payload = stream.begin(10);
    if (count !== null) stream.sent(payload, count);
    return contentOf(payload.id, count ?? 10);
  });
  return [stream, Buffer.concat(whole)];
}

test("bytes in order, in any pieces, are allowed", () => {
  const [stream, bytes] = streamOf(10, 4);
  for (const at of [0, 3, 10, 12])
    stream.receive(bytes.slice(at, [3, 10, 12, 14][[0, 3, 10, 12].indexOf(at)]));
  stream.ending = true;
  stream.end();
  stream.check(true);
});

test("bytes may come before their send has completed", () => {
  const [stream] = streamOf();
  const payload = stream.begin(10);
  stream.receive(contentOf(payload.id, 4).slice());
  stream.sent(payload, 4);
  stream.check(true);
});

test("bytes in the wrong order, doubled, lost or invented are found", () => {
  const [swapped, bytes] = streamOf(10, 10);
  violates(/wrong bytes/, () => swapped.receive(bytes.slice(10)));
  const [doubled, again] = streamOf(10, 10);
  doubled.receive(again.slice(0, 5));
  violates(/wrong bytes/, () => doubled.receive(again.slice(0, 5)));
  const [lost, max] = streamOf(10, 10);
  lost.receive(max.slice(0, 19));
  violates(/1 bytes are missing/, () => lost.check(true));
  const [invented, all] = streamOf(10, 10);
  invented.receive(all);
  violates(/1 bytes more/, () => invented.receive(new Uint8Array(1)));
});

test("bytes of a send that was cancelled are found", () => {
  const [stream] = streamOf();
  const payload = stream.begin(10);
  stream.receive(contentOf(payload.id, 4).slice());
  stream.sent(payload, 0);
  violates(/never sent/, () => stream.check(false));
});

test("an end that comes too early, or has no cause, is found", () => {
  const [early, bytes] = streamOf(10, 10);
  violates(/has no cause/, () => early.end());
  early.ending = true;
  early.receive(bytes.slice(0, 10));
  early.end();
  violates(/10 bytes are missing/, () => early.check(false));
  violates(/after the end/, () => early.receive(bytes.slice(10)));
});

test("after a reset bytes may be missing", () => {
  const [stream, bytes] = streamOf(10, 10);
  stream.lossy = true;
  stream.receive(bytes.slice(0, 5));
  stream.end();
  stream.check(true);
});

test("a peer that is not known is found by its bytes", () => {
  const candidates = [new Side("one", false), new Side("two", false)];
  const [one, two] = candidates as [Side, Side];
  for (const side of candidates) side.out.sent(side.out.begin(10), 10);
  const payload = two.out.begin(10);
  two.out.sent(payload, 10);
  const accepted = new Side("accepted", false, () => candidates);
  const bytes = contentOf(payload.id - 1, 10).slice();
  assert.is(accepted.inbox.receive(bytes.slice(0, 2)), null, "two bytes do not show");
  const found = accepted.inbox.receive(bytes.slice(2));
  assert.is(found, two);
  accepted.pair(two);
  assert.is(two.out.received, 10);
  assert.is(one.other, null);
  const stranger = new Side("stranger", false, () => candidates);
  violates(/no peer sent/, () => stranger.inbox.receive(new Uint8Array(8)));
});

function started(fields: Partial<OperationFields> & Pick<OperationFields, "verb">): Operation {
  return new Operation({ layer: "ring", ...fields });
}

test("an end without a request is found", () => {
  const operation = started({ verb: "nop" });
  violates(/without a request/, () => operation.checkResult(-ECANCELED));
  operation.askedToEnd = true;
  operation.checkResult(-ECANCELED);
  violates(/no time limit/, () => operation.checkResult(-ETIMEDOUT));
  const limited = started({ verb: "nop", limitNs: 3600e9 });
  violates(/ended it after/, () => limited.checkResult(-ETIMEDOUT));
});

test("failures of a connection whose peer is there are found", () => {
  const [near, far] = [new Side("near", false), new Side("far", false)];
  near.pair(far);
  const send = started({ verb: "send", on: near, sizeBytes: 10 });
  const receive = started({ verb: "receive", on: near, sizeBytes: 10 });
  violates(/the peer is there/, () => send.checkResult(-EPIPE));
  violates(/the peer is there/, () => receive.checkResult(-ECONNRESET));
  violates(/more than it was given/, () => send.checkResult(11));
  violates(/took nothing/, () => send.checkResult(0));
  violates(/more than there was room/, () => receive.checkResult(11));
  far.leave(true);
  send.checkResult(-EPIPE);
  receive.checkResult(-ECONNRESET);
});

test("what follows a failure in a chain must be cancelled, and comes after it", () => {
  const chain = { members: [] as Operation[] };
  const first = started({ verb: "read", sizeBytes: 10, chain });
  const second = started({ verb: "nop", chain });
  violates(/has not completed/, () => second.checkResult(0));
  first.results = [4];
  first.ended = true;
  violates(/broke their chain/, () => second.checkResult(0));
  second.checkResult(-ECANCELED);
});

test("a chunk that is held twice, or changes while it is held, is found", () => {
  const memory = new Uint8Array(100);
  const heldChunks = new HeldChunks();
  const given: string[] = [];
  const hold = (name: string, start: number, end: number): ReturnType<HeldChunks["hold"]> =>
    heldChunks.hold(
      name,
      () => memory.subarray(start, end),
      () => given.push(name),
    );
  const first = hold("first", 0, 10);
  hold("second", 10, 20);
  violates(/1 bytes are held that first has/, () => hold("third", 9, 10));
  violates(/20 bytes are held that first has/, () => hold("third", 0, 20));
  memory[15] = 1;
  violates(/second: byte 5 changed/, () => heldChunks.check());
  memory[15] = 0;
  heldChunks.check();
  heldChunks.release(first);
  memory[5] = 1;
  heldChunks.check();
  hold("third", 0, 10);
  heldChunks.releaseAll();
  assert.equal(given, ["first", "second", "third"]);
  assert.is(heldChunks.count, 0);
});

test("a want of memory is found where there is some", () => {
  const on = new Side("near", false);
  const receive = started({ verb: "receiveMultishot", on, sizeBytes: 10 });
  violates(/there is memory/, () => receive.checkResult(NO_BUFFERS));
  receive.mayLackMemory = true;
  receive.checkResult(NO_BUFFERS);
  receive.checkResult(10);
  violates(/more than there was room/, () => receive.checkResult(11));
  violates(/no such result/, () => started({ verb: "receive", on }).checkResult(NO_BUFFERS));
});

test("one that waits for a chunk may be cancelled when its stream was", () => {
  const on = new Side("near", false);
  const stream = started({ verb: "receiving", on });
  const next = started({ verb: "next", on, sizeBytes: 10, stream });
  violates(/without a request/, () => next.checkResult(-ECANCELED));
  stream.askedToEnd = true;
  next.checkResult(-ECANCELED);
});

test.run();
