// The lifetime tests of ending, on epoll.

import "../support/on_epoll.js";
import "./ending.test.js";
