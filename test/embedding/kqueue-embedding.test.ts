// The tests of programs around the library, on kqueue.

import "../support/on_kqueue.js";
import "./embedding.test.js";
