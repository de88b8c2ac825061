// The option `blockList`, which Node has since version 22.13: of a server and of a client.

import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import net from "./index.js";
import { describe, event } from "./scene.test.support.js";

const test = suite("block lists");

function blocking(...addresses: string[]): InstanceType<typeof net.BlockList> {
  const list = new net.BlockList();
  for (const address of addresses) list.addAddress(address, net.isIPv6(address) ? "ipv6" : "ipv4");
  return list;
}

async function listening(options: object, host: string): Promise<[Server, number]> {
  const server = net.createServer(options, (socket) => socket.end("hello"));
  server.listen(0, host);
  await once(server, "listening");
  return [server, (server.address() as AddressInfo).port];
}

test("a server closes what comes from a blocked address, whatever its family", async () => {
  // A socket of both families sees ::ffff:127.0.0.1.
  for (const host of ["127.0.0.1", "::"]) {
    for (const [blocked, expected] of [
      ["127.0.0.1", ""],
      ["127.0.0.2", "hello"],
    ] as const) {
      const [server, port] = await listening({ blockList: blocking(blocked) }, host);
      let count = 0;
      server.on("connection", () => count++);
      const socket = net.connect({ port, host: "127.0.0.1" });
      let text = "";
      socket.on("data", (data) => {
        text += data;
      });
      socket.on("error", () => {}); // a reset, where the kernel makes one of the close
      await once(socket, "close");
      assert.equal([text, count], [expected, expected === "" ? 0 : 1]);
      await new Promise((resolve) => server.close(resolve));
    }
  }
});

test("a client does not connect to a blocked address, and tries the next", async () => {
  const [server, port] = await listening({}, "127.0.0.1");
  const one = net.connect({ port, host: "127.0.0.1", blockList: blocking("127.0.0.1") } as never);
  const closed = event(one, "close");
  const [error] = await event(one, "error");
  assert.is(describe(error), "Error ERR_IP_BLOCKED IP(127.0.0.1) is blocked by net.BlockList");
  await closed;
  const lookup = (_host: string, _options: object, found: (...given: unknown[]) => void): void =>
    void setImmediate(found, null, [
      { address: "127.0.0.3", family: 4 },
      { address: "127.0.0.1", family: 4 },
    ]);
  const both = { port, host: "both", lookup, autoSelectFamily: true };
  const second = net.connect({ ...both, blockList: blocking("127.0.0.3") } as never);
  const failed: string[] = [];
  second.on("connectionAttemptFailed", (address: string) => failed.push(address));
  const [data] = (await event(second, "data")) as [Buffer];
  assert.equal([String(data), failed], ["hello", ["127.0.0.3"]]);
  await new Promise((resolve) => server.close(resolve));
});

test("what is no block list is refused", () => {
  for (const call of [
    () => net.createServer({ blockList: [] } as never),
    () => net.connect({ port: 1, blockList: {} } as never),
  ]) {
    assert.throws(call, (fault: NodeJS.ErrnoException) => fault.code === "ERR_INVALID_ARG_TYPE");
  }
});

test.run();
