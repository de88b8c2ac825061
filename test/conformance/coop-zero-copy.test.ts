// The conformance of sends that spare the copy, on io_uring with COOP_TASKRUN.

import "./over_coop.js";
import "./conformance-zero-copy.test.js";
