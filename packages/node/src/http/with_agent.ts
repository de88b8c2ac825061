// The arguments of http.request(), with an agent where the program has named none.

export type RequestArguments = readonly unknown[];

/** `request(url[, options][, callback])` or `request(options[, callback])`. */
export function withAgent(given: RequestArguments, agent: object): unknown[] {
  const [first, ...others] = given;
  const isUrl = typeof first === "string" || first instanceof URL;
  if (!isUrl) return [defaulted(first, agent), ...others];
  const [second] = others;
  if (typeof second === "object" && second !== null) {
    return [first, defaulted(second, agent), ...others.slice(1)];
  }
  return [first, { agent }, ...others.filter((one) => typeof one === "function")];
}

function defaulted(options: unknown, agent: object): unknown {
  if (typeof options !== "object" || options === null) return options;
  const { agent: named, createConnection } = options as Record<string, unknown>;
  if (named !== undefined || createConnection !== undefined) return options;
  return { ...options, agent };
}
