// The conformance of sends that spare the copy, on kqueue.

import "./over_kqueue.js";
import "./conformance-zero-copy.test.js";
