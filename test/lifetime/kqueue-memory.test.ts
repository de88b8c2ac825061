// The lifetime tests of memory, on kqueue.

import "../support/on_kqueue.js";
import "./memory.test.js";
