// The tests of programs around the library, on epoll.

import "../support/on_epoll.js";
import "./embedding.test.js";
