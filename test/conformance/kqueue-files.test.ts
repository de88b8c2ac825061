// The conformance of files, on kqueue.

import "./over_kqueue.js";
import "./conformance-files.test.js";
