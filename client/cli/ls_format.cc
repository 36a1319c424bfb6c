#include "client/cli/ls_format.h"

#include <wctype.h>

#include <algorithm>
#include <clocale>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/format.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

std::string ReplicationText(const FileStatus& status) {
  return status.is_directory ? "-" : std::to_string(status.replication);
}

// Unicode's Cf, and Co (private use): the C library calls these printable.
constexpr std::pair<uint32_t, uint32_t> kFormatAndPrivate[] = {
    {0xAD, 0xAD},       {0x600, 0x605},     {0x61C, 0x61C},     {0x6DD, 0x6DD},      {0x70F, 0x70F},
    {0x890, 0x891},     {0x8E2, 0x8E2},     {0x180E, 0x180E},   {0x200B, 0x200F},    {0x202A, 0x202E},
    {0x2060, 0x2064},   {0x2066, 0x206F},   {0xE000, 0xF8FF},   {0xFEFF, 0xFEFF},    {0xFFF9, 0xFFFB},
    {0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3},  {0x1D173, 0x1D17A},
    {0xE0001, 0xE0001}, {0xE0020, 0xE007F}, {0xF0000, 0xFFFFD}, {0x100000, 0x10FFFD}};

bool Printable(uint32_t c, locale_t locale) {
  if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return false;
  if (c < 0x7F) return true;
  if (c == 0x2028 || c == 0x2029) return true;  // line and paragraph separators are not in the hidden classes
  for (const auto& [low, high] : kFormatAndPrivate) {
    if (low <= c && c <= high) return false;
  }
  return locale == nullptr || iswprint_l(static_cast<wint_t>(c), locale) != 0;
}

// Length of the UTF-8 character at the front of `text` and its value; 0 when it is not valid.
size_t DecodeCharacter(std::string_view text, uint32_t& c) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80) {
    c = byte(0);
    return 1;
  }
  const size_t length = (byte(0) >> 5) == 0x6 ? 2 : (byte(0) >> 4) == 0xE ? 3 : (byte(0) >> 3) == 0x1E ? 4 : 0;
  if (length == 0 || length > text.size()) return 0;
  c = byte(0) & (0xFF >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    c = c << 6 | (byte(i) & 0x3F);
  }
  constexpr uint32_t kLowest[] = {0, 0, 0x80, 0x800, 0x10000};
  return c < kLowest[length] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) ? 0 : length;
}

}  // namespace

void LsColumns::Include(const FileStatus& status) {
  replication_width_ = std::max(replication_width_, ReplicationText(status).size());
  owner_width_ = std::max(owner_width_, status.owner.size());
  group_width_ = std::max(group_width_, status.group.size());
  size_width_ = std::max(size_width_, std::to_string(status.length).size());
}

std::string LsColumns::Line(const FileStatus& status, std::string_view shown) const {
  const std::string path = style_.hide_non_printable ? HideNonPrintable(shown) : std::string(shown);
  if (style_.path_only) return path;
  const uint64_t length = status.is_directory ? 0 : status.length;
  const std::string size = style_.human_sizes ? HumanSize(length) : std::to_string(length);
  std::string line = absl::StrCat(status.is_directory ? "d" : "-", SymbolicMode(status.permission), " ",
                                  PadLeft(ReplicationText(status), replication_width_), " ");
  if (owner_width_ > 0) absl::StrAppend(&line, PadRight(status.owner, owner_width_), " ");
  if (group_width_ > 0) absl::StrAppend(&line, PadRight(status.group, group_width_), " ");
  absl::StrAppend(&line, PadLeft(size, size_width_), " ",
                  LocalMinute(style_.access_times ? status.accessed_ms : status.modified_ms), " ", path);
  return line;
}

void SortEntries(const LsOrder& order, std::vector<FileStatus>& entries) {
  const auto time = [&](const FileStatus& status) {
    return order.access_times ? status.accessed_ms : status.modified_ms;
  };
  const auto before = [&](const FileStatus& a, const FileStatus& b) {
    if (order.by_time) return time(a) > time(b);
    if (order.by_size) return a.length > b.length;
    return a.name < b.name;
  };
  std::stable_sort(entries.begin(), entries.end(), [&](const FileStatus& a, const FileStatus& b) {
    return order.reverse ? before(b, a) : before(a, b);
  });
}

std::string HideNonPrintable(std::string_view text) {
  // Any UTF-8 locale knows the classes; without one only the fixed ranges are hidden.
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  std::string shown;
  while (!text.empty()) {
    uint32_t c = 0;
    const size_t length = DecodeCharacter(text, c);
    if (length == 0) {
      shown += '?';
      text.remove_prefix(1);
      continue;
    }
    if (Printable(c, locale)) {
      shown += text.substr(0, length);
    } else {
      shown += '?';
    }
    text.remove_prefix(length);
  }
  return shown;
}

}  // namespace dolmen::cli
