// Answers exchanges by handlers of the form `fetch`: a request in, a response out.

import { inspect } from "node:util";
import { isThenable } from "../errors.js";
import type { Exchange } from "../exchange.js";
import { FieldBlock, type Fields, HttpError } from "../fields.js";
import type { FetchHandler } from "../options.js";
import { hasNoContent } from "../status.js";
import { sendFileBody } from "./file_response.js";
import { LazyRequest } from "./request.js";
import { type CheckedPairs, FileBody, originOf, partsOf, type ResponseParts } from "./response.js";

/** A blob that is not larger is sent with its head. */
const WHOLE_BYTES = 64 * 1024;
const NOT_ALLOWED = "Method Not Allowed\n";
// Texts with the fields that most answers have.
const NO_FIELDS = new FieldBlock({});
const blocks = new Map<string, FieldBlock>();
/** The program may take the type of a blob from a client, so types are not kept without a limit. */
const MAX_BLOCKS = 64;

/**
 * Answers by the handler. What it throws, or rejects with, is passed on. With `real` it is given a
 * request of Node's.
 */
export function answerByFetch(
  exchange: Exchange,
  handler: FetchHandler,
  real: boolean,
): Promise<void> | undefined {
  if (exchange.method === "TRACE") {
    // The web has no such request.
    exchange.respond(405, null, NOT_ALLOWED);
    return undefined;
  }
  const request = new LazyRequest(exchange);
  exchange.attached = request;
  const given = real ? request.real() : (request as unknown as Request);
  const answer = handler(given, exchange);
  if (isThenable(answer)) {
    return Promise.resolve(answer).then((response) => answerWith(exchange, response));
  }
  return answerWith(exchange, answer);
}

/** Sends the response; a promise when that takes longer than the call. */
export function answerWith(exchange: Exchange, response: unknown): Promise<void> | undefined {
  // The client has gone, or the handler has answered by the exchange.
  if (exchange.begun) return cancelBody(response, exchange.abortReason);
  if (typeof response !== "object" || response === null) throw noResponse(response);
  const parts = partsOf(response);
  if (parts !== null) return sendParts(exchange, parts);
  const given = response as Response;
  if (typeof given.status !== "number" || given.body === undefined) throw noResponse(response);
  if (given.status === 0) {
    exchange.destroy();
    return undefined;
  }
  if (given.bodyUsed) {
    const error = new HttpError("ERR_HTTP_RESPONSE", "the body of the response was read before");
    cancelBody(response, error)?.catch(() => undefined); // it may have been read in part
    throw error;
  }
  const { status, headers, body } = given;
  if (body === null) {
    exchange.respond(status, headers);
    return undefined;
  }
  const origin = originOf(body);
  if (origin !== undefined) {
    return sendParts(exchange, { status, headers, type: null, body: origin });
  }
  return sendStream(exchange, status, headers, body);
}

function noResponse(given: unknown): HttpError {
  const what = inspect(given, { depth: 0 });
  const message = `the handler gave ${what}: a Response must be returned`;
  return new HttpError("ERR_HTTP_RESPONSE", message);
}

function sendParts(exchange: Exchange, parts: ResponseParts): Promise<void> | undefined {
  const { body } = parts;
  if (body instanceof Blob) return sendBlob(exchange, parts, body);
  if (body instanceof FileBody) return sendFileBody(exchange, parts, body);
  exchange.respond(parts.status, fieldsOf(parts), body);
  return undefined;
}

// What makes the body must not wait for a client that has gone.
function cancelBody(response: unknown, reason: unknown): Promise<void> | undefined {
  if (typeof response !== "object" || response === null || partsOf(response) !== null) {
    return undefined; // nothing makes it
  }
  const { body } = response as Response;
  return body === null || body === undefined || body.locked ? undefined : body.cancel(reason);
}

// Its length is known, and its bytes may be those of a file: no more of them than the client takes
// are in memory.
async function sendBlob(exchange: Exchange, parts: ResponseParts, blob: Blob): Promise<void> {
  const { status } = parts;
  const { size } = blob;
  const fields = fieldsOf(parts);
  if (size > WHOLE_BYTES || exchange.method === "HEAD") {
    return sendStream(exchange, status, fields, blob.stream(), size);
  }
  const bytes = new Uint8Array(await blob.arrayBuffer());
  if (!exchange.begun) exchange.respond(status, fields, bytes);
}

function fieldsOf({ headers, type }: ResponseParts): FieldBlock | Fields {
  if (headers === undefined) return type === null ? NO_FIELDS : blockOf(type);
  return type === null || hasType(headers) ? headers : [...headers, ["content-type", type]];
}

function hasType(headers: Headers | CheckedPairs): boolean {
  if (headers instanceof Headers) return headers.has("content-type");
  return headers.some(([name]) => name.length === 12 && name.toLowerCase() === "content-type");
}

function blockOf(type: string): FieldBlock {
  let block = blocks.get(type);
  if (block === undefined) {
    block = new FieldBlock({ "content-type": type });
    if (blocks.size < MAX_BLOCKS) blocks.set(type, block);
  }
  return block;
}

async function sendStream(
  exchange: Exchange,
  status: number,
  fields: FieldBlock | Fields,
  body: ReadableStream<Uint8Array>,
  lengthBytes?: number,
): Promise<void> {
  if (exchange.method === "HEAD" || hasNoContent(status)) {
    try {
      if (lengthBytes === undefined) exchange.respond(status, fields);
      else {
        exchange.begin(status, fields, lengthBytes);
        exchange.end();
      }
    } finally {
      await body.cancel();
    }
    return;
  }
  const reader = body.getReader();
  const cancel = (reason: unknown): void => {
    reader.cancel(reason).catch(() => undefined); // it may have failed itself
  };
  // A client that has ended its side may wait for all of it, however long the stream is silent: it
  // is cancelled when the client is known to have gone.
  exchange.whenBroken(cancel);
  try {
    exchange.begin(status, fields, lengthBytes);
    while (!exchange.ended) {
      const { value, done } = await reader.read();
      if (exchange.ended) break;
      if (done) {
        exchange.end();
        return;
      }
      await exchange.write(value);
    }
    cancel(exchange.abortReason);
  } catch (error) {
    cancel(error);
    throw error;
  }
}
