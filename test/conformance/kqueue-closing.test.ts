// The conformance of closing, on kqueue.

import "./over_kqueue.js";
import "./conformance-closing.test.js";
