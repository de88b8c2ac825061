// Starts the databases whose clients are measured: each on a port of loopback, in a folder of its
// own, and on the core of the load. Debian's packages bring them.

import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./nginx.js";
import { findProgram, Running } from "./processes.js";

const timeoutSeconds = 3600;

/** Starts it when it is first needed; resolves to its port. */
export interface Database {
  readonly unavailable?: string;
  port(): Promise<number>;
  stop(): void;
}

/** What a database is started with. */
interface Plan {
  readonly folder: string;
  readonly command: string[];
  readonly port: number;
}

function database(prepare: (folder: string) => Promise<Plan>): Database {
  let running: Running | undefined;
  let port: Promise<number> | undefined;
  const folder = mkdtempSync(join(tmpdir(), "io-bench-"));
  const start = async (): Promise<number> => {
    const plan = await prepare(folder);
    let ready: () => void = () => undefined;
    const isReady = new Promise<void>((resolve) => {
      ready = resolve;
    });
    // Some say on standard error that they are ready.
    const command = ["sh", "-c", 'exec "$@" 2>&1', "sh", ...plan.command];
    const onLine = (line: string): void => {
      if (/ready to accept connections/i.test(line)) ready();
    };
    running = new Running(command, { core: "load", timeoutSeconds, onLine });
    await Promise.race([isReady, running.ended]);
    return plan.port;
  };
  const stop = (): void => {
    void running?.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  };
  // An interrupted run must not leave the folder behind either.
  process.on("exit", stop);
  return {
    port: () => {
      port ??= start();
      return port;
    },
    stop,
  };
}

function missing(name: string): Database {
  const unavailable = `${name} is not installed (apt install ${name})`;
  return { unavailable, port: () => Promise.reject(new Error(unavailable)), stop: () => undefined };
}

export function redisDatabase(): Database {
  const program = findProgram("redis-server");
  if (program === undefined) return missing("redis-server");
  return database(async (folder) => {
    const port = await freePort();
    const words = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder];
    return { folder, port, command: [program, ...words, "--save", "", "--appendonly", "no"] };
  });
}

const postgresFolders = "/usr/lib/postgresql";

/** The folder of PostgreSQL's programs, which Debian keeps off the PATH. */
function findPostgres(): string | undefined {
  if (!existsSync(postgresFolders)) return undefined;
  return readdirSync(postgresFolders)
    .map((version) => `${postgresFolders}/${version}/bin`)
    .find((folder) => existsSync(`${folder}/initdb`));
}

/** PostgreSQL refuses to run as root: the user that its package makes runs it there. */
function asOrdinaryUser(folder: string): string[] {
  if (process.getuid?.() !== 0) return [];
  const number = (what: string): number =>
    Number(execFileSync("id", [what, "postgres"], { encoding: "utf8" }));
  const [user, group] = [number("-u"), number("-g")];
  chownSync(folder, user, group);
  const words = ["--reuid", String(user), "--regid", String(group), "--clear-groups"];
  // Another user's process would forget that it is to die with this one.
  return ["setpriv", ...words, "--pdeathsig", "KILL"];
}

export function postgresDatabase(): Database {
  const programs = findPostgres();
  if (programs === undefined) return missing("postgresql");
  return database(async (folder) => {
    const data = `${folder}/data`;
    mkdirSync(data);
    const prefix = asOrdinaryUser(folder);
    if (prefix.length > 0) asOrdinaryUser(data);
    const make = ["-D", data, "-U", "tester", "--auth=trust", "--no-sync", "-E", "UTF8"];
    const [program, ...words] = [...prefix, `${programs}/initdb`, ...make];
    execFileSync(program!, words, { cwd: folder, stdio: "ignore" });
    const port = await freePort();
    const start = ["-D", data, "-p", String(port), "-h", "127.0.0.1", "-k", folder, "-F"];
    return { folder, port, command: [...prefix, `${programs}/postgres`, ...start] };
  });
}
