// The lifetime tests of memory, on epoll.

import "../support/on_epoll.js";
import "./memory.test.js";
