// Keeps the memory behind a JavaScript ArrayBuffer alive, even when the ArrayBuffer is detached or
// transferred while the kernel still writes into it.
//
// Node-API can keep the *object* alive but not its memory: a transfer moves the memory to another
// owner, who may free it at any time. V8 keeps the memory in a std::shared_ptr<v8::BackingStore>
// that anyone may share. The accessor is a public function of V8 (v8-array-buffer.h, since 8.0)
// that Node-API has no name for, so it is looked up at run time by its symbol. Where it is missing
// (another engine), `supported` is false and TypeScript marks the buffers as untransferable
// instead.
//
// The addon may have been built with another C++ library than V8: the packages contain LLVM's, and
// Node on Linux has GNU's. In both a shared_ptr is two pointers, to the memory and to its counts,
// but they count differently. So this file moves the two pointers itself, and counts in the way of
// V8's library. A function of V8 that has the type in its name shows which library that is. The
// layout of the counts is part of both libraries' stable interfaces, since inline code of every
// program that was ever built with them uses it.
#pragma once

#include <dlfcn.h>

#include <atomic>
#include <utility>

namespace io {

// std::_Sp_counted_base<_S_atomic> of libstdc++ (bits/shared_ptr_base.h).
// Its destructor is here for its place among the virtual functions only.
// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor)
class GnuCounts {
 public:
  static void share(void* counts) {
    static_cast<GnuCounts*>(counts)->uses_.fetch_add(1, std::memory_order_relaxed);
  }
  static void release(void* counts) { static_cast<GnuCounts*>(counts)->release(); }

 protected:
  virtual ~GnuCounts() = default;
  virtual void dispose() = 0;  // of the memory
  virtual void destroy() = 0;  // of the counts

 private:
  void release() {
    if (uses_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    dispose();
    if (weak_uses_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }

  std::atomic<int> uses_;
  std::atomic<int> weak_uses_;  // and one for all the uses together
};

// std::__shared_weak_count of libc++ (__memory/shared_ptr.h), which counts from zero.
// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor)
class LlvmCounts {
 public:
  static void share(void* counts) {
    static_cast<LlvmCounts*>(counts)->uses_.fetch_add(1, std::memory_order_relaxed);
  }
  static void release(void* counts) { static_cast<LlvmCounts*>(counts)->release(); }

 protected:
  virtual ~LlvmCounts() = default;
  virtual void dispose() = 0;
  virtual const void* deleter(const void* type) const = 0;
  virtual void destroy() = 0;

 private:
  void release() {
    if (uses_.fetch_sub(1, std::memory_order_acq_rel) != 0) return;
    dispose();
    if (weak_uses_.fetch_sub(1, std::memory_order_acq_rel) == 0) destroy();
  }

  std::atomic<long> uses_;
  std::atomic<long> weak_uses_;
};

class BackingStore {
 public:
  static bool supported() { return calls().get != nullptr; }

  // `local_handle` is the napi_value of an ArrayBuffer, which in Node is a v8::Local: a pointer to
  // the slot that V8's member functions take as `this`.
  static BackingStore of(void* local_handle) {
    return calls().get != nullptr ? calls().get(local_handle) : BackingStore();
  }

  BackingStore() = default;
  BackingStore(const BackingStore& other) : memory_(other.memory_), counts_(other.counts_) {
    if (counts_ != nullptr) calls().share(counts_);
  }
  BackingStore(BackingStore&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)),
        counts_(std::exchange(other.counts_, nullptr)) {}
  BackingStore& operator=(BackingStore other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(counts_, other.counts_);
    return *this;
  }
  ~BackingStore() {
    if (counts_ != nullptr) calls().release(counts_);
  }

 private:
  // A member function without arguments that returns a class by value has the calling convention of
  // a free function with one pointer argument (Itanium C++ ABI: result address first, then `this`),
  // and a class with a destructor is returned in memory, as a shared_ptr is.
  using Get = BackingStore (*)(void*);
  using Count = void (*)(void*);

  static void count_nothing(void*) {}

  struct Calls {
    Get get = nullptr;
    Count share = count_nothing;
    Count release = count_nothing;
  };

  struct Library {
    const char* witness;  // v8::ArrayBuffer::New(v8::Isolate*, std::shared_ptr<v8::BackingStore>)
    Count share;
    Count release;
  };

  static Calls look_up() {
    constexpr Library libraries[] = {
        {"_ZN2v811ArrayBuffer3NewEPNS_7IsolateESt10shared_ptrINS_12BackingStoreEE",
         GnuCounts::share, GnuCounts::release},
        {"_ZN2v811ArrayBuffer3NewEPNS_7IsolateENSt3__110shared_ptrINS_12BackingStoreEEE",
         LlvmCounts::share, LlvmCounts::release},
    };
    void* get = dlsym(RTLD_DEFAULT, "_ZN2v811ArrayBuffer15GetBackingStoreEv");
    if (get == nullptr) return {};
    for (const Library& library : libraries) {
      if (dlsym(RTLD_DEFAULT, library.witness) == nullptr) continue;
      return {reinterpret_cast<Get>(get), library.share, library.release};
    }
    return {};
  }

  static const Calls& calls() {
    static const Calls found = look_up();
    return found;
  }

  void* memory_ = nullptr;
  void* counts_ = nullptr;  // null where nothing is held
};

}  // namespace io
