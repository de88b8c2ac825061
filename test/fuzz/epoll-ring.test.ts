// The fuzz tests of ring, on epoll.

import "../support/on_epoll.js";
import "./ring.test.js";
