// Runs in a Worker of the suite: a detached and an attached IO of its own, with files and sockets.

import { parentPort, workerData } from "node:worker_threads";
import { type BackendName, Completion, IO } from "@io/core";

const { backend, path } = workerData as { backend: BackendName; path: string };

const detached = await IO.open({ backend, mode: "detached" });
let rounds = 0;
detached.ring.nop(new Completion(), function again(completion) {
  rounds++;
  if (rounds < 100) detached.ring.nop(completion, again);
});
detached.run();
await detached.close();

const io = await IO.open({ backend });
const file = await io.openFile(path, { read: true, write: true, create: true });
await file.writeAll(Buffer.from(path), 0);
const listener = await io.listen({ port: 0 });
const [client, served] = await Promise.all([
  io.connect({ port: listener.address.port }),
  listener.accept(),
]);
const buffer = new Uint8Array(Buffer.byteLength(path));
await file.readFull(buffer, 0);
await client.sendAll(buffer);
await served.receiveFull(buffer.fill(0));
await io.close();
parentPort?.postMessage({ backend: io.backend, rounds, content: Buffer.from(buffer).toString() });
