// `install()`: what it replaces, and that it puts it back.

import { once } from "node:events";
import node, { connect as named } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { install } from "../index.js";
import net from "./index.js";

const test = suite("install");

test("the two functions of node:net are ours until it is undone, and nothing else is", () => {
  const before = { ...node };
  const uninstall = install();
  assert.is(node.connect, net.connect);
  assert.is(node.createConnection, net.connect);
  // The binding of an import, too.
  assert.is(named, net.connect);
  const others = ["Socket", "Server", "createServer"] as const;
  for (const name of others) assert.is(node[name], before[name]);
  assert.is(install(), uninstall, "it is installed once");
  uninstall();
  assert.is(node.connect, before.connect);
  assert.is(node.createConnection, before.createConnection);
  assert.is(named, before.connect);
  const again = install();
  // Of the first installation: it has nothing more to undo.
  uninstall();
  assert.is(node.connect, net.connect);
  again();
  assert.is(node.connect, before.connect);
});

test("what another module has put around ours stays", () => {
  const before = node.connect;
  const uninstall = install();
  const around = (...given: unknown[]): unknown => Reflect.apply(net.connect, net, given);
  Object.assign(node, { connect: around });
  uninstall();
  assert.is(node.connect, around as never);
  assert.is(node.createConnection, before);
  Object.assign(node, { connect: before });
});

test("a connection that is open stays when it is undone", async () => {
  const server = net.createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const uninstall = install();
  const socket = node.connect((server.address() as node.AddressInfo).port, "127.0.0.1");
  assert.instance(socket, net.Socket);
  await once(socket, "connect");
  uninstall();
  socket.write("hello");
  const [data] = await once(socket, "data");
  assert.is(String(data), "hello");
  socket.destroy();
  server.close();
  await once(server, "close");
});

test.run();
