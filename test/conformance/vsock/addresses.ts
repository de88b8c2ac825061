// What needs no connection: the arguments, listeners, and what a vsock socket has not.

import {
  Completion,
  type IO,
  type IOError,
  SocketAddress,
  type VsockListenOptions,
} from "@io/core";
import * as assert from "uvu/assert";
import { systemHere } from "../../support/system.js";
import type { Suite } from "../support/harness.js";
import { failure, failureCode, outcome, refusalCode, success } from "../support/verbs.js";

const ANY = 0xffffffff;
/** No machine has been given it. */
const OTHER_CID = 4_000_000_000;
/** Above what a port of TCP can be. */
const HIGH_PORT = 3_000_000_000;

export async function vsockAddresses(suite: Suite): Promise<void> {
  registerArguments(suite);
  registerRefused(suite);
  registerListening(suite);
}

/** What is written where a cid and a port are wanted. */
type Words = Readonly<Record<string, unknown>>;

function listenOptions(words: Words): VsockListenOptions {
  return words as unknown as VsockListenOptions;
}

/** Aborted before it begins, should it ever be taken: nothing is sent by these tests. */
function connecting(io: IO, words: Words): Promise<unknown> {
  const controller = new AbortController();
  const promise = io.connect({ ...words, signal: controller.signal } as never);
  controller.abort();
  return promise;
}

const WRONG: readonly [words: Words, code: string, message: RegExp][] = [
  [{ cid: -1, port: 5 }, "ERR_OUT_OF_RANGE", /the cid is -1, .*give "any"/],
  [{ cid: 2 ** 32, port: 5 }, "ERR_OUT_OF_RANGE", /the cid is 4294967296: .* 0 to 4294967295/],
  [{ cid: 1.5, port: 5 }, "ERR_OUT_OF_RANGE", /the cid is 1\.5/],
  [{ cid: "guest", port: 5 }, "ERR_INVALID_ARG_VALUE", /"any" or "hypervisor" or "local"/],
  [{ cid: {}, port: 5 }, "ERR_INVALID_ARG_TYPE", /the cid is an object/],
  [{ cid: "local" }, "ERR_INVALID_ARG_TYPE", /the port is undefined/],
  [{ cid: "local", port: -1 }, "ERR_OUT_OF_RANGE", /the port is -1, .*give "any"/],
  [{ cid: "local", port: 2 ** 32 }, "ERR_OUT_OF_RANGE", /0 to 4294967295/],
  [{ cid: "local", port: "5" }, "ERR_INVALID_ARG_TYPE", /the port is "5"/],
  [{ cid: "local", port: 5, host: "::1" }, "ERR_INVALID_ARG_VALUE", /a cid and a host are given/],
  [{ cid: "local", port: 5, path: "/x" }, "ERR_INVALID_ARG_VALUE", /a cid and a path are given/],
  [{ cid: "local", port: 5, family: "ipv4" }, "ERR_INVALID_ARG_VALUE", /a cid is of "vsock"/],
  [{ family: "vsock", port: 5 }, "ERR_INVALID_ARG_TYPE", /the cid is undefined/],
  [{ family: "vsock", host: "::1", port: 5 }, "ERR_INVALID_ARG_VALUE", /is not of it/],
  [{ cid: "local", port: 5, type: "seqpacket" }, "ERR_INVALID_ARG_VALUE", /only unix sockets/],
];

function registerArguments(suite: Suite): void {
  suite.test("a cid and a port are numbers of 32 bits, or words", async (trial) => {
    const io = await trial.open();
    const calls = [
      (words: Words) => io.listen(words as never),
      (words: Words) => connecting(io, words),
    ];
    for (const call of calls) {
      for (const [words, code, message] of WRONG) {
        const refused = await failure(call(words));
        assert.is(refused.code, code, refused.message);
        assert.match(refused.message, message);
      }
    }
    // Nothing is sent for what would have no one machine or port at its other end.
    for (const words of [
      { cid: "any", port: 5 },
      { cid: ANY, port: 5 },
      { cid: "local", port: ANY },
      { cid: "local", port: 5, localAddress: "127.0.0.1" },
    ]) {
      assert.is(await failureCode(connecting(io, words)), "ERR_INVALID_ARG_VALUE");
    }
    const from = connecting(io, { cid: "local", port: 5, localPort: ANY });
    assert.is(await failureCode(from), "ERR_OUT_OF_RANGE");
    const shared = listenOptions({ cid: "any", port: "any", reusePort: true });
    assert.match((await failure(io.listen(shared))).message, /shares no port/);
  });

  suite.test("the ring and datagrams refuse what is no address of theirs", async (trial) => {
    const io = await trial.open();
    const nothing = (): void => undefined;
    const connect = (cid: number, port: number): void =>
      io.ring.connect(new Completion(), nothing, 0, { family: "vsock", cid, port });
    assert.is(
      refusalCode(() => connect(-1, 5)),
      "ERR_OUT_OF_RANGE",
    );
    assert.is(
      refusalCode(() => connect(2 ** 32, 5)),
      "ERR_OUT_OF_RANGE",
    );
    assert.is(
      refusalCode(() => connect(ANY, 5)),
      "ERR_INVALID_ARG_VALUE",
    );
    assert.is(
      refusalCode(() => connect(1, 0.5)),
      "ERR_OUT_OF_RANGE",
    );
    const address = { family: "vsock", cid: 1, port: 5 } as never;
    assert.is(
      refusalCode(() => SocketAddress.of(address)),
      "ERR_INVALID_ARG_VALUE",
    );
    for (const call of [
      () => io.openDatagram(address),
      () => io.openDatagram({ family: "vsock" } as never),
    ]) {
      assert.is(await failureCode(call()), "ERR_INVALID_ARG_VALUE");
    }
    const datagrams = await io.openDatagram({ host: "127.0.0.1", port: 0 });
    for (const call of [() => datagrams.sendTo("x", address), () => datagrams.connect(address)]) {
      assert.is(await failureCode(call()), "ERR_INVALID_ARG_VALUE");
    }
  });
}

function registerRefused(suite: Suite): void {
  suite.test("io.capabilities says whether there is vsock, and the cids", async (trial) => {
    const io = await trial.open();
    const { support, reason } = io.capabilities.vsock;
    if (support === "native") assert.match(reason, /^this machine has the cids? \d/);
    else assert.match(reason, /modprobe|Linux and macOS have vsock/);
    assert.ok(["native", "unsupported"].includes(support), support);
  });
}

/** Whether a socket can be made, with or without a transport behind it. */
async function hasSockets(io: IO): Promise<boolean> {
  const made = await outcome(io, (c, done) => io.ring.socket(c, done, "vsock"));
  if (made < 0) return false;
  await success(io, (c, done) => io.ring.close(c, done, made));
  return true;
}

function registerListening(suite: Suite): void {
  suite.test("listeners of vsock, and what they have not", async (trial) => {
    const io = await trial.open();
    if (!(await hasSockets(io))) {
      const refused = await failure(io.listen({ cid: "any", port: "any" }));
      assert.is(refused.code, "EAFNOSUPPORT");
      assert.match(refused.message, /of 'vsock:any:any' failed.*this system has no vsock: Linux/);
      assert.match(io.capabilities.vsock.reason, /EAFNOSUPPORT/);
      return;
    }
    const listener = await io.listen({ cid: "any", port: "any" });
    const { address } = listener;
    assert.equal(Object.keys(address), ["family", "cid", "port"]);
    assert.is(address.family, "vsock");
    assert.is(address.cid, ANY);
    assert.ok(address.port > 1023 && address.port < ANY, String(address.port));
    const used = await failure(io.listen({ cid: "any", port: address.port }));
    assert.is(used.code, "EADDRINUSE");
    assert.is(used.address, String(ANY));
    assert.is(used.port, address.port);
    assert.match(used.message, `of 'vsock:any:${address.port}' failed`);
    const high = await io.listen({ cid: "any", port: HIGH_PORT, family: "vsock", backlog: 3 });
    assert.is(high.address.port, HIGH_PORT);
    await high.close();
    // What the library gave may be given back.
    const again = await io.listen(high.address);
    assert.equal(again.address, high.address);
    await registerOwn(io, again.descriptor);
    await listener.close();
  });

  suite.test("a listener of vsock is given away and adopted", async (trial) => {
    const io = await trial.open();
    if (!(await hasSockets(io))) return;
    const listener = await io.listen({ cid: "any", port: "any" });
    const adopted = io.adopt(await listener.detach(), "listener");
    assert.equal(adopted.address, listener.address);
    await adopted.close();
  });
}

async function registerOwn(io: IO, descriptor: number): Promise<void> {
  const away = await failure(io.listen({ cid: OTHER_CID, port: "any" }));
  assert.is(away.code, "EADDRNOTAVAIL");
  assert.match(away.message, /this machine has not this cid: io\.capabilities\.vsock/);
  const calls: [() => Promise<unknown>, string][] = [
    [() => io.listen({ cid: "any", port: "any", noDelay: true }), "noDelay (TCP_NODELAY)"],
    [() => io.listen({ cid: "any", port: "any", tos: 4 }), "tos (IP_TOS)"],
  ];
  for (const [call, name] of calls) {
    const refused: IOError = await failure(call());
    assert.match(refused.message, `of ${name} failed in setsockopt`);
    assert.match(refused.message, /a vsock socket has no such option/);
  }
  if (systemHere() === "linux") {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(65_536n);
    io.ring.setOption(descriptor, "AF_VSOCK", "SO_VM_SOCKETS_BUFFER_SIZE", bytes);
    const size = io.ring.getOption(descriptor, "AF_VSOCK", "SO_VM_SOCKETS_BUFFER_SIZE", 8);
    assert.is(size.readBigUInt64LE(), 65_536n);
  }
  for (const kind of ["seqpacket", "datagram"] as const) {
    const result = await outcome(io, (c, done) => io.ring.socket(c, done, "vsock", kind));
    assert.ok(result < 0, String(result));
  }
}
