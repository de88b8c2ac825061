// The conformance of deadlines, on io_uring with COOP_TASKRUN.

import "./over_coop.js";
import "./conformance-deadlines.test.js";
