// A server that sends a file to every client, with @io/core.
//
// Usage: send_file_ours <path> [backend]

import { type BackendName, IO, type Socket } from "@io/core";
import { printLine } from "../contender.js";

const [, , path = "", backend = "auto"] = process.argv;

const io = await IO.open({ backend: backend as BackendName | "auto" });
const file = await io.openFile(path, { read: true });
const listener = await io.listen({ host: "127.0.0.1", port: 0 });
printLine(listener.address.port);

async function serve(socket: Socket): Promise<void> {
  await using _ = socket;
  await socket.sendFile(file);
}

for await (const socket of listener) {
  // The client may be gone at any time.
  void serve(socket).catch(() => undefined);
}
