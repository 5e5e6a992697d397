# find_package(mase-sdk) gives mase_add_plugin(NAME SOURCES a.cc... [PROTOS a.proto...]): the plugin NAME.so. Libraries of
# its own: target_link_libraries(NAME PRIVATE own), static ones.
#
#   cmake_minimum_required(VERSION 3.16)
#   project(count_flops CXX)
#   find_package(mase-sdk 1 REQUIRED)
#   mase_add_plugin(count_flops SOURCES count_flops.cc)
#   add_test(NAME check COMMAND ${MASE_CH} plugins check $<TARGET_FILE:count_flops>)
get_filename_component(MASE_SDK "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(MASE_CH "${MASE_SDK}/bin/ch")

function(mase_add_plugin name)
  cmake_parse_arguments(PLUGIN "" "" "SOURCES;PROTOS" ${ARGN})
  set(generated "")
  set(protos "")
  foreach(proto ${PLUGIN_PROTOS})
    get_filename_component(stem "${proto}" NAME_WE)
    list(APPEND generated "${CMAKE_CURRENT_BINARY_DIR}/${stem}.pb.cc")
    list(APPEND protos "${CMAKE_CURRENT_SOURCE_DIR}/${proto}")
  endforeach()
  if(protos)
    add_custom_command(
      OUTPUT ${generated}
      COMMAND protoc "-I${MASE_SDK}/include" "-I${CMAKE_CURRENT_SOURCE_DIR}" "--cpp_out=${CMAKE_CURRENT_BINARY_DIR}"
        # Comments are the manual: `ch plugins describe`.
        --include_imports --include_source_info "--descriptor_set_out=${CMAKE_CURRENT_BINARY_DIR}/${name}.options" ${protos}
      DEPENDS ${protos})
  endif()
  add_library(${name} MODULE ${PLUGIN_SOURCES} ${generated})
  target_include_directories(${name} PRIVATE "${MASE_SDK}/include" "${CMAKE_CURRENT_BINARY_DIR}")
  # What the host was built with: it refuses plugins that differ.
  target_compile_definitions(${name} PRIVATE NDEBUG)
  target_compile_options(${name} PRIVATE -std=c++20 -O2)
  set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX ".so" CXX_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
endfunction()
