// Runs in a Worker of the suite: a detached IO that waits without an operation until it is stopped.

import { workerData } from "node:worker_threads";
import { type BackendName, Completion, IO } from "@io/core";

const { backend, stop } = workerData as { backend: BackendName; stop: SharedArrayBuffer };
const stopped = new Int32Array(stop);

const io = await IO.open({ backend, mode: "detached" });
io.ring.timeout(new Completion(), () => {}, 3_600_000_000_000);
while (Atomics.load(stopped, 0) === 0) io.runFor(100_000_000);
io.cancelAll();
await io.close();
