// The lifetime tests of ending, on kqueue.

import "../support/on_kqueue.js";
import "./ending.test.js";
