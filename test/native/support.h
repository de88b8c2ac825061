// Helpers for the tests of the engine: a rig that plays TypeScript's part beside a real engine.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "testing.h"

namespace native_tests {

using io::abi::Opcode;

// Memory that is no multiple of anything and whose ends the sanitizer watches.
struct Memory {
  explicit Memory(size_t size_bytes) : bytes(std::make_unique<uint8_t[]>(size_bytes)) {}
  std::unique_ptr<uint8_t[]> bytes;
};

struct RigOptions {
  uint32_t entries = 128;
  uint32_t in_flight_limit = 256;
  bool oldest_kernel = false;
  bool wide_completions = false;
  // Where there is none the test is skipped.
  io::AreaOptions area;
  // Puts something between the engine and the real backend.
  std::function<std::unique_ptr<io::Backend>(std::unique_ptr<io::Backend>)> wrap;
};

// TypeScript's side of the rings: slots with generations, and a check that every queued entry is
// answered exactly once.
class Rig {
 public:
  using Callback = std::function<void(int32_t result, uint32_t flags)>;

  explicit Rig(RigOptions options = {});
  ~Rig();

  // Queues an entry as TypeScript does: slot, generation and place are the rig's. Flushes when the
  // ring is full. Returns the slot.
  uint32_t queue(io::abi::Entry entry, Callback callback = nullptr);
  // The entry that the last queue() wrote, to be scribbled on.
  io::abi::Entry& last() { return shared.entries[shared.header[io::abi::header_queued] - 1]; }
  void submit() { engine->submit(); }
  // Polls once and answers; returns how many completions were published.
  uint32_t poll(int64_t deadline_ns);
  // Polls until nothing is unanswered.
  void run();
  // Cancels everything again and again until nothing is unanswered.
  void end_all();
  // Runs one operation alone and returns its result.
  int32_t call(io::abi::Entry entry);

  // Puts text where `offset` says and returns `offset`.
  double text(uint32_t offset, const void* data, size_t size_bytes);
  uint32_t add_buffer(uint8_t* data, size_t size_bytes, bool register_it = false);
  double counter(io::abi::Counter counter);
  uint32_t free_slots() const { return static_cast<uint32_t>(free_.size()); }
  uint32_t generation_of(uint32_t slot) const { return generations_[slot]; }
  bool pending(uint32_t slot) const { return pending_[slot]; }
  // Everything that should hold when nothing is in flight.
  void check_idle();

  io::Shared shared;
  std::unique_ptr<io::Engine> engine;
  uint64_t queued_total = 0;
  uint64_t refused_total = 0;
  uint64_t final_total = 0;
  uint32_t unanswered = 0;
  // Answers may go to wrong slots: the test damages what names them.
  bool tolerate_strays = false;

 private:
  void answer(const io::abi::CompletionEntry& completion);

  std::vector<uint64_t> memory_;
  uint32_t in_flight_limit_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> generations_;
  std::vector<Callback> callbacks_;
  std::vector<bool> pending_;
  std::map<uint32_t, uint32_t> slots_by_sequence_;
  uint32_t sequence_ = 0;
};

inline io::abi::Entry entry_of(Opcode opcode) {
  io::abi::Entry entry = {};
  entry.operation = static_cast<uint32_t>(opcode);
  if (io::abi::is(opcode, io::abi::trait::resolves)) {
    entry.descriptor = static_cast<int32_t>(io::abi::no_directory);
  }
  return entry;
}

// The entries that most tests need.
io::abi::Entry timeout_entry(double duration_ns);
io::abi::Entry transfer_entry(Opcode opcode, int32_t descriptor, uint32_t buffer, double start,
                              uint32_t length);
io::abi::Entry on_descriptor(Opcode opcode, int32_t descriptor);
inline constexpr double endless_ns = 3600e9;

}  // namespace native_tests
