# dolmen_library, dolmen_binary and dolmen_test: one library per folder, sources listed by hand, flags on targets only.

set(DOLMEN_SANITIZE "" CACHE STRING "Comma list given to -fsanitize=; set by the asan and tsan presets")
# Sanitizer builds: some optimisation, or 2,000 simulated clusters take an hour.
set(CMAKE_CXX_FLAGS_SANITIZE "-O1 -g1" CACHE STRING "" FORCE)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1" CACHE STRING "" FORCE)

add_library(dolmen_flags INTERFACE)
target_include_directories(dolmen_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(dolmen_flags INTERFACE -Wall -Wextra -Werror -Wnon-virtual-dtor -Wno-missing-field-initializers
  -fno-omit-frame-pointer)
# Unused parts of the static archives are left out.
target_compile_options(dolmen_flags INTERFACE -ffunction-sections -fdata-sections)
target_link_options(dolmen_flags INTERFACE -fuse-ld=mold -Wl,--gc-sections)
if(DOLMEN_SANITIZE)
  # g++ 12 cries wolf about uninitialised and null values in code it has instrumented itself; the release build, which
  # compiles the same sources, keeps these warnings.
  target_compile_options(dolmen_flags INTERFACE -fsanitize=${DOLMEN_SANITIZE} -fno-sanitize-recover=all
    -Wno-maybe-uninitialized -Wno-nonnull)
  target_link_options(dolmen_flags INTERFACE -fsanitize=${DOLMEN_SANITIZE})
  target_compile_definitions(dolmen_flags INTERFACE DOLMEN_SANITIZED=1)
endif()

# dolmen_library(<name> SRCS a.cc ... DEPS lib ...)
# A static library, plus a link test: an executable of the whole library and nothing but its DEPS, so that a dependency
# that points the wrong way (or is not declared) breaks the build.
function(dolmen_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SRCS})
  target_link_libraries(${name} PUBLIC dolmen_flags ${ARG_DEPS})
  set(stub ${PROJECT_BINARY_DIR}/link_test_main.cc)
  if(NOT EXISTS ${stub})
    file(WRITE ${stub} "int main() { return 0; }\n")
  endif()
  add_executable(${name}_link_test ${stub})
  set_target_properties(${name}_link_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/link_tests)
  target_link_libraries(${name}_link_test PRIVATE dolmen_flags
    -Wl,--whole-archive $<TARGET_FILE:${name}> -Wl,--no-whole-archive ${ARG_DEPS})
  target_link_options(${name}_link_test PRIVATE -Wl,--no-gc-sections)
  add_dependencies(${name}_link_test ${name})
endfunction()

# dolmen_binary(<name> SRCS main.cc ... DEPS lib ...): built into bin/.
function(dolmen_binary name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE dolmen_flags ${ARG_DEPS})
endfunction()

# dolmen_test(<path below tests/, without .cc> LABEL unit|sim|cluster|crash [TIMEOUT seconds] [SRCS more.cc ...]
#             [ARGS ...] [ALONE] [LONG] DEPS lib ...)
# A GoogleTest program. ALONE: never beside another test (it needs the machine). LONG: not part of the gate.
# Sanitizer builds get 4x the time. One program can be registered again with other ARGS: dolmen_run(...) below.
function(dolmen_test path)
  cmake_parse_arguments(ARG "ALONE;LONG" "LABEL;TIMEOUT" "SRCS;ARGS;DEPS" ${ARGN})
  string(REPLACE "/" "." name ${path})
  add_executable(${name} ${PROJECT_SOURCE_DIR}/tests/${path}.cc ${ARG_SRCS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE dolmen_flags ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  # What is tested is compiled as it is shipped; the tests themselves compile in two thirds of the time this way.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  target_include_directories(${name} PRIVATE ${PROJECT_BINARY_DIR}/generated_tests)  # build_paths.h
  add_test(NAME ${name} COMMAND ${name} ${ARG_ARGS})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  if(DOLMEN_SANITIZE)
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 4")
  endif()
  # A test that skips itself has not passed.
  set(labels ${ARG_LABEL})
  if(ARG_LONG)
    list(APPEND labels long)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT ${ARG_TIMEOUT}
    FAIL_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
  if(DOLMEN_SANITIZE STREQUAL thread)
    set_tests_properties(${name} PROPERTIES ENVIRONMENT "TSAN_OPTIONS=ignore_noninstrumented_modules=1 suppressions=${PROJECT_SOURCE_DIR}/tests/support/tsan.supp")
  endif()
  if(NOT TARGET tests_${ARG_LABEL})
    add_custom_target(tests_${ARG_LABEL})
  endif()
  add_dependencies(tests_${ARG_LABEL} ${name})
  if(ARG_ALONE)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
  set_property(GLOBAL APPEND PROPERTY DOLMEN_TEST_SOURCES ${PROJECT_SOURCE_DIR}/tests/${path}.cc)
endfunction()

# dolmen_run(<name> PROGRAM <test target> LABEL l TIMEOUT s [LONG] ARGS ...): a test program once more, with other arguments.
function(dolmen_run name)
  cmake_parse_arguments(ARG "LONG" "PROGRAM;LABEL;TIMEOUT" "ARGS" ${ARGN})
  add_test(NAME ${name} COMMAND ${ARG_PROGRAM} ${ARG_ARGS})
  set(labels ${ARG_LABEL})
  if(ARG_LONG)
    list(APPEND labels long)
  endif()
  if(DOLMEN_SANITIZE)
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 4")
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT ${ARG_TIMEOUT}
    FAIL_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
endfunction()

# Configuring fails when a *_test.cc exists that no dolmen_test names: a forgotten test is worse than none.
function(dolmen_check_all_tests_registered)
  get_property(registered GLOBAL PROPERTY DOLMEN_TEST_SOURCES)
  file(GLOB_RECURSE present CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/*_test.cc)
  foreach(file ${present})
    if(NOT file IN_LIST registered)
      message(FATAL_ERROR "${file} is not registered: add a dolmen_test for it in a CMakeLists.txt")
    endif()
  endforeach()
endfunction()
