// What programs get that put @io/node/http and its kin in the place of Node's: the same handler on
// both, and on the node:http of Bun and Deno.

import { writeFileSync } from "node:fs";
import { contenderPath, nodeCommand } from "../contender.js";
import type { Case, Contender, Settings, Workload } from "../harness.js";
import {
  bunServer,
  contender,
  denoServer,
  type Load,
  type Server,
  withServer,
} from "../http_servers.js";
import { type Built, buildNative } from "../native_build.js";
import { runLoad } from "./echo.js";
import { temporaryFolder } from "./http.js";
import { idleCase, latencyCase } from "./http_waiting.js";

const connectionCounts = [1, 64, 512];
const fileSizes = { "4 KiB": 4 * 1024, "1 MiB": 1024 * 1024 };
const idleConnections = 10_000;

/** The same program on another runtime, started as that one's own servers are. */
function elsewhere({ name, command, ...others }: Server, form: string): Server {
  const words = typeof command === "function" ? [] : command.slice(0, -2);
  return {
    ...others,
    name: name.replace(".serve", ""),
    command: [...words, contenderPath("node_server"), "node", form],
  };
}

function onNode(form: string, peer: string, ...more: string[]): Server[] {
  return [
    { name: "ours", command: nodeCommand("node_server", "ours", form, ...more) },
    { name: peer, command: nodeCommand("node_server", "node", form, ...more) },
  ];
}

function webCase(name: string, form: string, load: Load): Case {
  const runtimes = [bunServer("plain"), denoServer("plain")].map((one) => elsewhere(one, form));
  const those = [...onNode(form, `node:${form}`), ...runtimes];
  return { name, better: "higher", contenders: those.map((server) => contender(server, load)) };
}

function fileCase(name: string, folder: string, connections: number): Case {
  const path = `/${name.replace(" ", "")}`;
  const those = ["read", "stream"].flatMap((form) =>
    onNode(form, "node:http", folder).map((server) => ({
      ...server,
      variant: form === "read" ? "readFile" : "createReadStream",
    })),
  );
  return {
    name: `file of ${name}`,
    better: "higher",
    contenders: those.map((server) => contender(server, { connections, path })),
  };
}

function messageCase(connections: number, load: Built): Case {
  const shape = { connections, messageBytes: 128, protocol: "websocket" } as const;
  const path = "path" in load ? load.path : "";
  return {
    name: `ws, ${connections} x 128 B`,
    better: "higher",
    contenders: onNode("ws", "node:http").map(
      (server): Contender => ({
        name: server.name,
        ...("unavailable" in load ? load : {}),
        measure: (settings) =>
          withServer(server, [], settings, (running, port) =>
            runLoad(path, running, port, shape, settings),
          ),
      }),
    ),
  };
}

export const nodeHttp: Workload = {
  name: "node_http",
  async prepare({ small }: Settings) {
    const { folder, dispose } = temporaryFolder();
    for (const [name, sizeBytes] of Object.entries(fileSizes)) {
      writeFileSync(`${folder}/${name.replace(" ", "")}`, new Uint8Array(sizeBytes).fill(7));
    }
    const several = small ? 8 : 64;
    const [load, rate] = [await buildNative("load"), await buildNative("rate")];
    const plain = onNode("http", "node:http");
    const counts = small ? [several] : connectionCounts;
    const cases = [
      ...counts.map((connections) =>
        webCase(`http, ${connections} connections`, "http", { connections }),
      ),
      webCase(`https, ${several} connections`, "https", { connections: several, secure: true }),
      messageCase(small ? 8 : 50, load),
      ...Object.keys(fileSizes).map((name) => fileCase(name, folder, several)),
      latencyCase(plain[1]!, plain, rate),
      idleCase(small ? 100 : idleConnections, plain, rate),
    ];
    return { cases, dispose };
  },
};
