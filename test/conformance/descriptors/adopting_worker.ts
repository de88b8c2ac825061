// Runs in a Worker of the suite: adopts a listener that another thread has given away, and answers
// one connection.

import { workerData } from "node:worker_threads";
import { type BackendName, IO } from "@io/core";

const { backend, fd } = workerData as { backend: BackendName; fd: number };

const io = await IO.open({ backend });
const listener = io.adopt(fd, "listener");
const socket = await listener.accept();
await socket.sendAll("from the Worker");
await io.close();
