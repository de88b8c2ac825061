import { IO, Completion } from "/work/main/packages/core/bundle/index.js";
const io = await IO.open({mode:"detached"});
let t0=Date.now();
process.on("SIGUSR2",()=>console.log("signal handler at",Date.now()-t0));
const c=new Completion();
io.ring.timeout(c,1e9,()=>console.log("timeout at",Date.now()-t0));
process.kill(process.pid,"SIGUSR2");
io.run(); console.log("run returned",Date.now()-t0);
await io.close();
// timer and io.close
const io2 = await IO.open();
const t = io2.timer({intervalNs:1e6});
try { for await (const n of t) { await io2.close(); } console.log("iteration ended"); } catch(e){console.log("iteration rejected", e.code)}
// buffers under close
// truncate in capability
import { probe } from "/work/main/packages/core/bundle/index.js";
console.log(probe().capabilities.truncate, probe().candidates);
try { await IO.open({backend:"epoll"}) } catch(e){console.log(e.code,e.message)}
