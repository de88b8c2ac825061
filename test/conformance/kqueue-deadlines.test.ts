// The conformance of deadlines, on kqueue.

import "./over_kqueue.js";
import "./conformance-deadlines.test.js";
