// HTTP: a hello world, alone, by Hono and in pipelines, asked for by wrk on the other core.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { nodeCommand } from "../contender.js";
import type { Case, Settings, Workload } from "../harness.js";
import { contender, type Load, nginxServer, type Server, servers } from "../http_servers.js";
import { buildFolder } from "../native_build.js";

const connectionCounts = [1, 64, 512];
const smallCounts = [8];
const pipelined = 16;

/** A folder for the time of a workload, which an interrupted run must not leave behind either. */
export function temporaryFolder(): { folder: string; dispose: () => void } {
  mkdirSync(buildFolder, { recursive: true });
  const folder = mkdtempSync(`${buildFolder}/http-`);
  const dispose = (): void => rmSync(folder, { recursive: true, force: true });
  process.on("exit", dispose);
  return { folder, dispose };
}

function helloCase(name: string, folder: string, load: Load): Case {
  return {
    name,
    better: "higher",
    contenders: [...servers("plain"), nginxServer(folder)].map((server) => contender(server, load)),
    comparisons: ["ours by fetch", "ours on epoll"].flatMap((of) => [
      { of, to: ["node:http"] },
      { of, to: ["Bun.serve"] },
    ]),
  };
}

function honoCase(connections: number): Case {
  const both: Server[] = [
    { name: "ours", command: nodeCommand("http_ours", "hono") },
    { name: "@hono/node-server", command: nodeCommand("http_node", "hono") },
  ];
  return {
    name: `Hono, ${connections} connections`,
    better: "higher",
    contenders: both.map((server) => contender(server, { connections })),
  };
}

// wrk counts every answer of a pipeline.
const pipelineScript = `local requests
function init(args)
  local one = wrk.format(nil, "/")
  requests = string.rep(one, ${pipelined})
end
function request() return requests end
`;

export const http: Workload = {
  name: "http",
  async prepare({ small }: Settings) {
    const { folder, dispose } = temporaryFolder();
    const script = `${folder}/pipeline.lua`;
    writeFileSync(script, pipelineScript);
    const several = small ? 8 : 64;
    const cases = [
      ...(small ? smallCounts : connectionCounts).map((connections) =>
        helloCase(`hello, ${connections} connections`, folder, { connections }),
      ),
      helloCase(`hello, ${pipelined} in a pipeline`, folder, { connections: several, script }),
      honoCase(several),
    ];
    return { cases, dispose };
  },
};
