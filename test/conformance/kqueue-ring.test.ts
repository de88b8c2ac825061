// The conformance of ring, on kqueue.

import "./over_kqueue.js";
import "./conformance-ring.test.js";
