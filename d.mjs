import { IO, Completion, OpenFlags } from "/work/main/packages/core/bundle/index.js";
import { readdirSync } from "node:fs";
const fds=()=>readdirSync("/proc/self/fd").length;
let b=fds(); const io = await IO.open(); console.log("attached uses", fds()-b); await io.close();
b=fds(); const io2 = await IO.open({mode:"detached"}); console.log("detached uses", fds()-b);
// order/dispatch of a linked close in chain etc.
const c=[new Completion(),new Completion(),new Completion()];
io2.ring.chain(2);
io2.ring.nop(c[0],(x,r)=>console.log("nop",r));
io2.ring.cancelAll(c[1],(x,r)=>console.log("cancelAll in chain",r));
io2.run();
// detached close inside file sync on directory
await io2.close();
const io3=await IO.open();
// text area in chain
try { io3.ring.chain(20); for(let i=0;i<20;i++) io3.ring.open(new Completion(),"x".repeat(4000),OpenFlags.read,0,()=>{}); } catch(e){console.log(e.code,e.message)}
// io.chain of >2^31? check waiter codes
const l=await io3.listen({port:0}); const a=l.accept().catch(e=>console.log("accept",e.code)); await l.close(); await a;
const f=await io3.openFile("/tmp/exp/d.mjs"); 
const p=f.read(new Uint8Array(10),0); await f.close(); console.log(await p.catch(e=>e.code), await f.read(new Uint8Array(1)).catch(e=>e.code));
// raw: operation queued after close of its descriptor
const l2=await io3.openFile("/tmp/exp/d.mjs");
io3.ring.close(new Completion(), l2.descriptor,(x,r)=>console.log("close",r));
io3.ring.read(new Completion(), l2.descriptor,new Uint8Array(3),0,(x,r)=>console.log("read after close",r));
await io3.sleep(1e6);
await io3.close();
