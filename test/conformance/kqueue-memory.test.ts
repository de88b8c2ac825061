// The conformance of memory, on kqueue.

import "./over_kqueue.js";
import "./conformance-memory.test.js";
