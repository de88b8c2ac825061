// The other side of wake_ups.serial.test.ts, in a Worker: an echo server on each backend. Posts
// their ports, in the order of the backends.

import { parentPort, workerData } from "node:worker_threads";
import { type BackendName, IO, type Socket } from "@io/core";

async function echo(socket: Socket): Promise<void> {
  const buffer = new Uint8Array(64);
  for (;;) {
    const sizeBytes = await socket.receive(buffer);
    if (sizeBytes === 0) return await socket.close();
    await socket.sendAll(buffer.subarray(0, sizeBytes));
  }
}

const ports: number[] = [];
for (const backend of workerData as BackendName[]) {
  const io = await IO.open({ backend });
  const listener = await io.listen({ host: "127.0.0.1", port: 0 });
  ports.push(listener.address.port);
  void listener
    .accept()
    .then(echo)
    .then(() => io.close());
}
parentPort?.postMessage(ports);
