// What the tests with real programs share.

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import type { Test } from "uvu";
import * as assert from "uvu/assert";
import net from "../net/index.js";

/** A test that needs a program of the system, or is skipped with the reason. */
export function needing(
  test: Test,
  program: unknown,
  name: string,
  title: string,
  body: () => unknown,
): void {
  if (program !== undefined) {
    test(title, async () => {
      await body();
    });
    return;
  }
  process.stdout.write(`skipped: ${title}: ${name} is not installed\n`);
  test.skip(title, () => {});
}

/** Listens on loopback, and returns the port. */
export async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** Runs the body, in which clients connect by our sockets and by no other. */
export async function byOurSockets(body: () => Promise<void>): Promise<void> {
  const sockets: unknown[] = [];
  const collect = (message: unknown): void => {
    sockets.push((message as { socket: unknown }).socket);
  };
  subscribe("net.client.socket", collect);
  try {
    await body();
  } finally {
    unsubscribe("net.client.socket", collect);
  }
  assert.ok(sockets.length > 0, "it has connected");
  for (const socket of sockets) assert.instance(socket, net.Socket);
}
