// A log that is written ahead: blocks of 4 KiB are appended one by one, and each is durable before
// the next one. The same by fio, with O_DSYNC.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { nodeCommand, parseFigures } from "../contender.js";
import { runFioWrites } from "../fio.js";
import type { Contender, Settings, Workload } from "../harness.js";
import { buildFolder } from "../native_build.js";
import { findProgram, runProcess } from "../processes.js";

function program(name: string, mode: string, path: string, backend?: string) {
  return async ({ durationSeconds }: Settings) => {
    const rest = backend === undefined ? [] : [backend];
    const command = nodeCommand(name, mode, path, durationSeconds, ...rest);
    return parseFigures(await runProcess(command, { timeoutSeconds: 30 + 4 * durationSeconds }));
  };
}

function contenders(path: string): Contender[] {
  const fio = findProgram("fio") ? {} : { unavailable: "fio is not installed" };
  return [
    { name: "ours", measure: program("wal_ours", "dsync", path) },
    { name: "ours on epoll", measure: program("wal_ours", "dsync", path, "epoll") },
    { name: "ours, write and sync", measure: program("wal_ours", "chain", path) },
    { name: "fs.promises", measure: program("wal_node", "promise", path) },
    {
      name: "fio",
      variant: "sync=dsync",
      ...fio,
      measure: ({ durationSeconds }) => runFioWrites(path, durationSeconds),
    },
  ];
}

export const wal: Workload = {
  name: "wal",
  async prepare() {
    mkdirSync(buildFolder, { recursive: true });
    const folder = mkdtempSync(`${buildFolder}/wal-`);
    const dispose = () => rmSync(folder, { recursive: true, force: true });
    // An interrupted run must not leave the log behind either.
    process.on("exit", dispose);
    const cases = [
      {
        name: "append, durable",
        better: "higher" as const,
        contenders: contenders(`${folder}/log`),
      },
    ];
    return { cases, dispose };
  },
};
