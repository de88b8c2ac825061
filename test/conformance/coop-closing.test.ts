// The conformance of closing, on io_uring with COOP_TASKRUN.

import "./over_coop.js";
import "./conformance-closing.test.js";
