// The lifetime tests of limits, on epoll.

import "../support/on_epoll.js";
import "./limits.test.js";
