// The side effects of close(): see calls.cc.
#pragma once

namespace kqueue_layer {

void before_close(int number);
// Whether it is a kqueue: see kqueue.cc.
bool is_queue(int number);

}  // namespace kqueue_layer
