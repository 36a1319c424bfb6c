// Numbers on a test program's command line, beside GoogleTest's own flags.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "common/error.h"

namespace dolmen::testing {

struct NumberArgument {
  std::string_view name;  // "cycles" for --cycles=N
  uint64_t* value;        // holds the default
};

// The body of main: reads the arguments and runs all tests. 2 for an argument it does not know.
inline int RunAllTestsWith(int argc, char** argv, std::initializer_list<NumberArgument> known) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string_view text = argv[i];
    bool understood = false;
    for (const NumberArgument& argument : known) {
      const std::string prefix = absl::StrCat("--", ToAbsl(argument.name), "=");
      if (text.starts_with(prefix)) understood = absl::SimpleAtoi(ToAbsl(text.substr(prefix.size())), argument.value);
    }
    if (understood) continue;
    std::fprintf(stderr, "%s: argument '%s' is not understood; known are", argv[0], argv[i]);
    for (const NumberArgument& argument : known) {
      std::fprintf(stderr, " --%s=N (default %llu)", std::string(argument.name).c_str(),
                   static_cast<unsigned long long>(*argument.value));
    }
    std::fprintf(stderr, "\n");
    return 2;
  }
  return RUN_ALL_TESTS();
}

}  // namespace dolmen::testing
