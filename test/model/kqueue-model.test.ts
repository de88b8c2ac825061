// The random programs, on kqueue.

import "../support/on_kqueue.js";
import "./model.test.js";
