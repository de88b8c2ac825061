// The conformance of memory: what the kernel may be given, and pages with direct I/O.

import { conform } from "./harness.js";
import { memoryPages } from "./memory_pages.js";
import { memoryUser } from "./memory_user.js";

conform("memory", memoryUser, memoryPages);
