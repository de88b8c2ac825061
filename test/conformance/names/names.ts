// Names: one deadline and one signal over look-up and connect, all addresses of a name, and errors
// that are the library's. The tests look names up by functions of their own.

import type { LookupFunction } from "node:net";
import type { IO, IOError } from "@io/core";
import * as assert from "uvu/assert";
import type { Suite, Trial } from "../support/harness.js";
import { FAMILIES } from "../support/network.js";
import { failure, failureCode, roundTrips, until } from "../support/verbs.js";

const HOUR_MS = 3_600_000;
const REFUSED = "127.0.0.1";

export function names(suite: Suite): void {
  registerLimits(suite);
  registerAddresses(suite);
  registerAttempts(suite);
  registerErrors(suite);
  registerOthers(suite);
}

/** Looks up every name as these addresses, and counts how often it is asked. */
function found(...addresses: string[]): LookupFunction & { asked: number } {
  const lookup: LookupFunction & { asked: number } = (_name, _options, callback) => {
    lookup.asked++;
    const list = addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
    setImmediate(() => callback(null, list));
  };
  lookup.asked = 0;
  return lookup;
}

const never: LookupFunction = () => undefined;

async function listening(trial: Trial, host = "127.0.0.1"): Promise<{ io: IO; port: number }> {
  const io = await trial.open();
  const listener = await io.listen({ host, port: 0 });
  return { io, port: listener.address.port };
}

/** A listener at another address of the loopback device that leaves connects waiting. */
async function stuckAt(io: IO, host: string, port: number): Promise<void> {
  // Linux takes one connection more than the backlog says, and drops what the next one sends.
  await io.listen({ host, port, backlog: 0 });
  await io.connect({ host, port });
}

function registerLimits(suite: Suite): void {
  suite.test("a time limit counts while a name is looked up", async (trial) => {
    const { io, port } = await listening(trial);
    const begun = io.stats().descriptors;
    for (const timeoutMs of [0, 20]) {
      const error = await failure(
        io.connect({ host: "slow.test", port, timeoutMs, lookup: never }),
      );
      assert.equal(
        [error.code, error.operation, error.address, error.port],
        ["ETIMEDOUT", "connect", "slow.test", port],
      );
    }
    const socket = await io.openDatagram({ family: "ipv4" });
    const place = { host: "slow.test", port, lookup: never };
    assert.is(await failureCode(socket.connect(place, { timeoutMs: 20 })), "ETIMEDOUT");
    await socket.close();
    assert.is(io.stats().descriptors, begun);
  });

  suite.test("a signal ends a look-up, and an aborted one begins none", async (trial) => {
    const { io, port } = await listening(trial);
    const reason = new Error("enough");
    const controller = new AbortController();
    const { signal } = controller;
    const socket = await io.openDatagram({ family: "ipv4" });
    const place = { host: "slow.test", port, lookup: never };
    const all = [io.connect({ ...place, signal }), socket.connect(place, { signal })];
    setImmediate(() => controller.abort(reason));
    for (const one of all) {
      const error = await failure(one);
      assert.equal([error.code, error.name], ["ABORT_ERR", "AbortError"]);
      assert.is(error.cause, reason);
    }
    const lookup = found("127.0.0.1");
    for (const start of [
      () => io.connect({ host: "a.test", port, signal, lookup }),
      () => io.connect({ host: "127.0.0.1", port, signal }),
      () => io.connect({ path: trial.path("socket"), signal }),
      () => socket.connect({ host: "a.test", port, lookup }, { signal }),
    ]) {
      assert.is(await failureCode(start()), "ABORT_ERR");
    }
    assert.is(lookup.asked, 0);
  });

  suite.test("a limit or a signal that is not reached changes nothing", async (trial) => {
    const { io, port } = await listening(trial);
    const { signal } = new AbortController();
    const lookup = found("127.0.0.1");
    const options = { host: "a.test", port, signal, timeoutMs: HOUR_MS, lookup };
    const socket = await io.connect(options);
    assert.is(socket.remoteAddress!.port, port);
    await socket.close();
    for (const timeoutMs of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const code = await failureCode(io.connect({ ...options, timeoutMs }));
      assert.is(code, "ERR_OUT_OF_RANGE", `${timeoutMs}`);
    }
    assert.is(lookup.asked, 1);
  });

  suite.test("closing the IO ends a look-up", async (trial) => {
    const { io, port } = await listening(trial);
    const place = { host: "slow.test", port, lookup: never };
    const all = [io.connect(place), io.listen(place), io.openDatagram(place)];
    const codes = all.map((one) => failureCode(one));
    await roundTrips(io, 2);
    await trial.close(io);
    assert.equal(await Promise.all(codes), ["ERR_IO_CLOSED", "ERR_IO_CLOSED", "ERR_IO_CLOSED"]);
  });
}

function registerAddresses(suite: Suite): void {
  const ipv6 = FAMILIES.find(({ family }) => family === "ipv6");
  const missing = ipv6?.missing ?? null;
  const test = (name: string, body: (trial: Trial) => Promise<void>): void => {
    if (missing !== null) suite.skip(name, missing);
    else suite.test(name, body);
  };

  test("all addresses of a name are tried, of both families in turn", async (trial) => {
    const { io, port } = await listening(trial);
    const begun = io.stats().descriptors;
    const socket = await io.connect({ host: "both.test", port, lookup: found("::1", REFUSED) });
    assert.is(socket.remoteAddress!.host, "127.0.0.1");
    await socket.close();
    const others = found("::1", "::1", "::2", "127.0.0.1");
    const second = await io.connect({ host: "both.test", port, lookup: others });
    await second.close();
    const only = { host: "both.test", port, lookup: found("::1", "127.0.0.1") };
    assert.is(await failureCode(io.connect({ ...only, autoSelectFamily: false })), "ECONNREFUSED");
    assert.is(io.stats().descriptors, begun);
  });

  test("when all fail the error names all", async (trial) => {
    const { io, port } = await listening(trial);
    const free = await io.listen({ host: "127.0.0.1", port: 0 });
    const unused = free.address.port;
    await free.close();
    assert.is.not(unused, port);
    const lookup = found("::1", "127.0.0.1");
    const error = await failure(io.connect({ host: "both.test", port: unused, lookup }));
    assert.equal(
      [error.code, error.operation, error.syscall, error.host, error.address, error.port],
      ["ECONNREFUSED", "connect", "connect", "both.test", "::1", unused],
    );
    const each = (error.errors as IOError[]).map(({ code, ...at }) => [code, at.address, at.port]);
    assert.equal(each, [
      ["ECONNREFUSED", "::1", unused],
      ["ECONNREFUSED", "127.0.0.1", unused],
    ]);
    assert.match(error.message, /\[::1\]:\d+.*127\.0\.0\.1:\d+/);
    assert.is(error.cause, error.errors?.[0]);
  });
}

function registerAttempts(suite: Suite): void {
  const linux = process.platform === "linux" ? null : "only Linux has all of 127.0.0.0/8";
  const onLinux = (name: string, body: (trial: Trial) => Promise<void>): void => {
    if (linux !== null) suite.skip(name, linux);
    else suite.test(name, body);
  };

  onLinux("an attempt that goes on does not keep the others waiting", async (trial) => {
    const { io, port } = await listening(trial);
    await stuckAt(io, "127.0.0.2", port);
    const begun = io.stats().descriptors;
    const lookup = found("127.0.0.2", "127.0.0.1");
    const options = { host: "a.test", port, lookup, autoSelectFamilyAttemptTimeoutMs: 10 };
    const socket = await io.connect(options);
    assert.is(socket.remoteAddress!.host, "127.0.0.1");
    await socket.close();
    assert.is(io.stats().descriptors, begun, "the other attempt has left nothing");
    for (const wrong of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const wrongly = { ...options, autoSelectFamilyAttemptTimeoutMs: wrong };
      assert.is(await failureCode(io.connect(wrongly)), "ERR_OUT_OF_RANGE", `${wrong}`);
    }
  });

  onLinux("a limit and a signal end all attempts, which leave nothing", async (trial) => {
    const { io, port } = await listening(trial);
    await stuckAt(io, "127.0.0.2", port);
    await stuckAt(io, "127.0.0.3", port);
    const begun = io.stats();
    const lookup = found("127.0.0.2", "127.0.0.3");
    const options = { host: "a.test", port, lookup, autoSelectFamilyAttemptTimeoutMs: 10 };
    assert.is(await failureCode(io.connect({ ...options, timeoutMs: 30 })), "ETIMEDOUT");
    const controller = new AbortController();
    const connecting = failureCode(io.connect({ ...options, signal: controller.signal }));
    await until(io, () => io.stats().descriptors === begun.descriptors + 2, "both attempts");
    controller.abort();
    assert.is(await connecting, "ABORT_ERR");
    assert.is(io.stats().descriptors, begun.descriptors);
    const closing = failureCode(io.connect(options));
    await until(io, () => io.stats().descriptors > begun.descriptors, "an attempt");
    await trial.close(io);
    assert.is(await closing, "ERR_IO_CLOSED");
  });
}

function registerErrors(suite: Suite): void {
  suite.test("a name that cannot be looked up is an error of the library", async (trial) => {
    const { io, port } = await listening(trial);
    const cause = Object.assign(new Error("getaddrinfo ENOTFOUND no.test"), {
      code: "ENOTFOUND",
      errno: -3008,
      syscall: "getaddrinfo",
    });
    const fails: LookupFunction = (_name, _options, callback) => callback(cause, "", 0);
    const place = { host: "no.test", port, lookup: fails };
    const datagrams = await io.openDatagram({ family: "ipv4" });
    for (const [operation, start] of [
      ["connect", () => io.connect(place)],
      ["listen", () => io.listen(place)],
      ["openDatagram", () => io.openDatagram(place)],
      ["bind", () => datagrams.bind(place)],
      ["connect", () => datagrams.connect(place)],
    ] as const) {
      const error = await failure(start());
      assert.equal(
        [error.name, error.code, error.errno, error.syscall, error.operation, error.host],
        ["IOError", "ENOTFOUND", -3008, "getaddrinfo", operation, "no.test"],
      );
      assert.is(error.cause, cause);
    }
  });

  suite.test("what a look-up of the caller's gives is checked", async (trial) => {
    const { io, port } = await listening(trial);
    const answers: readonly [answer: unknown, code: string][] = [
      [[], "ENOTFOUND"],
      ["127.0.0.1", "no error"],
      [[{ address: "127.0.0.1", family: 4 }], "no error"],
      [[{ address: "nowhere", family: 4 }], "ERR_INVALID_IP_ADDRESS"],
      [[null], "ERR_INVALID_IP_ADDRESS"],
      [undefined, "ERR_INVALID_IP_ADDRESS"],
    ];
    for (const [answer, code] of answers) {
      const lookup: LookupFunction = (_name, _options, callback) =>
        callback(null, answer as string, 4);
      const connecting = io.connect({ host: "a.test", port, lookup });
      const reported = await connecting.then(
        () => "no error",
        (error: IOError) => error.code,
      );
      assert.is(reported, code, JSON.stringify(answer));
    }
    const lookup: LookupFunction = () => {
      throw new TypeError("broken");
    };
    const error = await failure(io.connect({ host: "a.test", port, lookup }));
    assert.equal([error.name, error.code], ["IOError", "EAI_FAIL"]);
    assert.match(error.message, /broken/);
  });
}

function registerOthers(suite: Suite): void {
  suite.test("listeners and datagram sockets take the first address of a name", async (trial) => {
    const io = await trial.open();
    const place = { host: "a.test", port: 0, lookup: found("127.0.0.1", "::1") };
    const listener = await io.listen(place);
    assert.is(listener.address.host, "127.0.0.1");
    const server = await io.openDatagram(place);
    assert.is(server.localAddress.host, "127.0.0.1");
    const client = await io.openDatagram({ family: "ipv4" });
    await client.connect({ ...place, port: server.localAddress.port });
    assert.is(client.remoteAddress!.port, server.localAddress.port);
  });
}
