// The side effects of close(): see calls.cc.
#pragma once

namespace kqueue_layer {

void before_close(int number);

}  // namespace kqueue_layer
