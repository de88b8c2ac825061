// A file from the page cache to a client on loopback, again and again: the bytes per second, and
// the processor time for a gigabyte, where nothing hides behind the client.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { nodeCommand, parseFigures } from "../contender.js";
import type { Case, Contender, Figures, Settings, Workload } from "../harness.js";
import { type Built, buildFolder, buildNative } from "../native_build.js";
import { Running, startServer } from "../processes.js";

const sizes = { "64 KiB": 64 * 1024, "1 MiB": 1024 * 1024, "64 MiB": 64 * 1024 * 1024 };
/** The default of Node.js, and what is fastest with large files. */
const nodePieces = { "default pieces": 0, "pieces of 256 KiB": 256 * 1024 };

async function runDrain(
  path: string,
  server: Running,
  port: number,
  { durationSeconds }: Settings,
): Promise<Figures> {
  let startNs = 0;
  let usedNs = 0;
  const drain = new Running([path, `${port}`, `${durationSeconds / 2}`, `${durationSeconds}`], {
    core: "load",
    timeoutSeconds: 30 + 4 * durationSeconds,
    onLine: (line) => {
      if (line === "start") startNs = server.usedNs();
      if (line === "stop") usedNs = server.usedNs() - startNs;
    },
  });
  const { "MB/s": rate = 0, MB = 0 } = parseFigures(await drain.ended);
  return { "MB/s": rate, "server seconds/GB": usedNs / 1e9 / (MB / 1e3) };
}

type Server = Omit<Contender, "measure"> & { command: string[] };

function contender({ command, ...names }: Server, drain: Built): Contender {
  return {
    ...names,
    ...("unavailable" in drain ? drain : {}),
    async measure(settings: Settings) {
      const timeoutSeconds = 60 + 8 * settings.durationSeconds;
      const { server, port } = await startServer(command, { timeoutSeconds });
      try {
        return await runDrain("path" in drain ? drain.path : "", server, port, settings);
      } finally {
        await server.stop();
      }
    },
  };
}

function servers(path: string): Server[] {
  return [
    { name: "ours", command: nodeCommand("send_file_ours", path) },
    { name: "ours on epoll", command: nodeCommand("send_file_ours", path, "epoll") },
    ...Object.entries(nodePieces).map(([variant, pieceBytes]) => ({
      name: "createReadStream",
      variant,
      command: nodeCommand("send_file_node", path, pieceBytes),
    })),
  ];
}

export const sendFile: Workload = {
  name: "send_file",
  async prepare() {
    const drain = await buildNative("drain");
    mkdirSync(buildFolder, { recursive: true });
    const folder = mkdtempSync(`${buildFolder}/send-file-`);
    const dispose = () => rmSync(folder, { recursive: true, force: true });
    // An interrupted run must not leave the files behind either.
    process.on("exit", dispose);
    const cases = Object.entries(sizes).map(([name, sizeBytes]): Case => {
      const path = `${folder}/${sizeBytes}`;
      writeFileSync(path, new Uint8Array(sizeBytes).fill(7));
      const contenders = servers(path).map((server) => contender(server, drain));
      return { name, better: "higher", contenders };
    });
    return { cases, dispose };
  },
};
