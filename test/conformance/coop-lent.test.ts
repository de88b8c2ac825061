// The conformance of receiving into lent memory, on io_uring with COOP_TASKRUN.

import "./over_coop.js";
import "./conformance-lent.test.js";
