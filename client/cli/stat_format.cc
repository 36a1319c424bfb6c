#include "client/cli/stat_format.h"

#include "client/cli/format.h"

namespace dolmen::cli {
namespace {

std::string Field(char letter, const FileStatus& status, std::string_view name) {
  switch (letter) {
    case 'a':
      return OctalMode(status.permission);
    case 'A':
      return SymbolicMode(status.permission);
    case 'b':
      return std::to_string(status.is_directory ? 0 : status.length);
    case 'F':
      return status.is_directory ? "directory" : "regular file";
    case 'g':
      return status.group;
    case 'n':
      return std::string(name);
    case 'o':
      return std::to_string(status.is_directory ? 0 : status.block_bytes);
    case 'r':
      return std::to_string(status.is_directory ? 0 : status.replication);
    case 'u':
      return status.owner;
    case 'x':
      return UtcSecond(status.accessed_ms);
    case 'X':
      return std::to_string(status.accessed_ms);
    case 'y':
      return UtcSecond(status.modified_ms);
    case 'Y':
      return std::to_string(status.modified_ms);
    default:
      return std::string(1, letter);
  }
}

}  // namespace

std::string FormatStat(std::string_view format, const FileStatus& status, std::string_view name) {
  std::string text;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      text += format[i];
    } else if (++i < format.size()) {
      text += Field(format[i], status, name);
    }
  }
  return text;
}

}  // namespace dolmen::cli
