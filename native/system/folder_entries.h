// The entries of a directory, from the system's records to ours (abi.def): in the same memory,
// since ours are shorter.
#pragma once

#include <dirent.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "abi/abi.h"

namespace io::system {

inline uint8_t kind_of_entry(unsigned char type) {
  switch (type) {
    case DT_REG:
      return abi::kind_file;
    case DT_DIR:
      return abi::kind_directory;
    case DT_LNK:
      return abi::kind_link;
    case DT_FIFO:
      return abi::kind_fifo;
    case DT_SOCK:
      return abi::kind_socket;
    case DT_CHR:
      return abi::kind_character_device;
    case DT_BLK:
      return abi::kind_block_device;
    default:
      return abi::kind_unknown;
  }
}

// Writes entries one after the other into memory whose contents it overtakes nowhere.
class EntryWriter {
 public:
  explicit EntryWriter(uint8_t* into) : start_(into), end_(into) {}

  void add(uint8_t kind, const char* name, size_t length) {
    const bool is_dots = name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'));
    if (is_dots || length == 0) return;
    std::memmove(end_ + abi::directory_entry_head_bytes, name, length);
    end_[0] = kind;
    end_[1] = static_cast<uint8_t>(length);
    end_[2] = static_cast<uint8_t>(length >> 8);
    end_ += abi::directory_entry_head_bytes + length;
  }

  int size_bytes() const { return static_cast<int>(end_ - start_); }

 private:
  uint8_t* start_;
  uint8_t* end_;
};

#if !defined(__APPLE__)

#if defined(__linux__)
// As getdents64(2) writes it: musl has no name for it.
struct Record {
  uint64_t d_ino;
  int64_t d_off;
  uint16_t d_reclen;
  uint8_t d_type;
  char d_name[1];
};
#else
using Record = struct dirent;
#endif
static_assert(offsetof(Record, d_name) >= abi::directory_entry_head_bytes);

// `read` fills memory with records of the system. A directory whose next records are all removed or
// "." and ".." has not ended.
template <class Read>
int next_entries(int number, uint8_t* into, size_t size_bytes, Read read) {
  for (;;) {
    const int count = read(number, into, size_bytes);
    if (count <= 0) return count;
    EntryWriter writer(into);
    const uint8_t* at = into;
    while (at < into + count) {
      Record head;
      std::memcpy(&head, at, offsetof(Record, d_name));
      const char* name = reinterpret_cast<const char*>(at + offsetof(Record, d_name));
      const bool removed = head.d_ino == 0;
      at += head.d_reclen;
      if (!removed) writer.add(kind_of_entry(head.d_type), name, std::strlen(name));
    }
    if (writer.size_bytes() > 0) return writer.size_bytes();
  }
}

#endif

}  // namespace io::system
