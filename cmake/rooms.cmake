# The rooms of the house, lowest first, and what each may use (HACKING.md has the map).
sinter_room(base PUBLIC Threads::Threads OpenSSL::Crypto)
set_source_files_properties(src/base/build.cc PROPERTIES COMPILE_DEFINITIONS
                            SINTER_COMMIT="${SINTER_COMMIT}")
sinter_room(tensor PUBLIC sinter_base)
sinter_room(text PUBLIC sinter_base PkgConfig::PCRE2 PkgConfig::UTF8PROC)
sinter_room(format PUBLIC sinter_tensor)
sinter_room(grammar PUBLIC sinter_text)
sinter_room(artifact PUBLIC sinter_format PkgConfig::PCRE2)
sinter_room(backend PUBLIC sinter_format)
# Instruction sets: flags per directory, and nothing else in the program gets any. Under a sanitizer
# their unrolled code takes minutes to compile with checks in line, so the checks are calls.
if(SINTER_SANITIZE MATCHES "address")
  set(kernel_options "-O1;--param=asan-instrumentation-with-call-threshold=0;-fno-sanitize=undefined;")
else()
  set(kernel_options "-O2;")
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_definitions(sinter_backend PUBLIC SINTER_X86)
  set_source_files_properties(src/backend/cpu/avx2/kernels.cc src/backend/cpu/avx2/products.cc
                              PROPERTIES
                              COMPILE_OPTIONS "${kernel_options}-mavx2;-mfma;-mf16c" SKIP_PRECOMPILE_HEADERS ON)
  # g++ 12's own AVX-512 headers trip -Wuninitialized.
  set(avx512_options "${kernel_options}-mavx512f;-mavx512bw;-mavx512vl;-mavx512dq;-mfma;-mf16c;-Wno-uninitialized;-Wno-maybe-uninitialized")
  set_source_files_properties(src/backend/cpu/avx512/kernels.cc src/backend/cpu/avx512/products.cc
                              PROPERTIES SKIP_PRECOMPILE_HEADERS ON
                              COMPILE_OPTIONS "${avx512_options}")
  set_source_files_properties(
    src/backend/cpu/avx512vnni/kernels.cc PROPERTIES SKIP_PRECOMPILE_HEADERS ON
    COMPILE_OPTIONS "-mavx512vnni;${avx512_options}")
  set_source_files_properties(
    src/backend/cpu/amx/kernels.cc PROPERTIES SKIP_PRECOMPILE_HEADERS ON
    COMPILE_OPTIONS "-mamx-tile;-mamx-int8;-mavx512vnni;${avx512_options}")
  set_source_files_properties(
    src/backend/cpu/amx/products.cc PROPERTIES SKIP_PRECOMPILE_HEADERS ON
    COMPILE_OPTIONS "-mamx-tile;-mamx-bf16;-mavx512bf16;${avx512_options}")
  # -O3 unrolls the plain path's loops over 16 lanes within unrolled loops: minutes of compiling.
  set_source_files_properties(src/backend/cpu/ref/kernels.cc src/backend/cpu/ref/products.cc
                              PROPERTIES SKIP_PRECOMPILE_HEADERS ON
                              COMPILE_OPTIONS "${kernel_options}")
  set_source_files_properties(src/backend/cpu/avx2/peaks.cc PROPERTIES
                              COMPILE_OPTIONS "-mavx2;-mfma" SKIP_PRECOMPILE_HEADERS ON)
  set_source_files_properties(
    src/backend/cpu/avx512/peaks.cc PROPERTIES SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS
    "-mavx512f;-mavx512bw;-mavx512vl;-mavx512dq;-mfma;-Wno-uninitialized;-Wno-maybe-uninitialized")
  set_source_files_properties(src/backend/cpu/ref/peaks.cc PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
endif()
sinter_room(kv PUBLIC sinter_backend)
sinter_room(model PUBLIC sinter_kv sinter_artifact)
sinter_room(engine PUBLIC sinter_model sinter_text)
sinter_room(compress PUBLIC sinter_model sinter_text yaml-cpp PkgConfig::PCRE2)
sinter_room(gate PUBLIC sinter_engine sinter_artifact yaml-cpp PkgConfig::PUGIXML
            PkgConfig::PCRE2)
sinter_room(bench PUBLIC sinter_gate)

find_package(CLI11 REQUIRED)
file(GLOB app_sources CONFIGURE_DEPENDS src/app/*.cc)
add_executable(sinter ${app_sources})
target_link_libraries(sinter PRIVATE sinter_bench sinter_gate sinter_compress CLI11::CLI11)
target_precompile_headers(sinter REUSE_FROM prebuilt)
install(TARGETS sinter RUNTIME DESTINATION bin)
