// A folder over HTTP: a handler of the plain form that answers with its files.

import { AsyncResource } from "node:async_hooks";
import { realpathSync } from "node:fs";
import type { IO } from "@io/core";
import { checkNames, checkType } from "../call_options.js";
import type { Exchange } from "../exchange.js";
import { checkValue, FieldBlock } from "../fields.js";
import type { RequestHandler } from "../options.js";
import { type OpenFile, OpenFiles } from "./open_files.js";
import { askedRanges, sendRanges } from "./parts.js";
import { statusFor } from "./ranges.js";
import { typeOf } from "./types.js";

/**
 * How {@link files} serves.
 *
 * @category Files
 */
export interface FilesOptions {
  /** The Cache-Control field of files; "no-cache" by default: kept, and asked for each time. */
  cacheControl?: string | undefined;
  /** What stands for a folder; "index.html" by default. */
  index?: string | undefined;
  /** Whether names that begin with a dot are served; false by default. */
  dotFiles?: boolean | undefined;
}

const PLAIN = new FieldBlock({ "content-type": "text/plain" });
const ALLOWED = new FieldBlock({ "content-type": "text/plain", allow: "GET, HEAD" });
/** Files that were compressed before lie beside the plain ones; the first that a client takes. */
const CODINGS = [
  ["br", ".br"],
  ["zstd", ".zst"],
  ["gzip", ".gz"],
] as const;

/** Whether the Accept-Encoding field takes a coding. */
function takes(field: string, coding: string): boolean {
  return field.split(",").some((part) => {
    const [name = "", ...parameters] = part.split(";").map((text) => text.trim());
    if (name.toLowerCase() !== coding) return false;
    return !parameters.some((parameter) => /^q=0(?:\.0*)?$/i.test(parameter));
  });
}

/** The path that a target names below the root; null when it names none. */
export function pathBelow(path: string, dotFiles: boolean): string | null {
  if (!path.startsWith("/")) return null;
  let decoded = path;
  if (path.includes("%")) {
    try {
      decoded = decodeURIComponent(path);
    } catch {
      return null; // a malformed escape
    }
  }
  if (decoded.includes("\0") || decoded.includes("\\")) return null;
  for (const part of decoded.split("/")) {
    if (part === "." || part === ".." || (!dotFiles && part.startsWith("."))) return null;
  }
  return decoded.replace(/\/{2,}/g, "/");
}

/**
 * Serves the files of a folder by GET and HEAD: with ranges, conditions, types by their endings,
 * files that were compressed before (`a.js.br`, `.zst`, `.gz` beside `a.js`), and `index.html` for
 * a folder. Nothing outside of the folder is served, whatever the target or a link says. Files are
 * kept open. A change of one, its removal, and one that takes its place are seen by the requests
 * that come a second later, and mostly at once where the system reports changes (Linux).
 *
 * @category Files
 *
 * @param root the folder
 * @param options how it is served
 * @returns a handler of the plain form
 * @throws the error of `fs.realpathSync` when there is no such folder; `ERR_HTTP_OPTION`;
 *   `ERR_HTTP_FIELD_VALUE` for a `cacheControl` that cannot be sent
 *
 * @example
 * ```ts
 * import { files, serve } from "@io/http";
 *
 * await using server = await serve({ port: 0, request: files(".") });
 * console.log(server.url);
 * ```
 */
export function files(root: string, options: FilesOptions = {}): RequestHandler {
  checkNames("files", options, ["cacheControl", "index", "dotFiles"]);
  const { cacheControl, index, dotFiles } = options;
  checkType("files", "cacheControl", cacheControl, "string");
  checkType("files", "index", index, "string");
  checkType("files", "dotFiles", dotFiles, "boolean"); // "no" must not show them
  checkValue("cacheControl", cacheControl ?? "");
  const folder = new Folder(realpathSync(root), options);
  return (exchange) => folder.answer(exchange);
}

class Folder {
  readonly #root: string;
  readonly #index: string;
  readonly #dotFiles: boolean;
  readonly #cacheControl: string;
  readonly #context = new AsyncResource("IOHTTPFILES");
  // Files belong to the IO that has opened them.
  readonly #opened = new WeakMap<IO, OpenFiles>();
  /** The fields of whole answers, which a file has as long as it stays the same. */
  readonly #fields = new WeakMap<OpenFile, FieldBlock>();
  /** The same of one that was compressed before and stands for the plain one. */
  readonly #codedFields = new WeakMap<OpenFile, FieldBlock>();

  constructor(root: string, options: FilesOptions) {
    this.#root = root;
    this.#index = options.index ?? "index.html";
    this.#dotFiles = options.dotFiles ?? false;
    this.#cacheControl = options.cacheControl ?? "no-cache";
  }

  answer(exchange: Exchange): void | Promise<void> {
    const { method } = exchange;
    if (method !== "GET" && method !== "HEAD") {
      exchange.respond(405, ALLOWED, "Method Not Allowed\n");
      return undefined;
    }
    const path = pathBelow(exchange.path, this.#dotFiles);
    if (path === null) {
      exchange.respond(404, PLAIN, "Not Found\n");
      return undefined;
    }
    const opened = this.#openedBy(exchange.io);
    // Most requests are for what was asked for before, by clients that take no compressed files.
    const fresh = opened.fresh(path);
    const isPlain = fresh !== undefined && !path.endsWith("/");
    if (isPlain && exchange.field("accept-encoding") === undefined) {
      return this.#send(exchange, opened, fresh, path, "");
    }
    return this.#find(exchange, opened, path);
  }

  #openedBy(io: IO): OpenFiles {
    let opened = this.#opened.get(io);
    if (opened === undefined) {
      opened = new OpenFiles(io, this.#root, this.#context);
      this.#opened.set(io, opened);
    }
    return opened;
  }

  async #find(exchange: Exchange, opened: OpenFiles, asked: string): Promise<void> {
    let path = asked;
    let found = await opened.find(path);
    if (found === "folder") {
      if (!path.endsWith("/")) {
        const folder = encodeURI(path).replace(/[?#]/g, encodeURIComponent);
        const location = `${folder}/`.replace(/^\/+/, "/");
        exchange.respond(301, { location, "content-type": "text/plain" }, "Moved Permanently\n");
        return;
      }
      path += this.#index;
      found = await opened.find(path);
    } else if (path.endsWith("/")) found = null;
    if (found === null || found === "folder") {
      exchange.respond(404, PLAIN, "Not Found\n");
      return;
    }
    // It must stay open while the compressed ones are looked for.
    opened.use(found);
    try {
      await this.#sendBest(exchange, opened, found, path);
    } finally {
      opened.release(found);
    }
  }

  // The compressed one that the client takes, or the plain one.
  async #sendBest(
    exchange: Exchange,
    opened: OpenFiles,
    found: OpenFile,
    path: string,
  ): Promise<void> {
    const accepted = exchange.field("accept-encoding") ?? "";
    for (const [coding, ending] of CODINGS) {
      if (!takes(accepted, coding)) continue;
      const compressed = await opened.find(path + ending);
      if (compressed === null || compressed === "folder") continue;
      await this.#send(exchange, opened, compressed, path, coding);
      return;
    }
    await this.#send(exchange, opened, found, path, "");
  }

  #send(
    exchange: Exchange,
    opened: OpenFiles,
    open: OpenFile,
    path: string,
    coding: string,
  ): void | Promise<void> {
    const known = coding === "" ? this.#fields : this.#codedFields;
    let block = known.get(open);
    if (block === undefined) {
      block = new FieldBlock(this.#fieldsOf(open, path, coding));
      known.set(open, block);
    }
    const field = (name: string): string | undefined => exchange.field(name);
    const status = statusFor(field, open);
    if (status === 412) {
      exchange.respond(412, PLAIN, "Precondition Failed\n");
      return undefined;
    }
    if (status === 304) {
      exchange.respond(304, block);
      return undefined;
    }
    const { sizeBytes } = open;
    const ranges = askedRanges(exchange, open, sizeBytes);
    if (ranges === null && open.content !== null) {
      exchange.respond(200, block, open.content);
      return undefined;
    }
    const { file } = open;
    return this.#whileUsed(opened, open, () => {
      if (ranges === null) return exchange.sendFile(200, block, file, 0, sizeBytes);
      const fields = Object.entries(this.#fieldsOf(open, path, coding));
      return sendRanges(exchange, { file, sizeBytes, fields }, ranges);
    });
  }

  #fieldsOf(open: OpenFile, path: string, coding: string): Record<string, string> {
    const fields: Record<string, string> = {
      "content-type": typeOf(path),
      "last-modified": new Date(open.modifiedMs).toUTCString(),
      etag: open.etag,
      "accept-ranges": "bytes",
      "cache-control": this.#cacheControl,
      vary: "accept-encoding",
      "x-content-type-options": "nosniff",
    };
    if (coding !== "") fields["content-encoding"] = coding;
    return fields;
  }

  async #whileUsed(
    opened: OpenFiles,
    open: OpenFile,
    send: () => Promise<void> | undefined,
  ): Promise<void> {
    opened.use(open);
    try {
      await send();
    } finally {
      opened.release(open);
    }
  }
}
