// The conformance of receiving where no network device writes into memory, on kqueue.

import "./over_kqueue.js";
import "./conformance-area-fallback.test.js";
