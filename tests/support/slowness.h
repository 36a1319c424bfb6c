// How much longer than a release build a test may take.
#pragma once

namespace dolmen::testing {

// For limits on elapsed time; the limits of ctest grow by the same factor (cmake/DolmenTargets.cmake).
#ifdef DOLMEN_SANITIZED
inline constexpr int kSlowness = 4;
#else
inline constexpr int kSlowness = 1;
#endif

}  // namespace dolmen::testing
