// The conformance of looking up names, on kqueue.

import "./over_kqueue.js";
import "./conformance-names.test.js";
