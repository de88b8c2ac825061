// Runs the README's second command, npm start, as a person would: waits for its line, asks the
// server something, and ends it. Fails when the server does not come up, answers wrongly, or does
// not end by itself after SIGINT.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const folder = mkdtempSync(join(tmpdir(), "io-start-"));
const words = ["start", "--", "--port", "0", "--data", folder];
// A group of its own: npm does not hand every signal on.
const server = spawn("npm", words, { stdio: ["ignore", "pipe", "inherit"], detached: true });
const ended = once(server, "exit");

function stop(signal) {
  if (server.exitCode === null && server.signalCode === null) process.kill(-server.pid, signal);
}

/** The port in the line that says where the server listens. */
async function portOf(output) {
  for await (const line of createInterface({ input: output })) {
    process.stdout.write(`${line}\n`);
    const port = /:(\d+)\b/.exec(line)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error("npm start ended without a line that has an address");
}

async function ask(port, text, expected) {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.setEncoding("utf8").on("data", (chunk) => {
    answer += chunk;
    if (answer.length >= expected.length) socket.end();
  });
  socket.write(text);
  await once(socket, "close");
  if (answer !== expected) throw new Error(`the server said ${JSON.stringify(answer)}`);
}

try {
  const port = await portOf(server.stdout);
  await ask(port, "PING\r\nSET a 1\r\nGET a\r\n", "+PONG\r\n+OK\r\n$1\r\n1\r\n");
  stop("SIGINT");
  await ended;
  process.stdout.write("npm start: came up, answered, ended\n");
} finally {
  stop("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
