// The globals that a handler of the form `fetch` uses: Response costs less, and Request and fetch
// take the requests of this server, whose state Node's own classes look for in private fields since
// Node 24.

import type { Exchange } from "../exchange.js";
import { LazyRequest, realOf } from "./request.js";
import { LightResponse } from "./response.js";

const NodeRequest: typeof globalThis.Request = globalThis.Request;
let isReplaced = false;

/** Replaces them, once. Each stays what it was to `instanceof` and to classes that extend it. */
export function replaceGlobals(): void {
  if (isReplaced) return;
  isReplaced = true;
  globalThis.Response = LightResponse as unknown as typeof globalThis.Response;
  globalThis.Request = new Proxy(globalThis.Request, {
    construct: (target, [input, ...more], made) =>
      Reflect.construct(target, [realOf(input), ...(more as unknown[])], made) as object,
  });
  globalThis.fetch = new Proxy(globalThis.fetch, {
    apply: (target, self, [input, ...more]) =>
      Reflect.apply(target, self, [realOf(input), ...more] as Parameters<typeof fetch>),
  });
}

function takesOurs(): boolean {
  const { signal } = new AbortController();
  const exchange = { method: "GET", url: "http://localhost/", hasBody: false, signal };
  const fields = (): [] => [];
  const sample = new LazyRequest({ ...exchange, fields } as unknown as Exchange);
  try {
    return new NodeRequest(sample as unknown as Request).url === exchange.url;
  } catch {
    return false; // it looks for a private field, or makes a text of the object
  }
}

/** Whether Node's own classes take the requests of this server for requests. */
export const nodeTakesOurs: boolean = takesOurs();
