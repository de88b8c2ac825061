// The proof of the checks, on kqueue.

import "../support/on_kqueue.js";
import "./canary.test.js";
