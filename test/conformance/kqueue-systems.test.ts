// The conformance of what systems do each in its own way, on kqueue.

import "./over_kqueue.js";
import "./conformance-systems.test.js";
