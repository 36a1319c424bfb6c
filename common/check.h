// CHECK for broken invariants: prints and aborts, in release builds too.
#pragma once

#include <string_view>

namespace dolmen::internal {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition, std::string_view message = {});
}  // namespace dolmen::internal

#define DOLMEN_CHECK(condition, ...)                                                              \
  do {                                                                                            \
    if (!(condition)) [[unlikely]]                                                                \
      ::dolmen::internal::CheckFailed(__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)
