// What runs in a Worker of `serveInWorkers`.

import { parentPort, workerData } from "node:worker_threads";
import type { InternetAddress } from "@io/core";
import type { ServeOptions } from "./options.js";
import { serve } from "./server.js";
import type { WorkerData, WorkerMessage, WorkerOrder } from "./workers.js";

type Given = ServeOptions | (() => ServeOptions | Promise<ServeOptions>);

const { module, host, port } = workerData as WorkerData;
const { default: given } = (await import(module)) as { default: Given };

function tell(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}

try {
  const options = typeof given === "function" ? await given() : given;
  for (const name of ["host", "port", "path", "reusePort"] as const) {
    if (options[name] == null) continue;
    throw new Error(`the options of ${module} have ${name}: give the address to serveInWorkers`);
  }
  const server = await serve({ ...options, host, port, reusePort: true });
  parentPort?.on("message", ({ stop }: WorkerOrder) => {
    void server.stop(stop).finally(() => process.exit());
  });
  tell({ address: server.address as InternetAddress });
} catch (error) {
  tell({ failed: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
}
