// HTTP with bodies: JSON, 64 KiB in both directions, and files.

import { writeFileSync } from "node:fs";
import { nodeCommand } from "../contender.js";
import { largeBytes } from "../contenders/http_answers.js";
import type { Case, Settings, Workload } from "../harness.js";
import { contender, epoll, type Form, nginxServer, type Server, servers } from "../http_servers.js";
import { temporaryFolder } from "./http.js";

const fileSizes = { "4 KiB": 4 * 1024, "1 MiB": 1024 * 1024 };

function bodyCase(name: string, form: Form, connections: number, script?: string): Case {
  const load = script === undefined ? { connections } : { connections, script };
  return {
    name,
    better: "higher",
    contenders: servers(form).map((server) => contender(server, load)),
    comparisons:
      form === "json" || form === "up" ? [{ of: "ours by fetch", to: ["Bun.serve"] }] : [],
  };
}

function fileCase(name: string, folder: string, connections: number): Case {
  const path = `/${name.replace(" ", "")}`;
  const ours = nodeCommand("http_ours", "files", folder);
  const those: Server[] = [
    { name: "ours", command: ours },
    { name: "ours on epoll", command: ours, environment: epoll },
    { name: "node:http", variant: "readFile", command: nodeCommand("http_node", "read", folder) },
    { name: "node:http", variant: "streams", command: nodeCommand("http_node", "stream", folder) },
    nginxServer(folder),
  ];
  return {
    name: `file of ${name}`,
    better: "higher",
    contenders: those.map((server) => contender(server, { connections, path })),
    comparisons: [{ of: "ours on epoll", to: ["nginx"] }],
  };
}

const uploadScript = `wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.body = string.rep("a", ${largeBytes})
`;

export const httpBodies: Workload = {
  name: "http_bodies",
  async prepare({ small }: Settings) {
    const { folder, dispose } = temporaryFolder();
    for (const [name, sizeBytes] of Object.entries(fileSizes)) {
      writeFileSync(`${folder}/${name.replace(" ", "")}`, new Uint8Array(sizeBytes).fill(7));
    }
    const script = `${folder}/upload.lua`;
    writeFileSync(script, uploadScript);
    const several = small ? 8 : 64;
    const cases = [
      bodyCase("JSON of 1 KiB", "json", several),
      bodyCase("64 KiB down", "down", several),
      bodyCase("64 KiB up", "up", several, script),
      ...Object.keys(fileSizes).map((name) => fileCase(name, folder, several)),
    ];
    return { cases, dispose };
  },
};
