// The workloads, in the order in which they run.

import type { Workload } from "../harness.js";
import { crowd } from "./crowd.js";
import { datagrams } from "./datagrams.js";
import { echo } from "./echo.js";
import { files } from "./files.js";
import { http } from "./http.js";
import { httpBodies } from "./http_bodies.js";
import { httpWaiting } from "./http_waiting.js";
import { kill } from "./kill.js";
import { nodeHttp } from "./node_http.js";
import { nodeNet } from "./node_net.js";
import { nop } from "./nop.js";
import { pipeline } from "./pipeline.js";
import { provided } from "./provided.js";
import { sendFile } from "./send_file.js";
import { start } from "./start.js";
import { timers } from "./timers.js";
import { trees } from "./trees.js";
import { udpReceive } from "./udp_receive.js";
import { wake } from "./wake.js";
import { wal } from "./wal.js";
import { wholeFiles } from "./whole_files.js";
import { zeroCopy } from "./zero_copy.js";
import { zeroCopyAuto } from "./zero_copy_auto.js";

export const workloads: readonly Workload[] = [
  nop,
  files,
  wholeFiles,
  trees,
  wal,
  echo,
  pipeline,
  provided,
  crowd,
  sendFile,
  http,
  httpBodies,
  httpWaiting,
  nodeNet,
  nodeHttp,
  datagrams,
  zeroCopy,
  zeroCopyAuto,
  start,
  wake,
  udpReceive,
  timers,
  kill,
];
