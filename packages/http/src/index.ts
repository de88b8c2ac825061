/**
 * An HTTP/1.1 server with the web's `Request` and `Response`, built on @io/core.
 *
 * @example
 * ```ts
 * import { serve } from "@io/http";
 *
 * await using server = await serve({ port: 0, fetch: () => new Response("Hello") });
 * const answer = await fetch(server.url);
 * console.log(await answer.text());
 * ```
 *
 * @packageDocumentation
 */
export { AccessLog, combinedLine, jsonLine } from "./access_log.js";
export { Exchange, type WholeBody } from "./exchange.js";
export { FieldBlock, type Fields, HttpError } from "./fields.js";
export { type FilesOptions, files } from "./files/files.js";
export { Metrics } from "./metrics.js";
export type {
  Answered,
  ErrorHandler,
  FetchHandler,
  Limits,
  RequestHandler,
  ServeOptions,
} from "./options.js";
export { RequestBody } from "./request_body.js";
export { Server, serve } from "./server.js";
export { Upgraded } from "./upgraded.js";
export { fileResponse } from "./web/file_response.js";
export { serveInWorkers, WorkerServer, type WorkersOptions } from "./workers.js";
