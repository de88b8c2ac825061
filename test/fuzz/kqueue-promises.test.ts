// The fuzz tests of promises, on kqueue.

import "../support/on_kqueue.js";
import "./promises.test.js";
