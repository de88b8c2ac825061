// Imported before a topic: runs it on io_uring alone, with the rings of attached mode as they are
// on kernels that tell late of the work of a ring with DEFER_TASKRUN.

import { runOn } from "./harness.js";

process.env["IO_TASKRUN"] = "coop";
runOn(["io_uring"]);
