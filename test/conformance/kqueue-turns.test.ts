// The conformance of what loops leave to the rest of the program, on kqueue.

import "./over_kqueue.js";
import "./conformance-turns.test.js";
