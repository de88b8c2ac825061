// The conformance of arguments, on kqueue.

import "./over_kqueue.js";
import "./conformance-arguments.test.js";
