// An access log: its lines, and the file that they go to.

import type { File, IO } from "@io/core";
import { refusal } from "./call_options.js";
import type { Answered } from "./options.js";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function two(value: number): string {
  return String(value).padStart(2, "0");
}

function apacheDate(date: Date): string {
  const day = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}`;
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(":");
  return `${day}:${time} +0000`;
}

// What a client sends must not end a line or a quoted part of it.
function quoted(text: string): string {
  if (text === "") return '"-"';
  const safe = text.replace(/["\\\p{Cc}]/gu, (letter) => {
    const code = letter.charCodeAt(0);
    return `\\x${code.toString(16).padStart(2, "0")}`;
  });
  return `"${safe}"`;
}

/**
 * A line of the "combined" format of Apache and nginx.
 *
 * @category Logs and metrics
 *
 * @param answered what was answered
 * @returns the line, with its end
 * @throws never
 */
export function combinedLine(answered: Answered): string {
  const { address, requestLine, status, sentBytes } = answered;
  const request = quoted(requestLine);
  const from = address === "" ? "-" : address;
  const parts = [from, "-", "-", `[${apacheDate(new Date())}]`, request, status, sentBytes];
  return `${[...parts, quoted(answered.referer), quoted(answered.userAgent)].join(" ")}\n`;
}

// JSON leaves these as they are. A terminal acts on some of them, and some programs see line ends.
function escaped(json: string): string {
  return json.replace(/[\x7f-\x9f]/g, (letter) => {
    return `\\u00${letter.charCodeAt(0).toString(16)}`;
  });
}

/**
 * The same as a line of JSON. `requestLine` and `refusal` stand in those of refused requests only.
 *
 * @category Logs and metrics
 *
 * @param answered what was answered
 * @returns the line, with its end
 * @throws never
 */
export function jsonLine(answered: Answered): string {
  const { requestLine, refusal, ...rest } = answered;
  const time = new Date().toISOString();
  const row = refusal === "" ? { time, ...rest } : { time, ...rest, refusal, requestLine };
  return `${escaped(JSON.stringify(row))}\n`;
}

const FORMATS = { combined: combinedLine, json: jsonLine } as const;
// So much waits when the disk is slow; what comes then is lost and counted.
const MAX_WAITING_BYTES = 1024 * 1024;

/**
 * An access log in a file. Its `onAnswered` is given to `serve`. Lines that come while others are
 * being written go with the next write.
 *
 * @category Logs and metrics
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 * import { AccessLog, files, serve } from "@io/http";
 *
 * await using io = await IO.open();
 * await using log = await AccessLog.open(io, "access.log");
 * const { onAnswered } = log;
 * await using server = await serve({ port: 0, io, onAnswered, request: files(".") });
 * console.log(server.url);
 * ```
 */
export class AccessLog implements AsyncDisposable {
  /** Lines that were lost, because the disk was too slow or refused them. */
  lost = 0;
  readonly #file: File;
  readonly #line: (answered: Answered) => string;
  #waiting = "";
  #lines = 0;
  #writing: Promise<void> | null = null;
  #warned = false;

  private constructor(file: File, format: keyof typeof FORMATS) {
    this.#file = file;
    this.#line = FORMATS[format];
  }

  /**
   * Opens the file, to which lines are appended.
   *
   * @param io what writes it
   * @param path of the file, which is made when it is not there
   * @param format of the lines; "combined" by default
   * @throws the `IOError` of `io.openFile`, `ERR_HTTP_OPTION`
   */
  static async open(
    io: IO,
    path: string,
    format: "combined" | "json" = "combined",
  ): Promise<AccessLog> {
    if (!Object.hasOwn(FORMATS, format)) {
      const known = Object.keys(FORMATS).join(" or ");
      throw refusal("AccessLog.open", `the format is ${String(format)}: give ${known}`);
    }
    return new AccessLog(await io.openFile(path, { append: true, create: true }), format);
  }

  /**
   * For `serve`.
   *
   * @param answered what was answered
   * @throws never
   */
  readonly onAnswered = (answered: Answered): void => {
    if (this.#waiting.length > MAX_WAITING_BYTES) {
      this.lost++;
      return;
    }
    this.#waiting += this.#line(answered);
    this.#lines++;
    this.#writing ??= this.#write();
  };

  /**
   * Writes what waits, and closes the file.
   *
   * @throws the `IOError` of a close that failed
   */
  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }

  /** Closes it: what `await using` calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #write(): Promise<void> {
    while (this.#lines > 0) {
      const text = this.#waiting;
      const lines = this.#lines;
      this.#waiting = "";
      this.#lines = 0;
      try {
        let bytes: Uint8Array = Buffer.from(text);
        // Without a position, which a file that is appended to has no use for.
        while (bytes.length > 0) bytes = bytes.subarray(await this.#file.write(bytes));
      } catch (error) {
        this.lost += lines;
        if (!this.#warned) process.emitWarning(`the access log cannot be written: ${error}`);
        this.#warned = true;
      }
    }
    this.#writing = null;
  }
}
