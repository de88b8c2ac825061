// The servers that the workloads of HTTP compare, and wrk, which asks them.

import { request } from "node:http";
import { request as secureRequest } from "node:https";
import { connect } from "node:net";
import { findBun } from "./bun.js";
import { contenderPath, nodeCommand } from "./contender.js";
import { findDeno } from "./deno.js";
import type { Contender, Figures, Settings } from "./harness.js";
import { findNginx, nginxCommand } from "./nginx.js";
import { findProgram, type Running, runProcess, startServer } from "./processes.js";

/** What a server does, as the contenders of HTTP name it. */
export type Form = "plain" | "json" | "down" | "up";

export type Server = Omit<Contender, "measure"> & {
  command: string[] | (() => Promise<string[]>);
  environment?: Record<string, string>;
};

export const epoll = { IO_BACKEND: "epoll" };

function web(name: string, found: { path: string } | { unavailable: string }, words: string[]) {
  return (form: Form): Server => {
    if ("unavailable" in found) return { name, command: [], unavailable: found.unavailable };
    return { name, command: [found.path, ...words, contenderPath("http_web"), form] };
  };
}

export const bunServer = web("Bun.serve", findBun(), []);
export const denoServer = web("Deno.serve", findDeno(), [
  "run",
  "--allow-net",
  "--no-lock",
  "--no-config",
]);

export function nginxServer(folder: string): Server {
  const found = findNginx();
  if ("unavailable" in found) return { name: "nginx", command: [], ...found };
  return { name: "nginx", command: () => nginxCommand(found.path, folder) };
}

/** Servers of one form, without nginx. */
export function servers(form: Form): Server[] {
  const byFetch: Partial<Record<Form, string>> = {
    plain: "fetch",
    json: "json_fetch",
    up: "up_fetch",
  };
  const fetch = byFetch[form];
  return [
    { name: "ours", command: nodeCommand("http_ours", form) },
    ...(fetch ? [{ name: "ours by fetch", command: nodeCommand("http_ours", fetch) }] : []),
    { name: "ours on epoll", command: nodeCommand("http_ours", form), environment: epoll },
    { name: "node:http", command: nodeCommand("http_node", form) },
    { name: "fastify", command: nodeCommand("http_fastify", form) },
    bunServer(form),
    denoServer(form),
  ];
}

/** Starts a server, and waits until it accepts a connection: nginx prints its port before. */
export async function withServer<T>(
  { command, environment = {} }: Server,
  prefix: readonly string[],
  settings: Settings,
  use: (server: Running, port: number) => Promise<T>,
): Promise<T> {
  const words = typeof command === "function" ? await command() : command;
  const timeoutSeconds = 120 + 8 * settings.durationSeconds;
  const started = await startServer([...prefix, ...words], { timeoutSeconds, environment });
  const { server, port } = started;
  try {
    await Promise.race([untilAccepts(port), server.ended]);
    return await use(server, port);
  } finally {
    await server.stop();
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED") resolve(false);
      else reject(error);
    });
  });
}

async function untilAccepts(port: number): Promise<void> {
  while (!(await accepts(port)));
}

/** The requests of a second, of what wrk prints; an error is one of the server. */
export function parseWrk(output: string): { rate: number; requests: number } {
  const number = (pattern: RegExp): number => Number(pattern.exec(output)?.[1] ?? Number.NaN);
  const rate = number(/^Requests\/sec:\s+([0-9.]+)/m);
  const requests = number(/^\s*([0-9]+) requests in /m);
  const wrong = /^\s*(?:Socket errors:.*|Non-2xx.*)$/m.exec(output)?.[0];
  if (wrong !== undefined || Number.isNaN(rate)) throw new Error(`wrk: ${wrong ?? output}`);
  return { rate, requests };
}

/** What wrk asks for. */
export interface Load {
  readonly connections: number;
  readonly path?: string;
  /** By https. */
  readonly secure?: boolean;
  /** A script of wrk's, for what its options cannot say. */
  readonly script?: string;
}

/** Resolves when there was an answer. */
function askOnce(url: string): Promise<void> {
  const options = { agent: false as const, rejectUnauthorized: false };
  return new Promise((resolve, reject) => {
    const ask = url.startsWith("https:") ? secureRequest : request;
    const asked = ask(url, options, (answer) => {
      answer.resume();
      answer.once("end", resolve);
      answer.once("error", reject);
    });
    asked.once("error", reject);
    asked.end();
  });
}

export async function runWrk(
  server: Running,
  port: number,
  { connections, path = "/", secure = false, script }: Load,
  { durationSeconds: seconds, small }: Settings,
): Promise<Figures> {
  const url = `${secure ? "https" : "http"}://127.0.0.1:${port}${path}`;
  const words = script === undefined ? [] : ["-s", script];
  const command = (length: number) => [
    ...["wrk", "-t1", `-c${connections}`, `-d${length}s`, ...words, url],
  ];
  const options = { core: "load", timeoutSeconds: 60 + 4 * seconds } as const;
  const whole = Math.max(1, Math.round(seconds));
  // V8 and JavaScriptCore still compile a server's code in its second second.
  const warmUp = Math.max(2, Math.round(whole / 3));
  // Even a brief run on a busy machine must see an answer.
  await askOnce(url);
  // The first of them warms up.
  if (!small) await runProcess(command(warmUp), options);
  const startNs = server.usedNs();
  const { rate, requests } = parseWrk(await runProcess(command(whole), options));
  const usedNs = server.usedNs() - startNs;
  return { "requests/s": rate, "server microseconds/request": usedNs / 1e3 / requests };
}

const needWrk = "wrk is not installed (apt install wrk)";

/** A server that is asked by wrk. */
export function contender(server: Server, load: Load): Contender {
  const { name, variant, unavailable } = server;
  const missing = findProgram("wrk") === undefined ? needWrk : unavailable;
  return {
    name,
    ...(variant === undefined ? {} : { variant }),
    ...(missing === undefined ? {} : { unavailable: missing }),
    measure: (settings) =>
      withServer(server, [], settings, (running, port) => runWrk(running, port, load, settings)),
  };
}
