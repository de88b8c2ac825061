// The lifetime tests of workers, on epoll.

import "../support/on_epoll.js";
import "./workers.test.js";
