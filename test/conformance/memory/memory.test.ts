// The conformance of memory: what the kernel may be given, and pages with direct I/O.

import { conform } from "../support/harness.js";
import { memoryPages } from "./pages.js";
import { memoryUser } from "./user.js";

conform("memory", memoryUser, memoryPages);
