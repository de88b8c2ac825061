// The options of stream sockets and listeners: set and read again, by name and in the raw form, and
// how what cannot be is said.

import { constants } from "node:os";
import { IOError, type Socket, type SocketOptions } from "@io/core";
import * as assert from "uvu/assert";
import { isBsdHere } from "../../support/system.js";
import type { Suite } from "../support/harness.js";
import { connected, connectTo, FAMILIES, type Family } from "../support/network.js";
import { failureCode, refusalCode } from "../support/verbs.js";

const ONLY_LINUX = "only Linux has it";

export function streamsOptions(suite: Suite): void {
  registerValues(suite);
  registerListening(suite);
  registerConnecting(suite);
  registerRaw(suite);
  registerInfo(suite);
  registerRefused(suite);
}

function refusal(call: () => unknown): IOError {
  try {
    call();
  } catch (error) {
    assert.instance(error, IOError);
    return error as IOError;
  }
  throw new Error("nothing was thrown");
}

/** A value that can be read again as it was set. */
function isKept(socket: Socket, options: SocketOptions): void {
  socket.setOptions(options);
  const names = Object.keys(options) as (keyof SocketOptions)[];
  assert.equal(socket.getOptions(...names), options);
}

function registerValues(suite: Suite): void {
  for (const family of FAMILIES.slice(0, 2)) {
    const name = `${family.name}: options are read as they were set`;
    if (family.missing !== null) {
      suite.skip(name, family.missing);
      continue;
    }
    suite.test(name, async (trial) => {
      const { client } = await connected(trial, family);
      assert.equal(client.getOptions("noDelay", "keepAlive", "lingerMs"), {
        noDelay: true,
        keepAlive: false,
        lingerMs: false,
      });
      isKept(client, { noDelay: false, lingerMs: 3000, ttl: 17, zeroCopyThresholdBytes: 4096 });
      isKept(client, { lingerMs: false, noDelay: true, zeroCopyThresholdBytes: 0, tos: 0x48 });
      isKept(client, { keepAlive: { idleMs: 61_000, intervalMs: 7000, count: 4 } });
      // What is between two seconds is rounded up, and what is absent stays as it is.
      client.setOptions({ keepAlive: { idleMs: 60_001 } });
      const { keepAlive } = client.getOptions("keepAlive");
      assert.equal(keepAlive, { idleMs: 61_000, intervalMs: 7000, count: 4 });
      isKept(client, { keepAlive: false });
      client.setOptions({ receiveBufferBytes: 32_768, sendBufferBytes: 32_768 });
      const sizes = client.getOptions("receiveBufferBytes", "sendBufferBytes");
      assert.ok(sizes.receiveBufferBytes >= 32_768 && sizes.sendBufferBytes >= 32_768);
      assert.equal(client.getOptions(), {});
    });
  }

  const linux = "the options of Linux are read as they were set";
  if (isBsdHere()) suite.skip(linux, ONLY_LINUX);
  else
    suite.test(linux, async (trial) => {
      const { client } = await connected(trial);
      isKept(client, { userTimeoutMs: 12_345, quickAck: true });
      isKept(client, { bindToDevice: "lo" });
      const { congestion, incomingCpu } = client.getOptions("congestion", "incomingCpu");
      isKept(client, { congestion });
      assert.ok(Number.isInteger(incomingCpu) && incomingCpu >= -1);
      // These need a right that the tests may not have.
      for (const options of [{ mark: 0xfffffffe }, { busyPollUs: 50 }] satisfies SocketOptions[]) {
        try {
          isKept(client, options);
        } catch (error) {
          if (!(error instanceof IOError)) throw error;
          assert.is(error.code, "EPERM");
          assert.match(error.message, /CAP_NET_ADMIN/);
        }
      }
      await client.sendAll("still there");
    });

  suite.test("a unix socket has the options of every socket", async (trial) => {
    const { client } = await connected(trial, FAMILIES[2] as Family);
    client.setOptions({ sendBufferBytes: 32_768, keepAlive: true, zeroCopyThresholdBytes: 1000 });
    const { keepAlive, zeroCopyThresholdBytes } = client.getOptions(
      "keepAlive",
      "zeroCopyThresholdBytes",
    );
    assert.equal([keepAlive, zeroCopyThresholdBytes], [true, 1000]);
  });
}

function registerListening(suite: Suite): void {
  suite.test("connections have the options that the listener was opened with", async (trial) => {
    const io = await trial.open();
    const keepAlive = { idleMs: 30_000, intervalMs: 3000, count: 3 };
    const options = { keepAlive, noDelay: false, zeroCopyThresholdBytes: 2048 };
    const listener = await io.listen({ port: 0, ...options });
    const [, served] = await connectTo(io, listener);
    const names = ["keepAlive", "noDelay", "zeroCopyThresholdBytes"] as const;
    assert.equal(served.getOptions(...names), options);
    assert.equal(listener.getOptions("keepAlive"), { keepAlive });
    listener.setOptions({ keepAlive: false });
    const [, next] = await connectTo(io, listener);
    assert.equal(next.getOptions("keepAlive", "noDelay"), { keepAlive: false, noDelay: false });
    assert.is(listener.getOption("SOL_SOCKET", "SO_ACCEPTCONN").length, 4);
    listener.setOption("SOL_SOCKET", "SO_KEEPALIVE", true);
    assert.is(listener.getOptions("keepAlive").keepAlive !== false, true);
    await listener.close();
    assert.is(
      refusalCode(() => listener.getOptions("keepAlive")),
      "ERR_IO_CLOSED",
    );
  });

  const dual = "a listener on :: takes IPv4, unless it is for IPv6 only";
  if ((FAMILIES[1] as Family).missing !== null) {
    suite.skip(dual, (FAMILIES[1] as Family).missing as string);
  } else if (isBsdHere()) suite.skip(dual, "not every BSD has sockets of both families");
  else
    suite.test(dual, async (trial) => {
      const io = await trial.open();
      const both = await io.listen({ host: "::", port: 0, ipv6Only: false });
      const one = await io.listen({ host: "::", port: 0, ipv6Only: true });
      assert.equal(one.getOptions("ipv6Only"), { ipv6Only: true });
      const client = await io.connect({ host: "127.0.0.1", port: both.address.port });
      await client.close();
      const refused = io.connect({ host: "127.0.0.1", port: one.address.port });
      assert.is(await failureCode(refused), "ECONNREFUSED");
    });

  const deferred = "with deferAcceptMs a connection is accepted when it has sent";
  if (isBsdHere()) suite.skip(deferred, ONLY_LINUX);
  else
    suite.test(deferred, async (trial) => {
      const io = await trial.open();
      const listener = await io.listen({ port: 0, deferAcceptMs: 30_000 });
      const { port } = listener.address;
      const silent = await io.connect({ port });
      const loud = await io.connect({ port });
      await loud.sendAll("hello");
      const first = await listener.accept();
      assert.equal(first.remoteAddress, loud.localAddress);
      await silent.sendAll("at last");
      assert.equal((await listener.accept()).remoteAddress, silent.localAddress);
    });

  const fast = "fastOpen of both sides carries the bytes";
  if (isBsdHere()) suite.skip(fast, ONLY_LINUX);
  else
    suite.test(fast, async (trial) => {
      const io = await trial.open();
      const listener = await io.listen({ port: 0, fastOpen: 16 });
      assert.equal(listener.getOptions("fastOpen"), { fastOpen: 16 });
      for (let round = 0; round < 3; round++) {
        const client = await io.connect({ port: listener.address.port, fastOpenConnect: true });
        await client.sendAll(`round ${round}`);
        const served = await listener.accept();
        const into = new Uint8Array(7);
        assert.is(await served.receiveFull(into), 7);
        assert.is(Buffer.from(into).toString(), `round ${round}`);
        await client.close();
      }
    });
}

function registerConnecting(suite: Suite): void {
  suite.test("a socket connects from the address and port that it is given", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ port: 0 });
    const { port } = listener.address;
    // Every address of 127.0.0.0/8 is of the machine, on Linux.
    const localAddress = isBsdHere() ? "127.0.0.1" : "127.0.0.2";
    const client = await io.connect({ port, localAddress, keepAlive: true });
    const served = await listener.accept();
    assert.is(served.remoteAddress?.host, localAddress);
    assert.equal(served.remoteAddress, client.localAddress);
    assert.ok(client.getOptions("keepAlive").keepAlive);
    const other = await io.listen({ port: 0 });
    const free = other.address.port;
    await other.close();
    const again = await io.connect({ port, localPort: free });
    const next = await listener.accept();
    assert.is(next.remoteAddress?.port, free);
    assert.is(again.localAddress?.port, free);
  });

  suite.test("addresses that cannot be connected from say so, and leave nothing", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ port: 0 });
    const { port } = listener.address;
    const descriptors = io.stats().descriptors;
    const error = await io.connect({ port, localAddress: "192.0.2.77" }).catch((one) => one);
    assert.instance(error, IOError);
    assert.equal(
      [error.code, error.operation, error.address],
      ["EADDRNOTAVAIL", "bind", "192.0.2.77"],
    );
    const used = io.connect({ port, localAddress: "127.0.0.1", localPort: port });
    assert.is(await failureCode(used), "EADDRINUSE");
    const other = io.connect({ port, localAddress: "::1" });
    assert.ok(["EINVAL", "EAFNOSUPPORT"].includes(await failureCode(other)));
    const named = io.connect({ port, localAddress: "localhost" });
    assert.is(await failureCode(named), "ERR_INVALID_ARG_VALUE");
    const unix = { path: trial.path("none"), localPort: 1 };
    assert.is(await failureCode(io.connect(unix)), "ERR_INVALID_ARG_VALUE");
    assert.is(io.stats().descriptors, descriptors);
  });

  suite.test("of a name the addresses of the local family are tried", async (trial) => {
    const io = await trial.open();
    const listener = await io.listen({ host: "127.0.0.1", port: 0 });
    const { port } = listener.address;
    const client = await io.connect({
      host: "both.example",
      port,
      localAddress: "127.0.0.1",
      lookup: (_name, _options, found) => {
        found(null, [
          { address: "::1", family: 6 },
          { address: "127.0.0.1", family: 4 },
        ]);
      },
    });
    assert.is(client.remoteAddress?.host, "127.0.0.1");
  });

  suite.test("a close that does not linger resets the connection", async (trial) => {
    const { client, served } = await connected(trial);
    const receiving = failureCode(served.receive(new Uint8Array(8)));
    client.setOptions({ lingerMs: 0 });
    await client.close();
    assert.is(await receiving, "ECONNRESET");
  });
}

function registerRaw(suite: Suite): void {
  suite.test("any option is set and read by its level and name", async (trial) => {
    const { io, client, listener } = await connected(trial);
    const number = (bytes: Buffer): number => {
      return new Int32Array(bytes.buffer, bytes.byteOffset, 1)[0] as number;
    };
    client.setOption("SOL_SOCKET", "SO_KEEPALIVE", true);
    assert.ok(client.getOptions("keepAlive").keepAlive);
    client.setOption("SOL_SOCKET", "SO_KEEPALIVE", new Uint8Array(4));
    assert.equal(client.getOptions("keepAlive"), { keepAlive: false });
    // In memory of any kind, also where it begins within a buffer.
    const one = new Uint8Array(new SharedArrayBuffer(16), 8, 4);
    one.set(new Uint8Array(Int32Array.of(1).buffer));
    client.setOption("IPPROTO_TCP", "TCP_NODELAY", one);
    assert.equal(client.getOptions("noDelay"), { noDelay: true });
    client.setOption("IPPROTO_TCP", "TCP_NODELAY", 0);
    assert.is(number(client.getOption("IPPROTO_TCP", "TCP_NODELAY")), 0);
    assert.is(number(client.getOption("SOL_SOCKET", "SO_ERROR")), 0);
    assert.is(client.getOption("SOL_SOCKET", "SO_LINGER", 64).length, 8);
    assert.is(client.getOption("SOL_SOCKET", "SO_LINGER", 0).length, 0);
    assert.ok(number(client.getOption("IPPROTO_TCP", "TCP_MAXSEG")) > 0);
    const { ring } = io;
    ring.setOption(client.descriptor, "SOL_SOCKET", "SO_KEEPALIVE", 1);
    assert.ok(number(ring.getOption(client.descriptor, "SOL_SOCKET", "SO_KEEPALIVE")) !== 0);
    assert.is(number(ring.getOption(listener.descriptor, "SOL_SOCKET", "SO_ERROR")), 0);
    const { descriptor } = client;
    await client.close();
    assert.is(
      refusalCode(() => ring.getOption(descriptor, "SOL_SOCKET", "SO_ERROR")),
      "ERR_IO_CLOSED",
    );
    const file = await io.openFile(trial.path("file"), { write: true, create: true });
    const error = refusal(() => ring.getOption(file.descriptor, "SOL_SOCKET", "SO_ERROR"));
    assert.is(error.code, "ENOTSOCK");
  });
}

function registerInfo(suite: Suite): void {
  const name = "what the kernel knows of a connection";
  if (process.platform !== "linux") suite.skip(name, ONLY_LINUX);
  else
    suite.test(name, async (trial) => {
      const { client, served } = await connected(trial);
      await Promise.all([client.sendAll(new Uint8Array(100_000)), served.receiveFull(into)]);
      await served.sendAll("x");
      await client.receive(into);
      const [own, other] = [client.info(), served.info()];
      assert.is(own.state, "established");
      assert.is(other.receivedBytes, 100_000);
      assert.is(own.receivedBytes, 1);
      assert.ok((own.acknowledgedBytes as number) > 0 && own.segmentBytes > 500);
      assert.ok(own.roundTripUs > 0 && own.congestionWindowPackets > 0);
      await client.shutdown("send");
      assert.is(await served.receive(into), 0);
      assert.is(served.info().state, "closeWait");
      const unix = await connected(trial, FAMILIES[2] as Family);
      const refused = refusal(() => unix.client.info());
      assert.is(refused.code, "ENOTSUP");
      assert.match(refused.message, /^info: the socket is not one of TCP/);
      await client.close();
      assert.is(
        refusalCode(() => client.info()),
        "ERR_IO_CLOSED",
      );
    });
}

const into = new Uint8Array(100_000);

function registerRefused(suite: Suite): void {
  suite.test("an option that is not there is named, with what has it", async (trial) => {
    const { client } = await connected(trial);
    const unix = await connected(trial, FAMILIES[2] as Family);
    const tcp = refusal(() => unix.client.setOptions({ noDelay: true }));
    assert.match(tcp.message, /noDelay \(TCP_NODELAY\) .*a unix socket has no such option/);
    assert.is(tcp.syscall, "setsockopt");
    assert.match(
      refusal(() => unix.client.getOptions("noDelay")).message,
      /^getOptions of noDelay \(TCP_NODELAY\) failed in getsockopt/,
    );
    const listening = await failureCode(
      (await trial.open()).listen({ path: trial.path("refused"), ttl: 5 }),
    );
    assert.ok(["ENOTSUP", "EOPNOTSUPP", "ENOPROTOOPT", "EINVAL"].includes(listening), listening);
    const raw = refusal(() => client.setOption("SOL_SOCKET", 30_000, 1));
    assert.equal([raw.code, raw.errno], ["ENOPROTOOPT", -constants.errno.ENOPROTOOPT]);
    assert.match(raw.message, /30000 of the level SOL_SOCKET/);
    assert.match(
      refusal(() => client.getOption("SOL_SOCKET", "SO_NO_SUCH")).message,
      /"SO_NO_SUCH", a string, which this system does not have: give its number/,
    );
    assert.match(
      refusal(() => client.getOptions("nodelay" as "noDelay")).message,
      /^getOptions: the name is "nodelay", a string: give .*noDelay/,
    );
    if (isBsdHere()) return;
    const algorithm = refusal(() => client.setOptions({ congestion: "no-such" }));
    assert.match(algorithm.message, /ENOENT.*tcp_available_congestion_control/);
    const device = refusal(() => client.setOptions({ bindToDevice: "no-such" }));
    assert.match(device.message, /(ENODEV.*no network interface|EPERM.*CAP_NET_RAW)/);
  });

  suite.test("nothing is set of what is refused", async (trial) => {
    const { client } = await connected(trial);
    assert.is(
      refusalCode(() => client.setOptions({ noDelay: false, keepAlive: { idleMs: 0 } })),
      "ERR_OUT_OF_RANGE",
    );
    assert.equal(client.getOptions("noDelay", "keepAlive"), { noDelay: true, keepAlive: false });
    const text = "longer than a name of 15";
    assert.is(
      refusalCode(() => client.setOptions({ noDelay: false, congestion: text })),
      "ERR_OUT_OF_RANGE",
    );
    assert.is(client.getOptions("noDelay").noDelay, true);
  });
}
