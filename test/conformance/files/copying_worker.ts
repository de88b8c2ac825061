// Copies a tree, until its Worker is ended.

import { parentPort, workerData } from "node:worker_threads";
import { type BackendName, IO } from "@io/core";

const { backend, from, to } = workerData as { backend: BackendName; from: string; to: string };
const io = await IO.open({ backend });
let begun = false;
await io.cp(from, to, {
  recursive: true,
  onProgress: () => {
    if (!begun) parentPort?.postMessage("begun");
    begun = true;
  },
});
parentPort?.postMessage("done");
await io.close();
