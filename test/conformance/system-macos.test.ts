// The whole conformance, as on macOS.

import "./over_macos.js";
import "./every_topic.js";
