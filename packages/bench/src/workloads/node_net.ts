// What programs get that put @io/node/net in the place of node:net: an echo, and clients of
// databases that know nothing of it.

import { findBun } from "../bun.js";
import { contenderPath, nodeCommand, parseFigures } from "../contender.js";
import { type Database, postgresDatabase, redisDatabase } from "../databases.js";
import type { Case, Figures, Settings, Workload } from "../harness.js";
import { buildNative } from "../native_build.js";
import { runProcess } from "../processes.js";
import { echoContender } from "./echo.js";

async function echoCase(connections: number, messageBytes: number, name: string): Promise<Case> {
  const load = await buildNative("load");
  const shape = { connections, messageBytes };
  const bun = findBun();
  const bunPath = "path" in bun ? bun.path : "";
  const servers = [
    { name: "ours", command: nodeCommand("node_server", "ours", "echo") },
    { name: "node:net", command: nodeCommand("node_server", "node", "echo") },
    {
      name: "Bun",
      command: [bunPath, contenderPath("node_server"), "node", "echo"],
      ...("unavailable" in bun ? bun : {}),
    },
  ];
  return {
    name: `echo, ${connections} x ${name}`,
    better: "higher",
    contenders: servers.map((server) => echoContender(server, load, shape)),
  };
}

function clientCase(name: string, what: string, inFlight: number, database: Database): Case {
  const { unavailable } = database;
  const run = async (who: string, seconds: number): Promise<Figures> => {
    const port = await database.port();
    const command = nodeCommand("node_database", who, what, port, inFlight, seconds);
    return parseFigures(await runProcess(command, { timeoutSeconds: 30 + 4 * seconds }));
  };
  // A database that has just begun does more than answer, and the first contender would pay for it.
  let warmed: Promise<Figures> | undefined;
  return {
    name,
    better: "higher",
    contenders: Object.entries({ ours: "ours", "node:net": "node" }).map(([peer, who]) => ({
      name: peer,
      ...(unavailable === undefined ? {} : { unavailable }),
      async measure({ durationSeconds: seconds }: Settings) {
        warmed ??= run("node", seconds / 2);
        await warmed;
        return await run(who, seconds);
      },
    })),
  };
}

export const nodeNet: Workload = {
  name: "node_net",
  async prepare({ small }: Settings) {
    const several = small ? 8 : 50;
    const redis = redisDatabase();
    const postgres = postgresDatabase();
    const cases = [
      await echoCase(several, 4096, "4 KiB"),
      await echoCase(several, 128, "128 B"),
      clientCase("ioredis, 50 in flight", "redis", 50, redis),
      clientCase("ioredis, one at a time", "redis", 1, redis),
      clientCase("pg, one at a time", "pg", 1, postgres),
      clientCase("pg, 8 at a time", "pg", 8, postgres),
    ];
    const dispose = (): void => {
      redis.stop();
      postgres.stop();
    };
    return { cases, dispose };
  },
};
