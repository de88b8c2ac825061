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
import { type AddressInfo, createServer } from "node:net";
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

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
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
    child.once("exit", (code) => reject(new Error(`it has ended with ${code}: ${text}`)));
    child.once("error", reject);
  });
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
  const port = await freePort();
  const words = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder];
  const child = spawn(program, [...words, "--save", "", "--appendonly", "no"]);
  await ready(child, /Ready to accept connections/);
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
  const common = ["--no-defaults", ...user, `--datadir=${data}`, "--innodb-log-file-size=4M"];
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
  const port = await freePort();
  const path = `${folder}/socket`;
  const own = [`--init-file=${init}`, `--socket=${path}`, `--pid-file=${folder}/pid`];
  const words = [...own, `--port=${port}`, "--bind-address=127.0.0.1"];
  const child = spawn(program, [...common, ...words]);
  await ready(child, /ready for connections/);
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
  const port = await freePort();
  const words = ["-D", data, "-p", String(port), "-h", "127.0.0.1", "-k", folder, "-F"];
  const child = spawn(`${programs}/postgres`, words, { ...user, cwd: folder });
  await ready(child, /ready to accept connections/);
  return running(child, port, folder);
}
