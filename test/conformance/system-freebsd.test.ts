// The whole conformance, as on FreeBSD.

import "./over_freebsd.js";
import "./every_topic.js";
