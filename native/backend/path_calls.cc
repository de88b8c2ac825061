// The system calls of operations on paths: relative to a directory, and under rules. See
// path_calls.h.
#include "backend/path_calls.h"

#include <cerrno>
#include <string>

#include "support/check.h"
#include "system/resolve.h"
#include "system/system.h"

namespace io {

namespace {

using abi::Opcode;

// Whether the call follows a symbolic link at the end of its path. Under rules the link has been
// followed already, so that the call must not follow any. `name`: the call is for the name itself,
// to make, move or remove it, and no link there is followed, even with a slash behind it.
enum class Last : uint8_t { follow, keep, name, file };

system::End end_of(Last last) {
  if (last == Last::file) return system::End::file;
  if (last == Last::name) return system::End::name;
  return last == Last::follow ? system::End::follow : system::End::keep;
}

// Calls make(folder, path, last). Without rules these are as the program gave them.
template <class Make>
int32_t at_place(int folder, const std::string& path, uint8_t rules, Last last, Make make) {
  if (rules == 0) return make(folder, path.c_str(), last);
  system::Place place;
  const int error = place.find(folder, path, rules, end_of(last));
  return error != 0 ? error : make(place.folder(), place.name(), Last::keep);
}

template <class Make>
int32_t at_place(const Operation& operation, Last last, Make make) {
  const int folder = system::folder_of(operation.number);
  return at_place(folder, operation.extra->path, operation.rules, last, make);
}

// The same for two paths.
template <class Make>
int32_t at_two_places(const Operation& operation, Last from, Last to, Make make) {
  const Extra& extra = *operation.extra;
  const int folder_from = system::folder_of(operation.number);
  return at_place(folder_from, extra.path, extra.rules_from, from,
                  [&](int folder, const char* path, Last) {
                    const int folder_to = system::folder_of(extra.source);
                    return at_place(folder_to, extra.path_to, extra.rules_to, to,
                                    [&](int other, const char* path_to, Last) {
                                      return make(folder, path, other, path_to);
                                    });
                  });
}

int32_t perform_on_two_paths(const Operation& operation) {
  const Extra& extra = *operation.extra;
  switch (operation.opcode) {
    case Opcode::rename:
      return at_two_places(operation, Last::name, Last::name,
                           [&](int folder, const char* path, int other, const char* to) {
                             return system::rename_path(folder, path, other, to,
                                                        operation.argument);
                           });
    case Opcode::link:
      return at_two_places(operation, Last::keep, Last::file, system::link_path);
    case Opcode::copy_file:
      return at_two_places(operation, Last::keep, Last::file,
                           [&](int folder, const char* path, int other, const char* to) {
                             return system::copy_file(folder, path, other, to, operation.argument);
                           });
    default:
      CHECK(operation.opcode == Opcode::symlink);
      // Its target is text, not a path that is looked at.
      return at_place(system::folder_of(extra.source), extra.path_to, operation.rules, Last::file,
                      [&](int folder, const char* path, Last) {
                        return system::symlink_path(extra.path.c_str(), folder, path);
                      });
  }
}

int32_t open(const Operation& operation) {
  const Extra& extra = *operation.extra;
  const int folder = system::folder_of(operation.number);
  const uint32_t flags = operation.argument;
  const uint32_t mode = operation.argument_extra;
  if (operation.rules == 0) return system::open_file(folder, extra.path.c_str(), flags, mode);
  const int number =
      system::open_file_under_rules(folder, extra.path.c_str(), flags, mode, operation.rules);
  if (number != -ENOSYS) return number;
  // A link there is a name that is taken, and is not followed.
  const bool must_be_new =
      (flags & abi::open_flag_create) != 0 && (flags & abi::open_flag_exclusive) != 0;
  const bool follows = (flags & abi::open_flag_no_follow) == 0 && !must_be_new;
  return at_place(operation, follows ? Last::follow : Last::keep,
                  [&](int parent, const char* name, Last) {
                    return system::open_file(parent, name, flags | abi::open_flag_no_follow, mode);
                  });
}

int32_t stat(Operation& operation) {
  Extra& extra = *operation.extra;
  if (operation.argument == abi::stat_by_descriptor) {
    return system::stat_file(operation.argument, operation.number, "", extra.raw_status);
  }
  const bool follows = operation.argument == abi::stat_by_path;
  return at_place(
      operation, follows ? Last::follow : Last::keep, [&](int folder, const char* path, Last last) {
        const uint32_t of = last == Last::follow ? abi::stat_by_path : abi::stat_by_path_no_follow;
        return system::stat_file(of, folder, path, extra.raw_status);
      });
}

int32_t perform_on_names(const Operation& operation) {
  switch (operation.opcode) {
    case Opcode::readlink:
      return at_place(operation, Last::keep, [&](int folder, const char* path, Last) {
        return system::read_link(folder, path, operation.address, operation.length);
      });
    case Opcode::unlink:
      return at_place(operation, Last::name, [&](int folder, const char* path, Last) {
        return system::unlink_path(folder, path, operation.argument != 0);
      });
    case Opcode::mkdir:
      return at_place(operation, Last::name, [&](int folder, const char* path, Last) {
        return system::make_folder(folder, path, operation.argument);
      });
    default:
      return perform_on_two_paths(operation);
  }
}

int32_t perform_on_named_attribute(const Operation& operation) {
  const char* name = operation.extra->path_to.c_str();
  uint8_t* memory = operation.address;
  const size_t size_bytes = operation.length;
  return at_place(operation, operation.argument == 0 ? Last::follow : Last::keep,
                  [&](int folder, const char* path, Last last) -> int {
                    const system::PathOf file = {folder, path, last == Last::follow};
                    switch (operation.opcode) {
                      case Opcode::get_xattr_at:
                        return system::get_xattr_at(file, name, memory, size_bytes);
                      case Opcode::set_xattr_at:
                        return system::set_xattr_at(file, name, memory, size_bytes,
                                                    operation.argument_extra);
                      case Opcode::list_xattr_at:
                        return system::list_xattr_at(file, memory, size_bytes);
                      default:
                        return system::remove_xattr_at(file, name);
                    }
                  });
}

// What a file is, beside its bytes.
int32_t perform_on_attributes(const Operation& operation) {
  switch (operation.opcode) {
    case Opcode::realpath:
      return at_place(operation, Last::follow, [&](int folder, const char* path, Last last) {
        return system::real_path(folder, path, last == Last::follow, operation.address,
                                 operation.length);
      });
    case Opcode::chmod:
      return at_place(operation, Last::follow, [&](int folder, const char* path, Last last) {
        return system::change_mode(folder, path, operation.argument, last == Last::follow);
      });
    case Opcode::chown:
      return at_place(operation, operation.offset == 0 ? Last::follow : Last::keep,
                      [&](int folder, const char* path, Last last) {
                        return system::change_owner(folder, path, operation.argument,
                                                    operation.argument_extra, last == Last::follow);
                      });
    case Opcode::utimes:
      return at_place(operation, operation.argument == 0 ? Last::follow : Last::keep,
                      [&](int folder, const char* path, Last last) {
                        return system::change_times(folder, path, operation.extra->times,
                                                    last == Last::follow);
                      });
    case Opcode::access:
      return at_place(operation, Last::follow, [&](int folder, const char* path, Last last) {
        return system::check_access(folder, path, operation.argument, last == Last::follow);
      });
    case Opcode::statfs:
      return at_place(operation, Last::follow, [&](int folder, const char* path, Last last) {
        return system::stat_file_system(folder, path, last == Last::follow,
                                        reinterpret_cast<double*>(operation.address));
      });
    case Opcode::get_xattr_at:
    case Opcode::set_xattr_at:
    case Opcode::list_xattr_at:
    case Opcode::remove_xattr_at:
      return perform_on_named_attribute(operation);
    default:
      return perform_on_names(operation);
  }
}

}  // namespace

int32_t perform_on_path(Operation& operation) {
  if (operation.opcode == Opcode::open) return open(operation);
  if (operation.opcode == Opcode::stat) return stat(operation);
  return perform_on_attributes(operation);
}

}  // namespace io
