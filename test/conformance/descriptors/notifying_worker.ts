// Runs in a Worker of the suite: sends values to a notifier of another thread, or has one itself.

import { parentPort, workerData } from "node:worker_threads";
import { type BackendName, IO, type NotifierToken, notify } from "@io/core";

interface Data {
  readonly backend: BackendName;
  /** Where to send 0 to `count` - 1. */
  readonly token?: NotifierToken;
  readonly count?: number;
  /** Milliseconds between them. */
  readonly pauseMs?: number;
}

const { backend, token, count = 0, pauseMs = 0 } = workerData as Data;
const sleep = new Int32Array(new SharedArrayBuffer(4));

if (token !== undefined) {
  for (let value = 0; value < count; value++) {
    if (pauseMs > 0) Atomics.wait(sleep, 0, 0, pauseMs);
    notify(token, value);
  }
} else {
  const io = await IO.open({ backend });
  const notifier = io.notifier();
  parentPort?.postMessage(notifier.token);
  // Until it is terminated.
  for await (const value of notifier) parentPort?.postMessage(value);
}
