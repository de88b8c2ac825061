// The lifetime tests of workers, on kqueue.

import "../support/on_kqueue.js";
import "./workers.test.js";
