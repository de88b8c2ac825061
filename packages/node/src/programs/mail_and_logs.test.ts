// Programs that send mail and write logs, unchanged, over our sockets and files.

import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { createTransport, type SentMessageInfo } from "nodemailer";
import { pino } from "pino";
import { SMTPServer } from "smtp-server";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createWriteStream } from "../fs/index.js";
import { open } from "../fs/promises.js";
import { serveOver } from "../index.js";
import net from "../net/index.js";
import { ca, serverCertificate, serverKey } from "../tls/keys.test.support.js";
import { byOurSockets, listen } from "./scene.test.support.js";

const test = suite("mail and logs");

interface Letter {
  readonly to: readonly string[];
  readonly sha: string;
  readonly secure: boolean;
}

/** A server that keeps of each letter who gets it, and the hash of the attachment. */
function startSink(letters: Letter[]): SMTPServer {
  return new SMTPServer({
    key: serverKey,
    cert: serverCertificate,
    authOptional: true,
    disableReverseLookup: true,
    onData(stream, session, done) {
      const parts: Buffer[] = [];
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("end", () => {
        const whole = Buffer.concat(parts).toString();
        const encoded =
          /base64\r\nContent-Disposition[\s\S]*?\r\n\r\n([^-]*)/.exec(whole)?.[1] ?? "";
        const sha = createHash("sha256").update(Buffer.from(encoded, "base64")).digest("hex");
        const to = session.envelope.rcptTo.map(({ address }) => address);
        letters.push({ to, sha, secure: session.secure });
        done();
      });
    },
  });
}

test("nodemailer to smtp-server: plain and STARTTLS, with attachments, in a pool", async () => {
  const letters: Letter[] = [];
  const sink = startSink(letters);
  const port = await listen(serveOver(sink.server));
  const attachment = randomBytes(2_000_000);
  const sha = createHash("sha256").update(attachment).digest("hex");
  // What nodemailer calls to get a connection.
  const getSocket = (
    _options: unknown,
    done: (error: Error | null, given: { connection: Duplex }) => void,
  ): void => {
    const connection = net.connect(port, "127.0.0.1");
    connection.once("connect", () => done(null, { connection }));
    connection.once("error", (error) => done(error, { connection }));
  };
  for (const requireTLS of [false, true]) {
    letters.length = 0;
    await byOurSockets(async () => {
      const transport = createTransport({
        host: "localhost",
        port,
        pool: true,
        maxConnections: 3,
        ignoreTLS: !requireTLS,
        requireTLS,
        tls: { ca },
        getSocket,
      } as never);
      const receivers = Array.from({ length: 10 }, (_, index) => `receiver${index}@example.org`);
      const sent: SentMessageInfo[] = await Promise.all(
        receivers.map((to) =>
          transport.sendMail({
            from: "sender@example.org",
            to,
            subject: "bytes",
            text: "see the attachment",
            attachments: [{ filename: "bytes.bin", content: attachment }],
          }),
        ),
      );
      for (const { response } of sent) assert.match(response ?? "", /^250 /);
      assert.equal(letters.flatMap(({ to }) => to).sort(), receivers);
      for (const letter of letters) {
        assert.is(letter.sha, sha);
        assert.is(letter.secure, requireTLS);
      }
      transport.close();
    });
  }
  await new Promise<void>((resolve) => sink.close(() => resolve()));
});

/** Writes the lines, and returns what is in the file behind that. */
async function logged(file: string, destination: import("node:fs").WriteStream): Promise<string[]> {
  const log = pino({ base: null }, destination);
  for (let number = 0; number < 20_000; number++) log.info({ number }, "a line");
  destination.end();
  await once(destination, "close");
  return readFileSync(file, "utf8").trimEnd().split("\n");
}

test("pino, to a stream of a path and to that of a FileHandle", async () => {
  const folder = mkdtempSync(join(tmpdir(), "io-pino-"));
  const file = join(folder, "log");
  const handle = await open(`${file}2`, "ax");
  for (const [path, stream] of [
    [file, createWriteStream(file)],
    [`${file}2`, handle.createWriteStream()],
  ] as const) {
    const lines = await logged(path, stream);
    assert.is(lines.length, 20_000);
    for (const [index, line] of lines.entries()) {
      const { number, msg } = JSON.parse(line) as { number: number; msg: string };
      assert.is(number, index);
      assert.is(msg, "a line");
    }
  }
  assert.is(handle.fd, -1);
  rmSync(folder, { recursive: true });
});

test.run();
