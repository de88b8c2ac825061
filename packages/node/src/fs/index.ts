/**
 * Files as `node:fs` has them, over io_uring, epoll or kqueue: streams, and under `promises` the
 * functions of `node:fs/promises`.
 *
 * There are no synchronous functions, and none that take a callback.
 *
 * @module @io/node/fs
 */
import { constants, Dirent, Stats } from "node:fs";
import * as promises from "./promises.js";
import { createReadStream, createWriteStream } from "./streams.js";

export type { FileHandle } from "./file_handle.js";
export type {
  NodeReadOptions,
  NodeWriteOptions,
  ReadStreamOptions,
  WriteStreamOptions,
} from "./streams.js";
export { constants, createReadStream, createWriteStream, Dirent, promises, Stats };

/**
 * All that the module has: what `import fs from "@io/node/fs"` gives.
 *
 * @hidden
 */
export default { constants, createReadStream, createWriteStream, Dirent, promises, Stats };
