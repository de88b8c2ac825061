// The conformance of receiving into lent memory, on kqueue.

import "./over_kqueue.js";
import "./conformance-lent.test.js";
