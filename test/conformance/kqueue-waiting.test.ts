// The conformance of sends that find their socket full, on kqueue.

import "./over_kqueue.js";
import "./conformance-waiting.test.js";
