// The user data of a kevent: a pointer, and an integer in NetBSD before 10.
#pragma once

#include <sys/event.h>

#include <cstdint>
#include <type_traits>

namespace io::system {

using KeventData = decltype(kevent::udata);
static_assert(sizeof(KeventData) >= sizeof(uint64_t), "a token must fit into udata");

template <class Data = KeventData>
Data kevent_data_of(uint64_t token) {
  if constexpr (std::is_pointer_v<Data>) {
    return reinterpret_cast<Data>(token);  // NOLINT(performance-no-int-to-ptr)
  } else {
    return static_cast<Data>(token);
  }
}

template <class Data>
uint64_t token_of(Data data) {
  if constexpr (std::is_pointer_v<Data>) {
    return reinterpret_cast<uint64_t>(data);
  } else {
    return static_cast<uint64_t>(data);
  }
}

}  // namespace io::system
