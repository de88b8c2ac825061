// The seam between the engine and a kernel interface, and the ranked list of backends.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backend/kernel_version.h"
#include "backend/loss.h"
#include "node/backing_store.h"
#include "engine/descriptors.h"
#include "engine/operation.h"
#include "engine/operation_table.h"
#include "engine/buffer_provider.h"
#include "engine/revisits.h"

namespace io {

inline constexpr uint32_t no_buffer_id = (1u << 24) - 1;

// A backend's report of a finished (or, with `more`, progressing) operation. `result` is a count, a
// descriptor number or a negative errno.
struct Completed {
  Operation* operation;
  int32_t result;
  bool more : 1;
  bool receive_empty : 1;        // receive: nothing was left in the socket
  bool buffer_open : 1 = false;  // the backend goes on filling the buffer
  bool copied : 1 = false;       // zero-copy send, at its end: the kernel copied the bytes anyway
  // The provided buffer that has the bytes of a multishot receive.
  uint32_t buffer_id : 24 = no_buffer_id;
};
static_assert(sizeof(Completed) == 16);
static_assert(abi::max_group_buffers <= no_buffer_id);
static_assert(abi::max_chunks <= no_buffer_id);

// A bounded list that the engine hands to poll(). A backend stops reaping when it is full.
class Completions {
 public:
  explicit Completions(size_t capacity) : items_(capacity), limit_(capacity) {}
  bool full() const { return count_ >= limit_; }
  void push(const Completed& completed) { items_[count_++] = completed; }
  size_t size() const { return count_; }
  Completed& at(size_t index) { return items_[index]; }
  std::span<const Completed> items() const { return {items_.data(), count_}; }
  void clear() { count_ = 0; }
  void limit(size_t limit) { limit_ = limit; }

 private:
  std::vector<Completed> items_;
  size_t limit_;
  size_t count_ = 0;
};

// Memory for the network device to write to, and the queue of it that shall: docs/guides/zcrx.md.
struct AreaOptions {
  bool wanted = false;
  std::string interface;  // empty: no device, the kernel copies (Linux 7.1)
  uint32_t queue = 0;
  uint8_t* address = nullptr;  // page-aligned, a multiple of the page
  size_t size_bytes = 0;
  BackingStore backing_store;  // of that memory, for as long as the backend lives
};

// When io_uring runs its task work. For attached mode a measurement decides
// (io_uring/late_eventfd_signals.h), unless a test does.
enum class Taskrun : uint8_t { measured, defer, coop };

struct BackendOptions {
  uint32_t entries = 1024;
  uint32_t in_flight_limit = 4096;  // at most; there is room for a few of them at first
  // An event loop waits for the backend's descriptor.
  bool attached = false;
  Taskrun taskrun = Taskrun::measured;
  // For tests: use only features of the oldest supported kernel.
  bool oldest_kernel = false;
  // For tests: completions of 32 bytes, as rings with an area have, though there is none.
  bool wide_completions = false;
  AreaOptions area;
};

inline constexpr int64_t wait_forever = -1;

// The properties of a backend, from its beginning on.
struct Facts {
  // Operations that its kernel lacks. A send_file is refused then; of the others a thread makes the
  // call.
  std::vector<abi::Opcode> lacking;
  uint32_t features = 0;  // abi::feature_*

  bool has(abi::Opcode opcode) const {
    return std::find(lacking.begin(), lacking.end(), opcode) == lacking.end();
  }
};

// The operations of abi.def for which `has` is not true.
template <class Has>
std::vector<abi::Opcode> lacking_of(Has has) {
  std::vector<abi::Opcode> lacking;
#define IO_OPERATION(name, number, syscall, since, kind, form, traits) \
  if (!has(abi::Opcode::name)) lacking.push_back(abi::Opcode::name);
#include "abi/abi.def"
  return lacking;
}

struct BackendCounters {
  uint64_t system_calls = 0;
  uint64_t overflows = 0;  // completions that the kernel has dropped
  AreaCounters area;
};

class Backend : public BufferProvider {
 public:
  explicit Backend(Facts facts) : facts_(std::move(facts)) {}

  const Facts& facts() const { return facts_; }
  // Once something is lost the backend is of no use any more, and is given nothing but calls that
  // ask for the end of something.
  const Loss& loss() const { return loss_; }
  // Releases its kernel objects. It does not touch the operations that it was given any more.
  virtual void give_up() {}

  // The table of operations by slot, that of descriptors, and the list of revisits: once, before
  // anything else. A wait ends when the first of the revisits is due.
  virtual void serve(OperationTable& operations, Descriptors& descriptors, Revisits& revisits) = 0;
  // Takes a batch in order; linked operations stand next to each other. Operations that the kernel
  // cannot take now are kept and submitted by a later call. Operations that have to wait for their
  // descriptor are kept too, however the backend waits: EAGAIN is no result, except of an operation
  // in a chain that the kernel has ended by it.
  virtual void submit(std::span<Operation* const> batch) = 0;
  // Makes sure that the kernel has seen the submitted operations; poll() does so too.
  virtual void flush() = 0;
  // How many completions poll() would find without asking the kernel.
  virtual size_t ready() const = 0;
  // Collects completions. Waits until there is one, up to `deadline_ns` (0: not at all).
  virtual void poll(int64_t deadline_ns, Completions& completed) = 0;
  // Ask for the end of one operation, of everything. Ended operations complete as usual. False when
  // the kernel cannot take the request now: ask again.
  virtual bool cancel(const Operation& target) = 0;
  virtual bool cancel_all() = 0;
  // The revisit is due that the backend has asked for by Revisits::add(), of an operation that it
  // has.
  virtual void revisit(Operation& operation, Revisit why) = 0;

  // Attached mode: a descriptor that becomes readable when poll() would make progress, from arm()
  // to the next poll(), or a negative errno; -ENOTSUP says that only wait_elsewhere() will do.
  // arm() returns false when there is progress to be made at once.
  virtual int wait_descriptor() = 0;
  // The same where the event loop cannot wait for a descriptor: called on a thread of its own after
  // wait_descriptor(), it returns when poll() would make progress or after wake().
  virtual void wait_elsewhere() = 0;
  virtual bool arm() = 0;
  // Makes the wait descriptor readable, because there is work left. False when it is lost.
  virtual bool wake() = 0;

  // Registers whole pages that have not been written to since they were zero. Returns their index
  // in the kernel's table, or not_registered.
  virtual int32_t register_memory(uint8_t* data, size_t size_bytes) = 0;
  virtual void unregister_memory(int32_t index) = 0;
  virtual BackendCounters counters() const = 0;

 protected:
  Loss loss_;

 private:
  const Facts facts_;
};

// Which backends are available, and why not: docs/guides/backends.md.
struct Candidate {
  const char* name;
  bool available;      // it opens by its name
  bool automatic;      // and "auto" takes it, unless there is a better one
  bool ends_search;    // its error is one that "auto" reports instead of falling back
  std::string reason;  // one sentence: the attempt, and why the backend is not available
  std::string advice;  // what to change; empty when there is nothing to change
  // Operations that its kernel lacks: threads make the calls, or they are refused.
  std::vector<abi::Opcode> lacking;
  uint32_t features = 0;
};

struct Opened {
  const char* name = nullptr;
  std::unique_ptr<Backend> backend;  // null when `reason` says why not
  std::string reason;
  std::string advice;
  uint32_t in_flight_limit = 0;  // at most
  uint32_t ring_room = 0;  // operations whose completions fit into the kernel's ring; 0 for no ring
  int error = 0;           // the errno behind it
  // Of BackendOptions::area: whether there is one, and why or why not.
  bool has_area = false;
  std::string area_reason;
  std::string area_advice;
};

// Whether "auto" answers this error of a set-up by trying the next candidate. Only an interface
// that is missing or forbidden is replaced: want of memory or of descriptors would come back, later
// and in a worse place, and anything else is a surprise that must not be hidden.
bool may_fall_back(int error);

// The completions of fewer operations need a smaller ring. Calls `set_up(room)`, which returns an
// errno, with half the room as long as that is ENOMEM and the floor is not reached; `room` is then
// the last value. The rings of the floor lie in two pages of 4 KiB.
inline constexpr uint32_t ring_room_floor = 32;
template <class SetUp>
int halve_until_room(uint32_t& room, SetUp set_up) {
  int error = set_up(room);
  while (error == ENOMEM && room > ring_room_floor) {
    room = std::max(room / 2, ring_room_floor);
    error = set_up(room);
  }
  return error;
}

// In order of preference; each is really tried.
std::vector<Candidate> probe_backends(Taskrun taskrun = Taskrun::measured,
                                      const Kernel& kernel = running_kernel());
// `name` is "auto" or a name from the list.
Opened open_backend(const std::string& name, const BackendOptions& options,
                    const Kernel& kernel = running_kernel());

// The candidates: io_uring.cc in backend/io_uring/, epoll.cc and kqueue.cc in backend/reactor/. A
// failure has an error, and says nothing about other backends.
Opened open_io_uring(const BackendOptions& options);
Opened open_epoll(const BackendOptions& options);
Opened open_kqueue(const BackendOptions& options);

}  // namespace io
