// The fuzz tests of promises, on epoll.

import "../support/on_epoll.js";
import "./promises.test.js";
