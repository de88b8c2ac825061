// Runs in a Worker of the suite: tells each signal that it gets, until it is terminated.

import { parentPort, workerData } from "node:worker_threads";
import { type BackendName, IO, type SignalName } from "@io/core";

const { backend, name } = workerData as { backend: BackendName; name: SignalName };

const io = await IO.open({ backend });
const signals = io.signals([name]);
parentPort?.postMessage("ready");
for await (const received of signals) parentPort?.postMessage(received);
