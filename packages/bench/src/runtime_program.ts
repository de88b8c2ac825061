// A program for Bun and Deno: files, TCP, timers and a loop that a thread wakes, because they have
// no phase of libuv's loop in which to look for completions. It prints what it saw, and ends by
// itself, though two IOs are never closed, and one of them has a timer in flight.

import { type BackendName, Completion, IO } from "@io/core";

const [backend = "", path = ""] = process.argv.slice(2);

const io = await IO.open({ backend: backend as BackendName });
const listener = await io.listen({ port: 0 });
const [client, served] = await Promise.all([
  io.connect({ port: listener.address.port }),
  listener.accept(),
]);
const buffer = new Uint8Array(5);
for (let round = 0; round < 100; round++) {
  await client.sendAll(Buffer.from("hello"));
  await served.receiveFull(buffer);
}
await io.sleep(1);
const file = await io.openFile(path, { read: true, write: true, create: true });
await file.writeAll(buffer, 0);
await file.sync("full");
const read = new Uint8Array(8);
const sizeBytes = await file.read(read, 0);
await file.close();
const limit = await client.receive(read, { timeoutMs: 5 }).catch((error) => error.code);
await io.close();
const text = Buffer.from(read.subarray(0, sizeBytes)).toString();
const runtime = ["bun", "deno"].find((name) => name in process.versions);
await (await IO.open({ backend: backend as BackendName })).nop();
const detached = await IO.open({ backend: backend as BackendName, mode: "detached" });
detached.ring.timeout(new Completion(), () => process.exit(1), 3_600_000_000_000);
detached.ring.flush();
process.stdout.write(`${io.backend} ${runtime} ${text} ${limit}\n`);
