"use strict";
const { mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");

/** Prints "works on BACKEND", after files and sockets have done what they are for. */
exports.works = async (IO, IOError) => {
  const io = await IO.open();
  const folder = mkdtempSync(join(tmpdir(), "io-works-"));
  const file = await io.openFile(join(folder, "a"), { read: true, write: true, create: true });
  await file.writeAll(Buffer.from("to a file"), 0);
  const bytes = Buffer.alloc(9);
  await file.readFull(bytes, 0);
  await file.close();
  rmSync(folder, { recursive: true });
  const listener = await io.listen({ host: "127.0.0.1", port: 0 });
  const [client, server] = await Promise.all([
    io.connect({ host: "127.0.0.1", port: listener.address.port }),
    listener.accept(),
  ]);
  await client.sendAll(bytes);
  const received = Buffer.alloc(9);
  await server.receiveFull(received);
  await Promise.all([client.close(), server.close(), listener.close()]);
  const failure = await io.openFile("/nowhere/at all").catch((error) => error);
  await io.close();
  if (!(failure instanceof IOError)) throw new Error("what failed is no IOError");
  if (received.toString() !== "to a file") throw new Error(`received ${received}`);
  console.log(`works on ${io.backend}`);
};
