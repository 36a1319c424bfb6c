#include <cctype>
#include <charconv>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/dolmen/client.h"
#include "common/error.h"

namespace dolmen {
namespace {

constexpr std::string_view kScheme = "dolmen://";

// Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsValidUtf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    size_t more = 0;
    uint32_t least = 0;
    uint32_t point = 0;
    if (lead < 0x80) {
      ++i;
      continue;
    }
    if (lead >= 0xC2 && lead <= 0xDF) {
      more = 1, least = 0x80, point = lead & 0x1F;
    } else if ((lead & 0xF0) == 0xE0) {
      more = 2, least = 0x800, point = lead & 0x0F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      more = 3, least = 0x10000, point = lead & 0x07;
    } else {
      return false;
    }
    if (text.size() - i <= more) return false;
    for (size_t k = 1; k <= more; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if ((byte & 0xC0) != 0x80) return false;
      point = point << 6 | (byte & 0x3F);
    }
    if (point < least || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
    i += more + 1;
  }
  return true;
}

// Bytes that can't be shown as they are become \xNN, so that the error stays one readable line.
std::string Printable(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F) {
      out += c;
    } else {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

absl::Status CheckBytes(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) {
    return MakeError(ErrorReason::kInvalidPath, absl::StrCat("Pathname ", Printable(path), " contains a NUL byte."));
  }
  if (!IsValidUtf8(path)) {
    return MakeError(ErrorReason::kInvalidPath, absl::StrCat("Pathname ", Printable(path), " is not valid UTF-8."));
  }
  return absl::OkStatus();
}

absl::Status BadUri(std::string_view uri, std::string_view what) {
  return MakeError(ErrorReason::kIllegalArgument, absl::StrCat("Bad URI ", Printable(uri), ": ", ToAbsl(what),
                                                               "; expected dolmen://host[:port][/path]"));
}

}  // namespace

absl::StatusOr<std::string> NormalizePath(std::string_view path, std::string_view home) {
  if (path.empty()) return MakeError(ErrorReason::kInvalidPath, "Can not create a Path from an empty string");
  DOLMEN_RETURN_IF_ERROR(CheckBytes(path));
  std::string absolute(path);
  if (path.front() != '/') {
    if (home.empty() || home.front() != '/') {
      return MakeError(ErrorReason::kInvalidPath,
                       absl::StrCat("Relative path ", ToAbsl(path), " needs an absolute home directory, not '",
                                    Printable(home), "'."));
    }
    DOLMEN_RETURN_IF_ERROR(CheckBytes(home));
    absolute = absl::StrCat(ToAbsl(home), "/", ToAbsl(path));
  }
  std::vector<std::string_view> components;
  std::string_view rest = absolute;
  while (!rest.empty()) {
    const size_t slash = rest.find('/');
    const std::string_view component = rest.substr(0, slash);
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    if (component.empty() || component == ".") continue;
    const bool above_root = component == ".." && components.empty();
    if (above_root || component.find(':') != std::string_view::npos) {
      return MakeError(ErrorReason::kInvalidPath,
                       absl::StrCat("Pathname ", absolute, " from ", ToAbsl(path), " is not a valid DFS filename."));
    }
    if (component == "..") {
      components.pop_back();
    } else {
      components.push_back(component);
    }
  }
  std::string out;
  for (const std::string_view component : components) {
    out += '/';
    out += component;
  }
  return out.empty() ? "/" : out;
}

absl::StatusOr<DolmenUri> ParseDolmenUri(std::string_view uri) {
  DolmenUri parsed;
  std::string_view rest = uri;
  for (const char expected : kScheme) {
    if (rest.empty() || std::tolower(static_cast<unsigned char>(rest.front())) != expected) {
      return BadUri(uri, "it does not begin with dolmen://");
    }
    rest.remove_prefix(1);
  }
  const size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) parsed.path = rest.substr(slash);

  std::string_view port;
  bool has_port = false;
  if (!authority.empty() && authority.front() == '[') {  // an IPv6 address
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return BadUri(uri, "'[' without ']'");
    parsed.host = authority.substr(0, end + 1);
    authority.remove_prefix(end + 1);
    if (!authority.empty()) {
      if (authority.front() != ':') return BadUri(uri, "only ':port' may follow ']'");
      has_port = true;
      port = authority.substr(1);
    }
    if (parsed.host.size() == 2) return BadUri(uri, "the host is empty");
  } else {
    const size_t colon = authority.find(':');
    parsed.host = authority.substr(0, colon);
    if (colon != std::string_view::npos) {
      has_port = true;
      port = authority.substr(colon + 1);
    }
    if (parsed.host.empty()) return BadUri(uri, "the host is empty");
  }
  for (const char c : parsed.host) {
    const auto byte = static_cast<unsigned char>(c);
    if (!std::isalnum(byte) && c != '.' && c != '-' && c != '_' && c != ':' && c != '[' && c != ']' && c != '%') {
      return BadUri(uri, "the host has a character that no host name has");
    }
  }
  if (has_port) {
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc() || end != port.data() + port.size() || number == 0 || number > 65535) {
      return BadUri(uri, "the port is not a number from 1 to 65535");
    }
    parsed.port = static_cast<uint16_t>(number);
  }
  return parsed;
}

}  // namespace dolmen
