import { IO, Completion } from "/work/main/packages/core/bundle/index.js";
// 1. multishot accept into the smallest completion ring
const server = await IO.open({ inFlightLimit: 1, entries: 128, mode:"attached" });
console.log(server.why);
const clients = await IO.open();
const l = await server.listen({port:0});
const socks=[];
for (let i=0;i<400;i++) socks.push(await clients.connect({port:l.address.port}));
let n=0, last=[];
const c = new Completion();
server.ring.acceptMultishot(c, l.descriptor, (x,r)=>{ n++; if(!c.active||r<0) {last.push([n,r,c.active]); if(r>=0) server.ring.acceptMultishot(c,l.descriptor,x.callback);} });
await clients.sleep(300e6);
console.log("accepted", n, "finals", JSON.stringify(last), "overflows", server.stats().overflows, server.stats().descriptors);
await server.close(); await clients.close();
// 2. how far ahead a Listener accepts
const s2 = await IO.open(), c2 = await IO.open();
const l2 = await s2.listen({port:0});
for (let i=0;i<400;i++) await c2.connect({port:l2.address.port});
await l2.accept();
await c2.sleep(300e6);
console.log("listener took", s2.stats().descriptors-1, "of 400 after one accept()");
await s2.close(); await c2.close();
