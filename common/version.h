// The version of everything here. main.cc of the command line checks that it is the build's.
#pragma once

namespace dolmen {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace dolmen
