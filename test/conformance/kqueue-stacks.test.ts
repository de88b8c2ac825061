// The conformance of the stacks of errors, on kqueue.

import "./over_kqueue.js";
import "./conformance-stacks.test.js";
