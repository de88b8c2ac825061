// The conformance of what is changed behind a call, on kqueue.

import "./over_kqueue.js";
import "./conformance-behind.test.js";
