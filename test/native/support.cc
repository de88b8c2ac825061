// The rig and the helpers of the native tests: see support.h.
#include "support.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace native_tests {

using io::abi::CompletionEntry;
using io::abi::Entry;

Rig::Rig(RigOptions options) : in_flight_limit_(options.in_flight_limit) {
  using namespace io::abi;
  const size_t header_bytes = header_words * sizeof(uint32_t);
  const size_t entries_bytes = options.entries * sizeof(Entry);
  const size_t completions_bytes = options.entries * sizeof(CompletionEntry);
  memory_.resize((header_bytes + entries_bytes + completions_bytes + text_size_bytes) / 8);
  auto* data = reinterpret_cast<uint8_t*>(memory_.data());
  shared.header = reinterpret_cast<uint32_t*>(data);
  shared.entries = reinterpret_cast<Entry*>(data + header_bytes);
  shared.entry_count = options.entries;
  shared.completions = reinterpret_cast<CompletionEntry*>(data + header_bytes + entries_bytes);
  shared.completion_count = options.entries;
  shared.text = data + header_bytes + entries_bytes + completions_bytes;

  io::BackendOptions backend_options;
  backend_options.entries = options.entries;
  backend_options.in_flight_limit = options.in_flight_limit;
  backend_options.oldest_kernel = options.oldest_kernel;
  backend_options.wide_completions = options.wide_completions;
  backend_options.area = options.area;
  const char* named = std::getenv("IO_BACKEND");
  io::Opened opened =
      io::open_backend(named == nullptr || *named == 0 ? "io_uring" : named, backend_options);
  if (opened.backend == nullptr || (options.area.wanted && !opened.has_area)) {
    const std::string& reason = opened.backend == nullptr ? opened.reason : opened.area_reason;
    std::printf("skipped: %s\n", reason.c_str());
    std::fflush(nullptr);
    std::_Exit(77);
  }
  if (options.wrap) opened.backend = options.wrap(std::move(opened.backend));
  engine = std::make_unique<io::Engine>(std::move(opened.backend), shared, in_flight_limit_);
  while (engine->grow()) continue;
  for (uint32_t slot = in_flight_limit_; slot > 0; slot--) free_.push_back(slot - 1);
  generations_.resize(in_flight_limit_);
  callbacks_.resize(in_flight_limit_);
  pending_.resize(in_flight_limit_);
}

Rig::~Rig() {
  REQUIRE(engine->shut_down());
}

uint32_t Rig::queue(Entry entry, Callback callback) {
  REQUIRE(!free_.empty());
  if (shared.header[io::abi::header_queued] == shared.entry_count) engine->submit();
  const uint32_t slot = free_.back();
  free_.pop_back();
  entry.slot = slot;
  entry.generation = generations_[slot];
  shared.entries[shared.header[io::abi::header_queued]++] = entry;
  slots_by_sequence_[sequence_++] = slot;
  callbacks_[slot] = std::move(callback);
  pending_[slot] = true;
  unanswered++;
  queued_total++;
  return slot;
}

void Rig::answer(const CompletionEntry& completion) {
  using namespace io::abi;
  uint32_t slot = completion.slot;
  const bool refused = (completion.flags & completion_flag_refused) != 0;
  if (refused) {
    const auto found = slots_by_sequence_.find(completion.slot);
    REQUIRE(found != slots_by_sequence_.end());
    slot = found->second;
    slots_by_sequence_.erase(found);
    REQUIRE(completion.result < 0);
  }
  REQUIRE(slot < in_flight_limit_);
  const bool known = pending_[slot] && (refused || generations_[slot] == completion.generation);
  if (!known && tolerate_strays) return;
  REQUIRE(pending_[slot]);
  if (!refused) REQUIRE_EQUAL(completion.generation, generations_[slot]);
  Callback callback = callbacks_[slot];
  if ((completion.flags & completion_flag_more) == 0) {
    pending_[slot] = false;
    callbacks_[slot] = nullptr;
    if (!refused) generations_[slot]++;
    free_.push_back(slot);
    unanswered--;
    final_total++;
    if (refused) refused_total++;
  }
  if (callback) callback(completion.result, completion.flags);
}

uint32_t Rig::poll(int64_t deadline_ns) {
  const uint32_t published = engine->poll(deadline_ns);
  REQUIRE(published <= shared.completion_count);
  // Copied: a callback may queue, but never completes anything.
  const std::vector<CompletionEntry> completions(shared.completions,
                                                 shared.completions + published);
  for (const CompletionEntry& completion : completions) answer(completion);
  return published;
}

void Rig::run() {
  while (unanswered > 0) poll(io::wait_forever);
}

void Rig::end_all() {
  constexpr int64_t round_ns = 10'000'000;
  while (unanswered > 0) {
    if (!free_.empty()) queue(entry_of(Opcode::cancel_all));
    poll(round_ns);
  }
}

int32_t Rig::call(Entry entry) {
  int32_t answer = 0;
  bool answered = false;
  queue(entry, [&](int32_t result, uint32_t) {
    answer = result;
    answered = true;
  });
  while (!answered) poll(io::wait_forever);
  return answer;
}

double Rig::text(uint32_t offset, const void* data, size_t size_bytes) {
  REQUIRE(offset + size_bytes <= io::abi::text_size_bytes);
  std::memcpy(shared.text + offset, data, size_bytes);
  return offset;
}

uint32_t Rig::add_buffer(uint8_t* data, size_t size_bytes, bool register_it) {
  const uint32_t handle = engine->add_buffer(data, size_bytes, io::BackingStore(), register_it);
  REQUIRE(handle != UINT32_MAX);
  return handle;
}

double Rig::counter(io::abi::Counter counter) {
  double counters[io::abi::counter_count];
  engine->read_counters(counters);
  return counters[static_cast<size_t>(counter)];
}

void Rig::check_idle() {
  using io::abi::Counter;
  REQUIRE_EQUAL(unanswered, 0);
  REQUIRE_EQUAL(counter(Counter::in_flight), 0);
  REQUIRE_EQUAL(final_total, queued_total);
  REQUIRE_EQUAL(counter(Counter::submitted), queued_total - refused_total);
  REQUIRE_EQUAL(counter(Counter::refused), refused_total);
  REQUIRE_EQUAL(counter(Counter::overflows), 0);
  REQUIRE(engine->idle());
  // Nothing comes after the last completion.
  for (int round = 0; round < 3; round++) REQUIRE_EQUAL(poll(0), 0);
}

Entry timeout_entry(double duration_ns) {
  Entry entry = entry_of(Opcode::timeout);
  entry.offset = duration_ns;
  return entry;
}

Entry transfer_entry(Opcode opcode, int32_t descriptor, uint32_t buffer, double start,
                     uint32_t length) {
  Entry entry = on_descriptor(opcode, descriptor);
  entry.buffer = buffer;
  entry.buffer_offset = start;
  entry.length = length;
  // Pipes and sockets have no place: the current position.
  entry.offset = opcode == Opcode::read || opcode == Opcode::write ? -1 : 0;
  return entry;
}

Entry on_descriptor(Opcode opcode, int32_t descriptor) {
  Entry entry = entry_of(opcode);
  entry.descriptor = descriptor;
  return entry;
}

}  // namespace native_tests
