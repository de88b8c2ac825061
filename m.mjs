import { IO } from "/work/main/packages/core/bundle/index.js";
import { execSync } from "node:child_process";
const io = await IO.open({inFlightLimit:16384});
console.log(process.getuid(), io.why);
using0: { const b = io.buffers.acquire(4096); console.log("registeredBytes", io.stats().registeredBytes, "bufferBytes", io.stats().bufferBytes);}
console.log(execSync("ulimit -l").toString().trim());
await io.close();
