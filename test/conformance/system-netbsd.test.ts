// The whole conformance, as on NetBSD.

import "./over_netbsd.js";
import "./every_topic.js";
