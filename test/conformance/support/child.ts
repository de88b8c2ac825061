// Programs that the suite runs in processes of their own, since they would end or hang a test.
// Called with the name of a program and of a backend; prints its findings.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, rmSync, write } from "node:fs";
import inspector from "node:inspector";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getSystemErrorMap } from "node:util";
import { runInThisContext } from "node:vm";
import { type BackendName, Completion, IO, type IOError, type Signals } from "@io/core";

type Program = (backend: BackendName) => Promise<void>;

const HOUR_MS = 3_600_000;
const HOUR_NS = HOUR_MS * 1e6;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The code of what a call throws or is rejected with; its name when it has none. */
async function codeOf(call: () => unknown): Promise<string> {
  try {
    await call();
    return "no error";
  } catch (error) {
    return (error as IOError).code ?? String(error);
  }
}

async function connectedPair(io: IO) {
  const listener = await io.listen({ port: 0 });
  const [client, served] = await Promise.all([
    io.connect({ port: listener.address.port }),
    listener.accept(),
  ]);
  await listener.close();
  return { client, served };
}

/** Opens files until there are no descriptors left. */
function takeDescriptors(): number[] {
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync("/dev/null", "r"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EMFILE") throw error;
    return taken;
  }
}

/** What an accept of the ring gives: the name of an error, and whether it was the last one. */
function acceptOnce(io: IO, verb: "accept" | "acceptMultishot", descriptor: number) {
  return new Promise<string>((resolve) => {
    io.ring[verb](
      new Completion(),
      (completion, result) => {
        const name = getSystemErrorMap().get(result)?.[0] ?? result;
        resolve(`${verb} ${name}${completion.active ? "" : ", last"}`);
      },
      descriptor,
    );
  });
}

const programs: Record<string, Program> = {
  lock: async (backend) => {
    const io = await IO.open({ backend });
    const file = await io.openFile(process.argv[4] ?? "", { read: true, write: true });
    await file.lock();
    say("locked");
    await io.sleep(HOUR_MS);
  },
  idle: async (backend) => {
    await IO.open({ backend });
    say("open");
  },

  "idle-again": async (backend) => {
    const io = await IO.open({ backend });
    await Promise.all([io.nop(), io.sleep(1), io.stat(".")]);
    say("done");
  },

  sleeping: async (backend) => {
    const io = await IO.open({ backend });
    void io.sleep(20).then(() => say("slept"));
  },

  receiving: async (backend) => {
    const io = await IO.open({ backend });
    const { client } = await connectedPair(io);
    void client.receive(new Uint8Array(1)).catch(() => say("cancelled"));
    // A timer that does not keep the loop alive only fires when something else does.
    const timer = setTimeout(() => {
      say("still there");
      void io.cancelAll();
    }, 30);
    timer.unref();
  },

  // Node's own timers start these, so that the event loop has been waiting when they are handed
  // over, and nothing else wakes it.
  flushed: async (backend) => {
    const io = await IO.open({ backend });
    const { client } = await connectedPair(io);
    const receive = (): void => {
      void client
        .receive(new Uint8Array(1), { timeoutMs: 1 })
        .catch((error: IOError) => say(`ended ${error.code}`));
      io.ring.flush();
    };
    const start = (): void => {
      io.ring.timeout(
        new Completion(),
        (_completion, result) => {
          say(`elapsed ${result}`);
          setTimeout(receive, 20);
        },
        1_000_000,
      );
      io.ring.flush();
    };
    setTimeout(start, 20);
  },

  detached: async (backend) => {
    const io = await IO.open({ backend, mode: "detached" });
    io.ring.timeout(new Completion(), () => say("never"), HOUR_NS);
    io.ring.flush();
    say("queued");
  },

  "open-auto": async () => {
    const io = await IO.open({ backend: "auto" });
    say(`${io.backend}: ${io.why}`);
    await io.close();
  },

  "open-default": async () => {
    const io = await IO.open();
    say(`${io.backend}: ${io.why}`);
    await io.close();
  },

  "open-named": async (backend) => {
    say(await codeOf(() => IO.open({ backend })));
  },

  "address-after-close": async (backend) => {
    const io = await IO.open({ backend });
    const { client } = await connectedPair(io);
    await io.close();
    say(JSON.stringify(client.localAddress));
  },

  "options-after-close": async (backend) => {
    const io = await IO.open({ backend });
    const { client } = await connectedPair(io);
    await io.close();
    say(await codeOf(() => client.setOptions({ noDelay: true })));
  },

  "acquire-after-close": async (backend) => {
    const io = await IO.open({ backend });
    await io.close();
    say(await codeOf(() => io.buffers.acquire(4096)));
  },

  "accept-exhausted": async (backend) => {
    const io = await IO.open({ backend });
    const listener = await io.listen({ port: 0 });
    const count = 8;
    const { port } = listener.address;
    const clients = Array.from({ length: count }, () => connect({ port, host: "127.0.0.1" }));
    await Promise.all(clients.map((client) => once(client, "connect")));
    const taken = takeDescriptors();
    say((await acceptOnce(io, "accept", listener.descriptor)).replace(", last", ""));
    say(await acceptOnce(io, "acceptMultishot", listener.descriptor));
    const accepting = listener.accept();
    const before = io.stats().systemCalls;
    // Nothing happens meanwhile, which takes a while to be seen.
    await io.sleep(500);
    say(`system calls ${io.stats().systemCalls - before}`);
    for (const number of taken) closeSync(number);
    await (await accepting).close();
    let served = 1;
    for (; served < count; served++) await (await listener.accept()).close();
    say(`served ${served}`);
    for (const client of clients) client.destroy();
    await io.close();
  },

  // An accept that finds no descriptor is tried again by a timer, which is the listener's.
  "accept-exhausted-unref": async (backend) => {
    const io = await IO.open({ backend });
    const listener = (await io.listen({ port: 0 })).unref();
    const client = connect({ port: listener.address.port as number, host: "127.0.0.1" });
    await once(client, "connect");
    client.unref();
    takeDescriptors();
    void listener.accept().then(() => say("accepted"));
    await io.nop();
    await io.sleep(100);
    say("unreferenced");
  },

  "copy-tree": async (backend) => {
    const io = await IO.open({ backend });
    const { COPY_FROM: from = "", COPY_TO: to = "" } = process.env;
    const { files } = await io.cp(from, to, { recursive: true });
    say(`${files} files`);
    await io.close();
  },

  signals: async (backend) => {
    const io = await IO.open({ backend });
    const signals = io.signals(["SIGTERM", "SIGPIPE"]);
    for (const name of ["SIGTERM", "SIGPIPE"] as const) {
      process.kill(process.pid, name);
      say(await signals.receive());
    }
    if (process.env["SIGNALS_END"] === "io") await io.close();
    else await signals.close();
    process.kill(process.pid, "SIGPIPE"); // which Node ignores from its start on
    say("goes on");
    process.kill(process.pid, "SIGTERM");
    await (await IO.open({ backend })).sleep(HOUR_MS);
  },

  "signals-full": async (backend) => {
    const io = await IO.open({ backend });
    const taken = takeDescriptors();
    say(await codeOf(() => io.signals(["SIGTERM"])));
    for (const fd of taken.splice(-3)) closeSync(fd); // enough for its pipe alone
    say(await codeOf(() => io.signals(["SIGTERM"])));
    for (const fd of taken) closeSync(fd);
    const signals = io.signals(["SIGTERM"]);
    process.kill(process.pid, "SIGTERM");
    say(await signals.receive());
    await io.close();
  },

  // Node's vm sets handlers of its own for SIGINT, and leaves one that ends the process.
  "signals-vm": async (backend) => {
    const io = await IO.open({ backend });
    const breakable = (): unknown => runInThisContext("1", { breakOnSigint: true });
    let heard = 0;
    const round = async (signals?: Signals): Promise<void> => {
      const before = heard;
      process.kill(process.pid, "SIGINT");
      const taken = await signals?.receive();
      while (heard === before) await turn();
      say(`${heard} ${taken}`);
    };
    const first = io.signals(["SIGINT"]);
    breakable();
    process.on("SIGINT", () => heard++);
    await round(first);
    breakable();
    await round(first);
    const second = io.signals(["SIGINT"]);
    await second.close();
    breakable();
    await first.close();
    await round();
    breakable();
    const third = io.signals(["SIGINT"]);
    await round(third);
    await io.close();
    await round();
  },

  "signals-retaken": async (backend) => {
    const io = await IO.open({ backend });
    const first = io.signals(["SIGINT"]);
    runInThisContext("1", { breakOnSigint: true }); // no listener is added again
    const second = io.signals(["SIGINT"]);
    process.kill(process.pid, "SIGINT");
    for (const signals of [first, second]) say(await signals.receive());
    for (const signals of [first, second]) await signals.close();
    await using third = io.signals(["SIGINT"]);
    process.kill(process.pid, "SIGINT");
    say(await third.receive());
    await io.close();
  },

  // Other threads meet a broken pipe all the time, while SIGPIPE is taken and given back.
  "signals-broken-pipe": async (backend) => {
    const io = await IO.open({ backend });
    const folder = mkdtempSync(join(tmpdir(), "io-fifo-"));
    const path = join(folder, "fifo");
    execFileSync("mkfifo", [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const number = openSync(path, "w");
    closeSync(reader);
    rmSync(folder, { recursive: true });
    let [broken, over] = [0, false];
    const writing = (): void =>
      write(number, "x", (error) => {
        if (error?.code === "EPIPE") broken++;
        if (!over) writing();
      });
    for (let count = 0; count < 4; count++) writing();
    for (let count = 0; count < 6000; count++) {
      await io.signals(["SIGPIPE"]).close();
      if (count % 4 === 0) await turn();
    }
    over = true;
    say(`goes on, ${broken > 0}`);
    await io.close();
  },

  "signals-inspector": async (backend) => {
    const io = await IO.open({ backend });
    process.debugPort = 0;
    for (let count = 0; count < 2; count++) {
      const signals = io.signals(["SIGUSR1"]);
      process.kill(process.pid, "SIGUSR1");
      say(await signals.receive());
      await signals.close();
    }
    say(String(inspector.url()));
    process.kill(process.pid, "SIGUSR1");
    while (inspector.url() === undefined) await turn();
    say("inspected");
    inspector.close();
    await io.close();
  },

  // What Node's last listener leaves of SIGPIPE ends the process.
  "signals-unread": async (backend) => {
    const io = await IO.open({ backend });
    const signals = io.signals(["SIGUSR2"]);
    const listener = (): void => undefined;
    process.on("SIGPIPE", listener).off("SIGPIPE", listener);
    await new Promise((resolve) => {
      io.ring.close(new Completion(), resolve, signals.descriptor);
    });
    process.kill(process.pid, "SIGUSR2");
    say("goes on");
    await io.close();
  },

  "signals-unref": async (backend) => {
    const io = await IO.open({ backend });
    const signals = io.signals(["SIGUSR2"]).unref();
    void signals.receive();
    await io.nop();
    say("unreferenced");
  },

  // Where its user has three inotify instances, and four files and directories in them.
  "watch-limits": async (backend) => {
    const io = await IO.open({ backend });
    const folder = process.env["WATCH_FOLDER"] ?? "";
    if (io.capabilities.watch.reason.includes("EVFILT_VNODE")) return say("by kqueue");
    const recursive = true;
    const wide = await io.watch(`${folder}/wide`, { recursive }).catch((error: IOError) => error);
    say(`${(wide as IOError).code} ${(wide as IOError).message.includes("max_user_watches")}`);
    say(`${io.stats().descriptors} descriptors`);
    const watch = await io.watch(`${folder}/narrow`, { recursive });
    for (const name of ["a", "b", "c", "d"]) await io.mkdir(`${folder}/narrow/${name}`);
    for await (const { action, filename } of watch) {
      say(`${action} ${filename}`);
      if (action === "unwatched") await io.mkdir(`${folder}/narrow/a/below`);
      if (filename === "a/below") break;
    }
    const more = [];
    for (let count = 0; count < 3; count++) more.push(await io.watch(`${folder}/wide`));
    const full = await io.watch(`${folder}/wide`).catch((error: IOError) => error);
    say(`${(full as IOError).code} ${(full as IOError).message.includes("max_user_instances")}`);
    await more.pop()?.close();
    await (await io.watch(`${folder}/wide`)).close();
    say(`${io.stats().descriptors} descriptors`);
    await io.close();
  },

  // A kqueue needs a descriptor for each file, and the process has fewer.
  "watch-descriptors": async (backend) => {
    const io = await IO.open({ backend });
    const folder = process.env["WATCH_FOLDER"] ?? "";
    if (!io.capabilities.watch.reason.includes("EVFILT_VNODE")) return say("by inotify");
    const watch = await io.watch(folder, { recursive: true });
    await io.mkdir(`${folder}/new`);
    const unwatched: string[] = [];
    const events = { next: () => watch.next(), [Symbol.asyncIterator]: () => events };
    for await (const { action, filename } of events) {
      if (action === "unwatched") unwatched.push(filename);
      if (filename === "new") break;
    }
    say(`${unwatched.length > 100} ${new Set(unwatched).size === unwatched.length}`);
    // There is space for others again, and the names are events.
    await (await io.openFile(`${folder}/new/file`, { write: true, create: true })).close();
    const [first] = unwatched;
    await io.unlink(`${folder}/${first}`);
    const left = new Set(["created new/file", `removed ${first}`]);
    for await (const { action, filename } of events) {
      left.delete(`${action} ${filename}`);
      if (left.size === 0) break;
    }
    // However many files come, the program has descriptors for its own.
    for (let index = 0; index < 80; index++) {
      await (await io.openFile(`${folder}/new/${index}`, { write: true, create: true })).close();
      for await (const { filename } of events) if (filename === `new/${index}`) break;
      const own = Array.from({ length: 30 }, () => io.openFile(`${folder}/new/${index}`));
      for (const file of await Promise.all(own)) await file.close();
    }
    await watch.close();
    say(`${io.stats().descriptors} descriptors`);
    await io.close();
  },

  // A file system is mounted below, and is the shell's to unmount.
  "watch-unmount": async (backend) => {
    const io = await IO.open({ backend });
    const folder = process.env["WATCH_FOLDER"] ?? "";
    if (io.capabilities.watch.reason.includes("EVFILT_VNODE")) return say("by kqueue");
    const watch = await io.watch(folder, { recursive: true });
    const end = async (): Promise<void> => {
      await io.mkdir(`${folder}/end`);
      for (;;) {
        const { value } = await watch.next();
        if (value === undefined || value.filename === "end") break;
        say(`${value.action} ${value.filename}`);
      }
      await io.unlink(`${folder}/end`, { directory: true });
      await watch.next();
    };
    await io.mkdir(`${folder}/mount/over/deep`);
    await end();
    execFileSync("umount", [`${folder}/mount`]);
    await end();
    await io.mkdir(`${folder}/mount/under/new`);
    await end();
    await io.close();
  },

  "close-at-limit": async (backend) => {
    const io = await IO.open({ backend, mode: "detached", inFlightLimit: 2 });
    let ended = 0;
    for (let index = 0; index < 2; index++) {
      io.ring.timeout(new Completion(), () => ended++, HOUR_NS);
    }
    await io.close();
    say(`${ended} ended`);
  },
};

const [name = "", backend = ""] = process.argv.slice(2);
const program = programs[name];
if (program === undefined) throw new Error(`no program '${name}'`);
await program(backend as BackendName);
