// Finds nginx: on the PATH, or where the set-up of the benchmarks has unpacked it, and makes the
// command that starts it as one process.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { packageFolder } from "./native_build.js";
import { findProgram } from "./processes.js";

const unpacked = `${packageFolder}../../build/nginx/usr/sbin/nginx`;

export type FoundNginx = { path: string } | { unavailable: string };

export function findNginx(): FoundNginx {
  const path = findProgram("nginx") ?? (existsSync(unpacked) ? unpacked : undefined);
  return path === undefined
    ? { unavailable: "nginx is not there (npm run bench fetches it)" }
    : { path };
}

/** A port that is free, for a program that cannot choose one. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen({ host: "127.0.0.1", port: 0 }, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** The settings that make files and short answers cost least. */
function configuration(folder: string, port: number): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/temporary;`)
    .join("\n");
  return `daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr crit;
worker_rlimit_nofile 65536;
events { worker_connections 20000; multi_accept on; use epoll; }
http {
  access_log off;
  sendfile on;
  sendfile_max_chunk 2m;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  open_file_cache max=1000 inactive=60s;
  open_file_cache_valid 1s;
  default_type application/octet-stream;
  ${temporary}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${folder};
    location = / { default_type text/plain; return 200 "Hello, World!"; }
  }
}
`;
}

/** The command of a server of the folder, which prints its port and listens a moment later. */
export async function nginxCommand(path: string, folder: string): Promise<string[]> {
  const port = await freePort();
  mkdirSync(`${folder}/temporary`, { recursive: true });
  const file = `${folder}/nginx.${port}.conf`;
  writeFileSync(file, configuration(folder, port));
  const start = 'echo "$0"; exec "$1" -p "$2" -c "$3" -e stderr';
  return ["sh", "-c", start, String(port), path, folder, file];
}
