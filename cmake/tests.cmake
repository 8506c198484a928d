# One test program a room: every *_test.cc beside its code.
find_package(GTest REQUIRED)
include(GoogleTest)

function(sinter_room_tests name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS src/${name}/*_test.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(${name}_test ${sources})
  target_link_libraries(${name}_test PRIVATE sinter_${name} GTest::gtest_main)
  target_precompile_headers(${name}_test REUSE_FROM prebuilt)
  target_compile_definitions(${name}_test PRIVATE SINTER_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name}_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endfunction()

foreach(room base tensor text grammar format artifact backend kv model engine compress gate bench)
  if(TARGET sinter_${room})
    sinter_room_tests(${room})
  endif()
endforeach()

# What crosses rooms: every tests/NAME_test.cc is a program of its own.
file(GLOB cross_tests CONFIGURE_DEPENDS tests/*_test.cc)
foreach(source ${cross_tests})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE sinter_gate sinter_compress GTest::gtest_main)
  target_precompile_headers(${name} REUSE_FROM prebuilt)
  target_compile_definitions(${name} PRIVATE SINTER_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
endforeach()

# What tests/interop/*.py drive: small programs over a room's API.
file(GLOB interop_programs CONFIGURE_DEPENDS tests/interop/*.cc)
foreach(source ${interop_programs})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE sinter_compress sinter_text)
  target_precompile_headers(${name} REUSE_FROM prebuilt)
endforeach()

# Measurements, built by name: ninja matmul_bench.
add_executable(matmul_bench EXCLUDE_FROM_ALL bench/matmul_bench.cc)
target_link_libraries(matmul_bench PRIVATE sinter_backend)
target_precompile_headers(matmul_bench REUSE_FROM prebuilt)
add_executable(sampler_bench EXCLUDE_FROM_ALL bench/sampler_bench.cc)
target_link_libraries(sampler_bench PRIVATE sinter_engine)
target_precompile_headers(sampler_bench REUSE_FROM prebuilt)
