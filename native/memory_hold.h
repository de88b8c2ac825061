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
// Two C++ standard libraries have the same shape of shared_ptr and another one of what it counts
// with: to copy one of libstdc++'s (Node on Linux) with the code of libc++ (an addon that was built
// by zig) would call anything. So a second symbol, which has the type in its name, must say that
// V8 was built with the library of this file.
#pragma once

#include <dlfcn.h>

#include <memory>

namespace io {

class MemoryHold {
 public:
  static bool supported() { return accessor() != nullptr; }

  // `local_handle` is the napi_value of an ArrayBuffer, which in Node is a v8::Local: a pointer to
  // the slot that V8's member functions take as `this`.
  static MemoryHold of(void* local_handle) {
    MemoryHold hold;
    if (accessor() != nullptr) hold.store_ = accessor()(local_handle);
    return hold;
  }

 private:
  // A member function without arguments that returns a class by value has the calling convention of
  // a free function with one pointer argument (Itanium C++ ABI: result address first, then `this`).
  using Accessor = std::shared_ptr<void> (*)(void*);

  // v8::ArrayBuffer::New(v8::Isolate*, std::shared_ptr<v8::BackingStore>)
#if defined(_LIBCPP_VERSION)
  static constexpr const char* witness =
      "_ZN2v811ArrayBuffer3NewEPNS_7IsolateENSt3__110shared_ptrINS_12BackingStoreEEE";
#else
  static constexpr const char* witness =
      "_ZN2v811ArrayBuffer3NewEPNS_7IsolateESt10shared_ptrINS_12BackingStoreEE";
#endif

  static Accessor look_up() {
    if (dlsym(RTLD_DEFAULT, witness) == nullptr) return nullptr;
    return reinterpret_cast<Accessor>(
        dlsym(RTLD_DEFAULT, "_ZN2v811ArrayBuffer15GetBackingStoreEv"));
  }

  static Accessor accessor() {
    static const Accessor found = look_up();
    return found;
  }

  std::shared_ptr<void> store_;
};

}  // namespace io
