// The conformance of ring, on io_uring with COOP_TASKRUN.

import "./over_coop.js";
import "./conformance-ring.test.js";
