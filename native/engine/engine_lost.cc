// The end of what is in flight when the backend has lost what it needs: see backend/loss.h.
//
// What the kernel has then is not told of any more. Each operation completes with ENOTRECOVERABLE,
// and so does each that is queued later; a close closes. It is not known what the kernel has done
// of those that it had, or still does: so their memory stays ours until the process ends, as does
// this engine.
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
    const bool is_active = operation.phase == Phase::active && !operation.led;
    if ((!is_active && operation.phase != Phase::sent) || ours.contains(&operation)) return;
    // The backend's lists are of no use any more.
    operation.in_line = {};
    operation.timer_index = 0;
    operation.successor = nullptr;
    left_.push_back({operation.slot, operation.generation});
  });
  retry_stalled(stalled_.size());
  missed_.clear();
  cancel_due_ = false;
  end_lost();
}

// As many as there is room for.
void Engine::end_lost() {
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
    flush_batch();
    publish_local(publish_limit_, 0);
  }
}

void Engine::end_batch_without_backend() {
  for (Operation* operation : batch_) {
    const Opcode opcode = operation->opcode;
    int32_t result = lost_result;
    if (opcode == Opcode::close) {
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
