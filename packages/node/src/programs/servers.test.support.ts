// Starts servers that Debian's packages bring, each on a free port of loopback in its own folder.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";

export interface Running {
  readonly port: number;
  stop(): Promise<void>;
}

/** The path of a program, or undefined where it is not installed. */
export function findProgram(name: string, ...folders: string[]): string | undefined {
  return [...(process.env["PATH"] ?? "").split(delimiter), ...folders]
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

/**
 * A port that nobody listens on. It lies below those that systems give to clients (Linux from
 * 32,768, the others from 49,152), so no connection of another test takes it before the server
 * does.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer();
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const listening = new Promise<boolean>((resolve) => {
      server.once("listening", () => resolve(true));
      server.once("error", () => resolve(false));
    });
    server.listen(port, "127.0.0.1");
    const free = await listening;
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** Resolves when the program has said that it is ready. */
function ready(child: ChildProcess, words: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = "";
    const look = (data: Buffer): void => {
      text += data;
      if (words.test(text)) resolve();
    };
    child.stdout?.on("data", look);
    child.stderr?.on("data", look);
    // "close" comes behind the last words, which say why.
    child.once("close", (code, signal) => {
      const lastWords = text.slice(-1500);
      reject(new Error(`${child.spawnfile} has ended with ${code ?? signal}: ${lastWords}`));
    });
    child.once("error", reject);
  });
}

/** Starts a server on a free port, and on another one where somebody else was faster. */
async function startOnFreePort(
  start: (port: number) => ChildProcess,
  words: RegExp,
): Promise<{ child: ChildProcess; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const child = start(port);
    try {
      await ready(child, words);
      return { child, port };
    } catch (error) {
      if (attempt === 5 || !/address already in use/i.test(String(error))) throw error;
    }
  }
}

function running(child: ChildProcess, port: number, folder: string): Running {
  return {
    port,
    stop: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function startRedis(program: string): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), "io-redis-"));
  const start = (port: number): ChildProcess => {
    const words = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder];
    return spawn(program, [...words, "--save", "", "--appendonly", "no"]);
  };
  const { child, port } = await startOnFreePort(start, /Ready to accept connections/);
  return running(child, port, folder);
}

/** A server's program, and the scripts that make its system tables. */
interface MariaDB {
  readonly program: string;
  readonly scripts: readonly string[];
}

/** Of Debian's package, or where the folder of its programs lies beside "share". */
export function findMariaDB(): MariaDB | undefined {
  const program = findProgram("mariadbd", "/usr/sbin");
  if (program === undefined) return undefined;
  const scripts = ["tables", "tables_data"].map((part) =>
    ["mysql", "mariadb"]
      .flatMap((name) =>
        ["mysql", "mariadb"].map((folder) => `share/${folder}/${name}_system_${part}.sql`),
      )
      .map((path) => join(dirname(dirname(program)), path))
      .find((path) => existsSync(path)),
  );
  const found = scripts.filter((path) => path !== undefined);
  return found.length === scripts.length ? { program, scripts: found } : undefined;
}

/** MariaDB with an account "tester" and a database "test". */
export async function startMariaDB({
  program,
  scripts,
}: MariaDB): Promise<Running & { path: string }> {
  const folder = mkdtempSync(join(tmpdir(), "io-mariadb-"));
  const data = `${folder}/data`;
  mkdirSync(`${data}/mysql`, { recursive: true });
  const user = process.getuid?.() === 0 ? ["--user=root"] : [];
  // A server that starts deletes the temporary tables of all others in the same temporary folder.
  const folders = [`--datadir=${data}`, `--tmpdir=${folder}`];
  const common = ["--no-defaults", ...user, ...folders, "--innodb-log-file-size=4M"];
  const input = Buffer.concat([
    Buffer.from("use mysql;\n"),
    ...scripts.map((path) => readFileSync(path)),
  ]);
  const made = spawnSync(program, [...common, "--bootstrap"], { input });
  if (made.status !== 0) throw new Error(String(made.stderr));
  const init = `${folder}/init.sql`;
  writeFileSync(
    init,
    "create database test;\ncreate user tester identified by 'secret';\n" +
      "grant all on *.* to tester;\n",
  );
  const path = `${folder}/socket`;
  const own = [`--init-file=${init}`, `--socket=${path}`, `--pid-file=${folder}/pid`];
  const start = (port: number): ChildProcess =>
    spawn(program, [...common, ...own, `--port=${port}`, "--bind-address=127.0.0.1"]);
  const { child, port } = await startOnFreePort(start, /ready for connections/);
  return { ...running(child, port, folder), path };
}

const postgresFolders = "/usr/lib/postgresql";

/** The folder of PostgreSQL's programs, which Debian keeps off the PATH. */
export function findPostgres(): string | undefined {
  if (!existsSync(postgresFolders)) return undefined;
  return readdirSync(postgresFolders)
    .map((version) => `${postgresFolders}/${version}/bin`)
    .find((folder) => existsSync(`${folder}/initdb`));
}

/** PostgreSQL refuses to run as root: the user that its package makes runs it there. */
function userFor(folder: string): { uid: number; gid: number } | object {
  if (process.getuid?.() !== 0) return {};
  const line = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync("/etc/passwd", "utf8"));
  if (line === null) throw new Error("there is no user postgres");
  const [uid, gid] = [Number(line[1]), Number(line[2])];
  chownSync(folder, uid, gid);
  return { uid, gid };
}

export async function startPostgres(programs: string): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), "io-postgres-"));
  const user = userFor(folder);
  const data = `${folder}/data`;
  const make = ["-D", data, "-U", "tester", "--auth=trust", "--no-sync", "-E", "UTF8"];
  const made = spawnSync(`${programs}/initdb`, make, { ...user, cwd: folder });
  if (made.status !== 0) throw new Error(String(made.stderr));
  const start = (port: number): ChildProcess => {
    const words = ["-D", data, "-p", String(port), "-h", "127.0.0.1", "-k", folder, "-F"];
    return spawn(`${programs}/postgres`, words, { ...user, cwd: folder });
  };
  const { child, port } = await startOnFreePort(start, /ready to accept connections/);
  return running(child, port, folder);
}
