// The tables of -df and -du: columns as wide as their widest cell, two spaces between them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace dolmen::cli {

// Grows row by row; nothing is known of the widths before the last one.
class UsageTable {
 public:
  enum class Align { kLeft, kRight };

  // One alignment per column. `header`: the first line, or nothing.
  explicit UsageTable(std::vector<Align> columns, std::vector<std::string> header = {});

  // One cell per column.
  void AddRow(std::vector<std::string> cells);
  // All lines, ended by newlines; a last column that is aligned left has no spaces after it. Empty without rows, even
  // when there is a header.
  std::string Text() const;

 private:
  void Append(std::vector<std::string> cells);

  const std::vector<Align> columns_;
  std::vector<std::vector<std::string>> lines_;  // the header among them
  std::vector<size_t> widths_;
  size_t rows_ = 0;
};

}  // namespace dolmen::cli
