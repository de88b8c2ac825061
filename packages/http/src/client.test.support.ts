// A client for tests that sends what it likes, in the pieces that it likes.

import { connect, type Socket } from "node:net";
import { type ServeOptions, type Server, serve } from "./index.js";

/** A server on a free port, for the time of a test. */
export async function withServer<T>(
  options: ServeOptions,
  use: (server: Server, port: number) => Promise<T>,
): Promise<T> {
  await using server = await serve({ port: 0, ...options });
  const { address } = server;
  return await use(server, address.family === "unix" ? 0 : address.port);
}

export interface Answer {
  readonly status: number;
  readonly fields: Record<string, string>;
  readonly body: string;
}

/** A turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Waits until a number is above 0, and has then stayed the same for very many turns. */
export async function calm(number: () => number): Promise<void> {
  while (number() === 0) await turn();
  for (let last = Number.NaN, turns = 0; turns < 2000; turns++) {
    const now = number();
    if (now !== last) turns = 0;
    last = now;
    await turn();
  }
}

/** One connection. */
export class Client {
  readonly socket: Socket;
  /** All that has come, each byte a character. */
  received = "";
  closed = false;
  #changed: () => void = () => undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.socket.setEncoding("latin1");
    this.socket.on("data", (text: string) => {
      this.received += text;
      this.#changed();
    });
    this.socket.on("error", () => undefined); // a reset is an end, too
    this.socket.on("close", () => {
      this.closed = true;
      this.#changed();
    });
  }

  send(text: string): this {
    this.socket.write(Buffer.from(text.replaceAll("\n", "\r\n"), "latin1"));
    return this;
  }

  sendBytes(bytes: Buffer): this {
    this.socket.write(bytes);
    return this;
  }

  /** Waits until it holds. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.closed) throw new Error(`the connection ended: ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  async ended(): Promise<string> {
    while (!this.closed) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    return this.received;
  }

  /** The next answer, which has a length, comes in chunks, or is to a HEAD. */
  async answer(toHead = false): Promise<Answer> {
    await this.until(() => this.received.includes("\r\n\r\n"));
    const end = this.received.indexOf("\r\n\r\n") + 4;
    const [line = "", ...rows] = this.received.slice(0, end - 4).split("\r\n");
    const pairs = rows.map((row) => [
      row.slice(0, row.indexOf(":")).toLowerCase(),
      row.slice(row.indexOf(":") + 1).trim(),
    ]);
    const fields = Object.fromEntries(pairs) as Record<string, string>;
    const status = Number(line.split(" ")[1]);
    if (fields["transfer-encoding"] === "chunked" && !toHead) {
      await this.until(() => /(^|\r\n)0\r\n([^\r\n]+\r\n)*\r\n/.test(this.received.slice(end)));
      const [whole] = /^[\s\S]*?(^|\r\n)0\r\n([^\r\n]+\r\n)*\r\n/.exec(this.received.slice(end))!;
      this.received = this.received.slice(end + whole.length);
      return { status, fields, body: whole };
    }
    const length =
      toHead || status < 200 || status === 304 ? 0 : Number(fields["content-length"] ?? 0);
    await this.until(() => this.received.length >= end + length);
    const body = this.received.slice(end, end + length);
    this.received = this.received.slice(end + length);
    return { status, fields, body };
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** Sends one text and gives all that comes until the server ends the connection. */
export async function exchange(port: number, text: string): Promise<string> {
  using client = new Client(port);
  client.send(text);
  return await client.ended();
}

export const get = (path: string, more = ""): string =>
  `GET ${path} HTTP/1.1\nHost: a.example\n${more}\n`;
