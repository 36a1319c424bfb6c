#include "client/cli/usage_table.h"

#include <algorithm>
#include <utility>

#include "client/cli/format.h"

namespace dolmen::cli {

UsageTable::UsageTable(std::vector<Align> columns, std::vector<std::string> header)
    : columns_(std::move(columns)), widths_(columns_.size()) {
  if (!header.empty()) Append(std::move(header));
}

void UsageTable::AddRow(std::vector<std::string> cells) {
  Append(std::move(cells));
  ++rows_;
}

void UsageTable::Append(std::vector<std::string> cells) {
  for (size_t i = 0; i < columns_.size(); ++i) widths_[i] = std::max(widths_[i], cells[i].size());
  lines_.push_back(std::move(cells));
}

std::string UsageTable::Text() const {
  std::string text;
  if (rows_ == 0) return text;
  for (const std::vector<std::string>& cells : lines_) {
    for (size_t i = 0; i < columns_.size(); ++i) {
      const bool last = i + 1 == columns_.size();
      if (columns_[i] == Align::kRight) {
        text += PadLeft(cells[i], widths_[i]);
      } else {
        text += last ? cells[i] : PadRight(cells[i], widths_[i]);
      }
      text += last ? "\n" : "  ";
    }
  }
  return text;
}

}  // namespace dolmen::cli
