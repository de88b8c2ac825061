// The costs of sends with and without a copy, learned while the program runs. Knows no kernel and
// reads no clock: the engine reports the sends, and the processor time of its thread.
//
// The cheaper way depends on the processor, its caches, the kernel's version, the device, and
// whether the memory is in a cache. So no threshold is fixed here. Sends are grouped by their kind
// and size (a *class*). Each class is put on *trial*: the way alternates from window to window, in
// the order that cancels a drift (plain, without, without, plain, ...). The cost of a window is the
// processor time of the thread for each send, which is all that the program pays: the call, the
// copy or the pages, the second completion, the callbacks, the data that the copy has pushed out of
// the cache. Neighbouring windows are compared, and the median of these ratios counts, so that one
// disturbed window decides nothing.
//
// A trial that costs much is repeated late. The next one comes after so many sends that the cost of
// the worse way is at most 1/128 of theirs, and twice as late each time the answer stays.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace io {

class SendCosts {
 public:
  // Shorter sends are never tried. To copy this much takes less time than the second completion
  // alone, on every processor that runs a kernel with sends without a copy.
  static constexpr size_t shortest_bytes = 1024;
  // Before the first trial of a class, sends from this size on go without a copy: to pin two pages
  // costs about as much as to copy them.
  static constexpr size_t first_guess_bytes = 8192;

  static constexpr uint32_t no_class = UINT32_MAX;
  static constexpr uint32_t window_sends = 32;
  static constexpr uint32_t pairs = 7;
  // Of these, so many must agree before the way is changed, and by so much in the median.
  static constexpr uint32_t agreeing_pairs = 5;
  static constexpr double margin = 0.03;
  static constexpr uint64_t shortest_gap_sends = 8192;
  static constexpr uint64_t longest_gap_sends = uint64_t{1} << 22;
  // A trial that comes to no answer in so many sends ends without one.
  static constexpr uint64_t max_trial_sends = 65'536;

  SendCosts();

  // The class is the kind and a quarter of a power of two.
  static uint32_t class_of(size_t length, bool datagram, bool registered, bool vectored);

  // Whether a send of the class should go without a copy now.
  bool spares(uint32_t number) const;
  // Whether a trial should begin, on a socket whose bytes are known not to be copied.
  bool is_due(uint32_t number) const;
  void begin_if_due(uint32_t number);

  // A send of the class goes to the backend. The result is passed to ended(). 0: it is no part of a
  // trial.
  uint8_t handed_over(uint32_t number, bool spared);
  // The memory of a zero-copy send is free, or the send was not made.
  void ended(uint8_t trial);

  // While a trial goes on: operations that are no part of it went to the backend.
  bool is_measuring() const { return active_ != no_class; }
  void count_others(uint32_t operations) { others_ += operations; }
  // Between two rounds of the engine; `used_ns` is the processor time of the thread so far.
  void tick(int64_t used_ns);

 private:
  static constexpr uint32_t kinds = 8;
  static constexpr uint32_t octaves = 14;  // of 1 KiB to 16 MiB; longer sends are in the last one
  static constexpr uint32_t sizes = 4 * octaves;
  // A peer that acknowledges nothing may not keep a trial from going on: after so much of both.
  static constexpr uint32_t max_settling_sends = 2048;
  static constexpr uint32_t max_settling_ticks = 16;
  static constexpr uint32_t max_idle_ticks = 64;
  static constexpr uint8_t max_doublings = 3;

  struct Class {
    uint32_t left_sends = 0;  // until the next trial is due
    uint8_t doublings = 0;
    bool spares = false;
  };

  bool is_settled() const;
  void begin_window(int64_t used_ns);
  void begin_settling();
  void end_window(double cost_ns);
  void end_trial(bool has_answer);
  void abandon();

  std::array<Class, kinds * sizes> classes_;
  // The trial that goes on.
  uint32_t active_ = no_class;
  uint8_t trial_ = 0;
  bool spared_ = false;  // the way of this window
  bool settling_ = true;
  uint32_t window_ = 0;
  std::array<double, 2 * pairs> costs_ns_ = {};
  uint32_t unreleased_ = 0;
  uint32_t released_ = 0;  // since the way was changed
  uint32_t ticks_ = 0;     // since the way was changed
  uint32_t idle_ticks_ = 0;
  uint64_t trial_sends_ = 0;
  int64_t begin_ns_ = 0;
  uint32_t sends_ = 0;
  uint32_t others_ = 0;
  uint32_t sends_before_ = 0;  // at the last tick
};

}  // namespace io
