// The end of the operations in flight after the loss of a backend: see backend/loss.h.
//
// No further completions come from the kernel. Each operation completes with ENOTRECOVERABLE, and
// so does each that is queued later; a close closes. The kernel may have done, or may still do, the
// operations that it had. So their memory stays ours until the process ends, as does this engine.
#include <cerrno>
#include <unordered_set>

#include "engine/engine.h"
#include "system/system.h"

namespace io {

using abi::Opcode;

namespace {

constexpr int32_t lost_result = -ENOTRECOVERABLE;

}  // namespace

void Engine::lose_backend() {
  is_lost_ = true;
  is_loss_seen_ = false;
  buffers_.keep_all();
  std::unordered_set<const Operation*> ours(batch_.begin(), batch_.end());
  local_.each([&](const Local& local) { ours.insert(local.operation); });
  operations_.each([&](Operation& operation) {
    const bool is_active = operation.phase == Phase::active && !operation.batched;
    if ((!is_active && operation.phase != Phase::sent) || ours.contains(&operation)) return;
    if ((operation.links & link_held) != 0) return;  // it ends behind the one that it waits for
    // The backend's lists are of no use any more.
    operation.in_line = {};
    operation.timer_index = 0;
    operation.successor = nullptr;
    left_.push_back({operation.slot, operation.generation});
  });
  revisits_.clear();
  end_lost();
}

// As many as there is room for.
void Engine::end_lost() {
  start_due();
  flush_batch();
  publish_local(publish_limit_, 0);
  while (!left_.empty() && local_.empty() && published_ < publish_limit_) {
    const Token token = left_.back();
    left_.pop_back();
    Operation& operation = operations_[token.slot];
    if (operation.generation != token.generation) continue;
    const bool is_sent = operation.phase == Phase::sent;
    take({.operation = &operation,
          .result = is_sent ? operation.result : lost_result,
          .more = false,
          .receive_empty = false});
    start_due();
    flush_batch();
    publish_local(publish_limit_, 0);
  }
}

void Engine::end_batch_without_backend() {
  for (Operation* operation : batch_) {
    const Opcode opcode = operation->opcode;
    int32_t result = lost_result;
    if (opcode == Opcode::detach) {
      result = operation->number;
    } else if (opcode == Opcode::close) {
      result = system::close_number(operation->number);
    } else if (opcode == Opcode::cancel || opcode == Opcode::cancel_descriptor ||
               opcode == Opcode::cancel_all) {
      result = 0;
    }
    local_.push({operation, result});
  }
  batch_.clear();
}

}  // namespace io
