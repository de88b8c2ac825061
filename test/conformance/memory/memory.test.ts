// The conformance of memory: buffers that the kernel may and may not get, and pages with direct
// I/O.

import { conform } from "../support/harness.js";
import { memoryPages } from "./pages.js";
import { memoryUser } from "./user.js";

conform("memory", memoryUser, memoryPages);
