// `node no_threads_program.js <backend> <folder>`: works on files and a connection after the system
// has no more threads, and prints the results.

import { once } from "node:events";
import { IO } from "@io/core";

const [backend = "", folder = ""] = process.argv.slice(2);
const io = await IO.open({ backend: backend as "epoll" });
process.stdout.write("ready\n");
await once(process.stdin, "data");
process.stdin.destroy();

const results: Record<string, unknown> = {};
async function note<T>(name: string, promise: Promise<T>): Promise<T | undefined> {
  try {
    const value = await promise;
    results[name] = typeof value === "number" ? value : "ok";
    return value;
  } catch (error) {
    results[name] = (error as { code: string }).code;
    return undefined;
  }
}

await note("mkdir", io.mkdir(`${folder}/made`));
const options = { read: true, write: true, create: true };
const file = await note("open", io.openFile(`${folder}/made/file`, options));
if (file !== undefined) {
  await note("write", file.write(new Uint8Array(4096), 0));
  await note("allocate", file.allocate(0, 8192));
  await note("sync", file.sync("full"));
  await note("truncate", file.truncate(1000));
  await note("read", file.read(new Uint8Array(4096), 0));
  await note("chmod", file.chmod(0o600));
  await note("utimes", file.utimes(0, 0));
  await note("syncRange", file.syncRange());
  await note("advise", file.advise("willNeed"));
  await note("copyRange", file.copyRange(file, { offset: 1000 }));
  await note("statfs", file.statfs());
  await note("lock", file.lock());
  await note("unlock", file.unlock());
  await note("stat", file.stat());
  await note(
    "chain",
    io.chain([file.prepareWrite(new Uint8Array(10), 0), file.prepareSync("data")]),
  );
  await note("close", file.close());
}
await note("link", io.link(`${folder}/made/file`, `${folder}/link`));
await note("symlink", io.symlink("made/file", `${folder}/symbolic`));
await note("readlink", io.readlink(`${folder}/symbolic`));
await note("chmodByPath", io.chmod(`${folder}/made/file`, 0o600));
const made = await note("openDirectory", io.openDirectory(`${folder}/made`));
if (made !== undefined) {
  await note("below", made.stat("file"));
  await note("realpath", made.realpath("file"));
  await note("closeDirectory", made.close());
}
const watch = await note("watch", io.watch(folder, { recursive: true }));
await note("watched", io.mkdir(`${folder}/made/more`));
results["event"] = (await watch?.next())?.value?.filename;
await watch?.close();
await note("cp", io.cp(`${folder}/made`, `${folder}/copied`, { recursive: true }));
await note("rename", io.rename(`${folder}/made/file`, `${folder}/made/other`));
await note("unlink", io.unlink(`${folder}/made/other`));
const listener = await io.listen({ host: "127.0.0.1", port: 0 });
const [client, served] = await Promise.all([
  io.connect({ host: "127.0.0.1", port: listener.address.port }),
  listener.accept(),
]);
await note("shutdown", client.shutdown("send"));
await note("end", served.receive(new Uint8Array(1)));
await io.close();
process.stdout.write(`${JSON.stringify(results)}\n`);
