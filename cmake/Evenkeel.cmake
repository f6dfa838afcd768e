# What every target of ours has in common: include root, warnings, sanitizers, banned functions.
set(EK_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
    -Wcast-qual -Wwrite-strings -Wundef -Wvla -Wformat=2)

option(EVENKEEL_FUZZ "build libFuzzer targets (clang)" OFF)
if(EVENKEEL_FUZZ AND NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "EVENKEEL_FUZZ needs clang: CC=clang CXX=clang++ cmake …")
endif()

function(ek_target name)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE _FILE_OFFSET_BITS=64)
  # Asserts guard against programming errors in release builds too.
  target_compile_options(${name} PRIVATE -UNDEBUG
    $<$<COMPILE_LANGUAGE:C>:${EK_WARNINGS};-include;${PROJECT_SOURCE_DIR}/rebalance/base/banned.h>
    $<$<AND:$<COMPILE_LANGUAGE:C>,$<BOOL:${EVENKEEL_WERROR}>>:-Werror>)
  if(EVENKEEL_SANITIZE)
    target_compile_options(${name} PRIVATE -fsanitize=${EVENKEEL_SANITIZE} -fno-omit-frame-pointer
                           -fno-sanitize-recover=all)
    target_link_options(${name} PUBLIC -fsanitize=${EVENKEEL_SANITIZE})
  endif()
  if(EVENKEEL_FUZZ)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)
    target_link_options(${name} PUBLIC -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# ek_uses(NAME VERSION): a library in use, for the summary and `evenkeel version`.
function(ek_uses name version)
  set_property(GLOBAL APPEND PROPERTY EK_LIBRARIES "${name} ${version}")
endfunction()

# ek_soname(avif_soname avif ${AVIF_LIBRARY_DIRS}): the name by which the dynamic linker finds a library that is loaded
# when it is needed (rebalance/base/library.h).
function(ek_soname variable name)
  find_library(EK_FILE_${name} ${name} HINTS ${ARGN} REQUIRED)
  file(REAL_PATH ${EK_FILE_${name}} file)
  string(REGEX MATCH "lib${name}\\.so\\.[0-9]+" soname ${file})
  set(${variable} ${soname} PARENT_SCOPE)
endfunction()

# ek_library(ek_base SOURCES a.c b.c LINKS ek_x Foo::Foo): one folder, one static library.
function(ek_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  ek_target(${name})
  target_link_libraries(${name} PUBLIC ${arg_LINKS})
endfunction()

# ek_brief(ek_cli): code that is not waited for when it runs, but is when it is built: a third less of that.
function(ek_brief name)
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# ek_test(base_random SOURCES test_random.c LINKS ek_base [LABELS slow] [ARGS 10]): one cmocka program, run from the
# source root.
function(ek_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS;LABELS;ARGS" ${ARGN})
  add_executable(test_${name} ${arg_SOURCES})
  ek_target(test_${name})
  target_link_libraries(test_${name} PRIVATE ek_support ${arg_LINKS})
  add_test(NAME ${name} COMMAND test_${name} ${arg_ARGS} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  if(arg_LABELS)
    set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}")
  endif()
endfunction()

# ek_serial(reference.c …): what computes on one thread and touches nothing of another's, as the twins of operators and
# random numbers do. The thread sanitizer could find nothing there, and makes it thirty times as slow.
function(ek_serial)
  if(EVENKEEL_SANITIZE MATCHES "thread")
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS -fno-sanitize=thread)
  endif()
endfunction()

# ek_on_gpu(nn_cuda …): tests that `./check --device cuda` runs; they leave with 77 where no GPU can be used.
function(ek_on_gpu)
  set_tests_properties(${ARGN} PROPERTIES LABELS gpu SKIP_RETURN_CODE 77)
endfunction()

# ek_test_cuda(flow_sit [PATTERN]): a program of ek_test on a GPU, too, or those of its tests that match.
function(ek_test_cuda name)
  add_test(NAME ${name}_cuda COMMAND test_${name} cuda ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  ek_on_gpu(${name}_cuda)
endfunction()

# ek_fuzz(npy SOURCES fuzz_npy.c LINKS ek_io): LLVMFuzzerTestOneInput; in the ordinary build a small driver
# replays tests/fuzz/corpus/NAME as a test; with -DEVENKEEL_FUZZ=ON (clang) libFuzzer drives it.
function(ek_fuzz name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  if(EVENKEEL_FUZZ)
    add_executable(fuzz_${name} ${arg_SOURCES})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(fuzz_${name} ${arg_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
    add_test(NAME fuzz_${name} COMMAND fuzz_${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  endif()
  ek_target(fuzz_${name})
  target_link_libraries(fuzz_${name} PRIVATE ${arg_LINKS})
endfunction()

# ek_bench(matmul SOURCES bench_matmul.c LINKS ek_nn): one program that measures; built with -DEVENKEEL_BENCH=ON.
function(ek_bench name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(bench_${name} ${arg_SOURCES})
  ek_target(bench_${name})
  target_link_libraries(bench_${name} PRIVATE ${arg_LINKS})
endfunction()
