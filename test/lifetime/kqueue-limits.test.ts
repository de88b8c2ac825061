// The lifetime tests of limits, on kqueue.

import "../support/on_kqueue.js";
import "./limits.test.js";
