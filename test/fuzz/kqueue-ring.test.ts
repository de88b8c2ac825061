// The fuzz tests of ring, on kqueue.

import "../support/on_kqueue.js";
import "./ring.test.js";
