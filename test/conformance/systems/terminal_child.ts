// Reads two lines of the terminal that it runs on: see systems_pipes.ts.

import { IO } from "@io/core";

const io = await IO.open({ backend: process.argv[2] as "auto" });
const terminal = await io.openFile("/dev/tty");
for (let count = 0; count < 2; count++) {
  const reading = terminal.read(new Uint8Array(64));
  // It has found nothing by then.
  await io.sleep(100);
  if (count === 0) process.stdout.write("waiting\n");
  process.stdout.write(`got ${await reading}\n`);
}
await terminal.close();
await io.close();
