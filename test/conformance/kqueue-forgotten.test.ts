// The conformance of what was never closed, on kqueue.

import "./over_kqueue.js";
import "./conformance-forgotten.test.js";
