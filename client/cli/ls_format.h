// The lines of -ls: column widths that grow as entries are seen, and never shrink.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "client/dolmen/client.h"

namespace dolmen::cli {

struct LsStyle {
  bool human_sizes = false;         // -h
  bool access_times = false;        // -u
  bool hide_non_printable = false;  // -q
  bool path_only = false;           // -C
};

// Not thread-safe.
class LsColumns {
 public:
  explicit LsColumns(LsStyle style) : style_(style) {}

  // Widens the columns for an entry that is about to be printed.
  void Include(const FileStatus& status);
  // One line, without the newline.
  std::string Line(const FileStatus& status, std::string_view shown) const;

 private:
  const LsStyle style_;
  // Widths use the plain byte count even with -h. The minima are HDFS's.
  size_t replication_width_ = 3;
  size_t owner_width_ = 0;
  size_t group_width_ = 0;
  size_t size_width_ = 10;
};

// What -t, -S and -r ask for; names are the default order.
struct LsOrder {
  bool by_time = false;  // newest first
  bool by_size = false;  // largest first; ignored with by_time
  bool reverse = false;
  bool access_times = false;
};
// Sorts entries that are in name order; equal keys keep it.
void SortEntries(const LsOrder& order, std::vector<FileStatus>& entries);

// Replaces control, format, private-use and unassigned characters, and bytes that are not UTF-8, by '?'.
std::string HideNonPrintable(std::string_view text);

}  // namespace dolmen::cli
