# Which kqueue the engine is built with. Sets IO_HAVE_KQUEUE, and the target io_kqueue brings what
# that kqueue needs. Used by the engine and by its native tests.
#
# macOS and the BSDs have their own. On Linux there is none, and an engine that is shipped has no
# such backend; for tests it can be built over one that is made of Linux's own interfaces, without a
# change to a source file:
#   IO_KQUEUE_LAYER=ON                        the one in test/kqueue
#   IO_KQUEUE_INCLUDE and IO_KQUEUE_LIBRARY   any other: the folder of its sys/event.h, the library
option(IO_KQUEUE_LAYER "Build the kqueue backend on Linux too, over test/kqueue" OFF)
set(IO_KQUEUE_INCLUDE "" CACHE PATH "The folder in which sys/event.h of another kqueue is")
set(IO_KQUEUE_LIBRARY "" CACHE FILEPATH "The library that belongs to IO_KQUEUE_INCLUDE")

add_library(io_kqueue INTERFACE)
set(IO_HAVE_KQUEUE 1)
if(IO_KQUEUE_INCLUDE)
  if(NOT EXISTS "${IO_KQUEUE_INCLUDE}/sys/event.h" OR NOT EXISTS "${IO_KQUEUE_LIBRARY}")
    message(FATAL_ERROR
      "There is no ${IO_KQUEUE_INCLUDE}/sys/event.h, or IO_KQUEUE_LIBRARY ('${IO_KQUEUE_LIBRARY}') "
      "does not name the library that belongs to it.")
  endif()
  target_include_directories(io_kqueue SYSTEM INTERFACE "${IO_KQUEUE_INCLUDE}")
  target_link_libraries(io_kqueue INTERFACE "${IO_KQUEUE_LIBRARY}")
elseif(IO_KQUEUE_LAYER)
  add_subdirectory("${CMAKE_CURRENT_LIST_DIR}/../test/kqueue" kqueue-layer EXCLUDE_FROM_ALL)
  target_link_libraries(io_kqueue INTERFACE kqueue_layer)
elseif(NOT APPLE AND NOT CMAKE_SYSTEM_NAME MATCHES "BSD$|^DragonFly$")
  set(IO_HAVE_KQUEUE 0)
endif()
