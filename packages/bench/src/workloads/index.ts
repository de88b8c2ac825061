// The workloads, in the order in which they run.

import type { Workload } from "../harness.js";
import { crowd } from "./crowd.js";
import { echo } from "./echo.js";
import { files } from "./files.js";
import { kill } from "./kill.js";
import { lent } from "./lent.js";
import { nop } from "./nop.js";
import { pipeline } from "./pipeline.js";
import { sendFile } from "./send_file.js";
import { start } from "./start.js";
import { zeroCopy } from "./zero_copy.js";
import { zeroCopyAuto } from "./zero_copy_auto.js";

export const workloads: readonly Workload[] = [
  nop,
  files,
  echo,
  pipeline,
  lent,
  crowd,
  sendFile,
  zeroCopy,
  zeroCopyAuto,
  start,
  kill,
];
