// Signals of the process, for a program that drives its own loop: each taker has a pipe, into which
// a handler writes the number of each signal that comes. Not a signalfd, which gets only what every
// thread of the process blocks; threads of Node and of others block nothing.
//
// Who owns the handler of a signal. In Node that is libuv, for process.on(): it sets its own with
// its first listener to a signal and SIG_DFL with the last one, and never calls one that was there
// before. So a listener of libuv, which does nothing (the guard), is started before our handler is
// set, and stopped after that was taken back. While it is there libuv sets nothing, and our
// handler, which calls libuv's, lies above that: every listener gets the signal, in whichever order
// they come and go. Other code may set its handler above ours, which then gets nothing until
// take_signals_again(), or the next taker. What the signal did before the first taker is set again
// after the last one, when no listener of libuv is left; or our handler stays and does it.
#pragma once

#include <cstdint>

namespace io {

// One bit for each signal, by its number. What Node has names for is below 64 on every system.
inline constexpr int signals_limit = 64;

// What the handler sees of a taker.
struct SignalPipe {
  int write_end = -1;
  uint64_t signals = 0;
  SignalPipe* next = nullptr;
};

class SignalTaker {
 public:
  SignalTaker() = default;
  // Gives the signals back. The end that is read stays its owner's, who may close it at any time.
  ~SignalTaker();
  SignalTaker(const SignalTaker&) = delete;
  SignalTaker& operator=(const SignalTaker&) = delete;

  // 0, with the number that is read, which is the caller's. A negative errno; then it has none.
  int open(uint64_t signals, int& number);

 private:
  void give_back();

  SignalPipe pipe_;
  int read_end_ = -1;  // a duplicate
  uint64_t taken_ = 0;
};

// Puts the handlers of what is taken above those that other code has set since.
void take_signals_again();

}  // namespace io
