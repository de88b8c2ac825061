// The conformance of streams, on io_uring with COOP_TASKRUN.

import "./over_coop.js";
import "./conformance-streams.test.js";
