/**
 * @io/kv: a durable key-value server that speaks RESP, to run or to embed.
 *
 *     import { serve } from "@io/kv";
 *     const server = await serve({ folder: "./data", port: 6380 });
 *     await server.close();
 */

export { KvError, type KvErrorCode } from "./errors.js";
export type { SyncPolicy } from "./log/commit.js";
export type { RecoveryProgress, RecoveryReport } from "./log/recovery.js";
export { type ServeOptions, type Server, serve } from "./server.js";
export { openStore, type Store, type StoreOptions } from "./store.js";
