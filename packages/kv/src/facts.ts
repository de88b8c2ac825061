/** What the server tells about itself: the sections of INFO and the settings of CONFIG GET. */

import { resolve } from "node:path";
import type { InfoSection } from "./commands/command.js";
import { REDIS_VERSION } from "./commands/info.js";
import { BULK_LIMIT_BYTES } from "./resp/limits.js";
import type { Server } from "./server.js";

export function infoSections(server: Server): InfoSection[] {
  const { store, io, data } = server;
  const { commit, storage, recovery, rewriter } = store;
  const memory = process.memoryUsage();
  const usage = process.resourceUsage();
  const { keyspace } = data;
  const section = (name: string, fields: InfoSection["fields"]): InfoSection => ({ name, fields });
  const keys: InfoSection["fields"] =
    keyspace.size === 0
      ? []
      : [["db0", `keys=${keyspace.size},expires=${keyspace.expiringCount},avg_ttl=0`]];
  return [
    section("Server", [
      ["redis_version", REDIS_VERSION],
      ["redis_mode", "standalone"],
      ["server_name", "@io/kv"],
      ["io_backend", io.backend],
      ["process_id", process.pid],
      ["tcp_port", server.address.port],
      ["uptime_in_seconds", Math.floor((Date.now() - server.startedMs) / 1000)],
    ]),
    section("Clients", [
      ["connected_clients", server.clientCount],
      ["maxclients", server.clientsLimit],
    ]),
    section("Memory", [
      ["used_memory", memory.heapUsed + memory.external],
      ["used_memory_rss", memory.rss],
      ["used_memory_dataset", keyspace.heapBytes + keyspace.outsideBytes],
      ["maxmemory", server.memoryLimit.limitBytes],
      ["maxmemory_heap", server.memoryLimit.heapLimitBytes],
    ]),
    section("Persistence", [
      ["loading", 0],
      ["aof_enabled", 1],
      ["aof_rewrite_in_progress", rewriter.active ? 1 : 0],
      ["aof_rewrites", rewriter.completed],
      ["aof_last_write_status", commit.refusal === undefined ? "ok" : "err"],
      ["aof_current_size", storage.end],
      ["aof_commits", commit.commits],
      ["aof_commits_failed", commit.commitsFailed],
      ["aof_records", commit.records],
      ["recovered_records", recovery.records],
      ["recovered_bytes", recovery.keptBytes],
      ["recovery_dropped_bytes", recovery.droppedBytes],
    ]),
    section("Stats", [
      ["total_connections_received", server.connectionsAccepted],
      ["rejected_connections", server.connectionsRefused],
      ["expired_keys", keyspace.expiredCount],
    ]),
    section("Replication", [
      ["role", "master"],
      ["connected_slaves", 0],
    ]),
    section("CPU", [
      ["used_cpu_sys", (usage.systemCPUTime / 1e6).toFixed(6)],
      ["used_cpu_user", (usage.userCPUTime / 1e6).toFixed(6)],
    ]),
    section("Keyspace", keys),
  ];
}

/** Under the names that Redis gives them, because tools ask by those. */
export function settingsOf(server: Server): ReadonlyMap<string, string> {
  return new Map([
    ["appendfsync", server.commit.policy],
    ["appendonly", "yes"],
    ["bind", server.address.host],
    ["databases", "1"],
    ["dir", resolve(server.folder)],
    ["maxclients", String(server.clientsLimit)],
    ["maxmemory", String(server.memoryLimit.limitBytes)],
    ["maxmemory-clients", String(server.clientMemory.limitBytes)],
    ["port", String(server.address.port)],
    ["proto-max-bulk-len", String(BULK_LIMIT_BYTES)],
    ["save", ""],
    ["timeout", "0"],
  ]);
}
