# The engine as it is compiled for macOS and the BSDs, over the layer: build/kqueue/Release/macos/
# io.node and so on. What asks which system it is on is compiled once for each; the rest is io's.
set(IO_DIFFERING system/[a-z_]+ backend/choice backend/reactor/attempt backend/reactor/kqueue)
string(REPLACE ";" "|" IO_DIFFERING "${IO_DIFFERING}")
set(IO_DIFFERING "/native/(${IO_DIFFERING})")
set(IO_DIFFERING_SOURCES ${IO_SOURCES})
list(FILTER IO_DIFFERING_SOURCES INCLUDE REGEX "${IO_DIFFERING}[.]cc$")

add_custom_target(io_on_all_systems DEPENDS io)
foreach(system macos freebsd netbsd openbsd)
  add_library(io_${system} SHARED
    ${IO_DIFFERING_SOURCES} ${CMAKE_JS_SRC}
    "$<FILTER:$<TARGET_OBJECTS:io>,EXCLUDE,${IO_DIFFERING}[.]cc[.]o$>")
  add_dependencies(io_${system} io)
  add_dependencies(io_on_all_systems io_${system})
  set_up_addon(io_${system})
  set_target_properties(io_${system} PROPERTIES
    OUTPUT_NAME io LIBRARY_OUTPUT_DIRECTORY "${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/${system}")
  string(TOUPPER "${system}" upper)
  set(names "${CMAKE_CURRENT_LIST_DIR}/../../scripts/cross/bsd_names.h")
  if(system STREQUAL "macos")
    set(names "${CMAKE_CURRENT_LIST_DIR}/as_macos.h")
  elseif(system STREQUAL "freebsd")
    target_compile_definitions(io_${system} PRIVATE sendfile=kqueue_layer_sendfile_freebsd)
  endif()
  target_compile_definitions(io_${system} PRIVATE IO_AS_${upper})
  target_compile_options(io_${system} PRIVATE -include "${names}")
endforeach()
