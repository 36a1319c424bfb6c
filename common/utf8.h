// What may be a name: well-formed UTF-8. Client and namenode ask the same function.
#pragma once

#include <string>
#include <string_view>

namespace dolmen {

// True for well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. NUL is a character like others.
bool ValidUtf8(std::string_view text);

// `text` for an error message: as it is when well-formed and free of control characters, otherwise with such bytes as
// \xNN, so that a message is always printable and can travel as a string.
std::string Printable(std::string_view text);

}  // namespace dolmen
