#include "client/cli/count_format.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/cli/format.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

// In HDFS's order.
constexpr std::string_view kTypesWithQuota[] = {"SSD", "DISK", "ARCHIVE", "PROVIDED", "NVDIMM"};
constexpr std::string_view kTypeWithoutQuota = "RAM_DISK";

struct Column {
  std::string text;
  size_t width = 0;
};

void Append(std::string& line, const std::vector<Column>& columns) {
  for (const Column& column : columns) absl::StrAppend(&line, PadLeft(column.text, column.width), " ");
}

void AppendQuotas(std::string& line, std::string_view quota, std::string_view rest, std::string_view space,
                  std::string_view space_rest) {
  Append(line,
         {{std::string(quota), 12}, {std::string(rest), 15}, {std::string(space), 15}, {std::string(space_rest), 15}});
}

void AppendSnapshots(std::string& line, std::string_view length, std::string_view files, std::string_view directories,
                     std::string_view space) {
  Append(
      line,
      {{std::string(length), 18}, {std::string(files), 24}, {std::string(directories), 24}, {std::string(space), 28}});
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseStorageTypes(std::string_view text) {
  std::vector<std::string> types;
  if (text.empty() || absl::AsciiStrToLower(ToAbsl(text)) == "all") {
    types.assign(std::begin(kTypesWithQuota), std::end(kTypesWithQuota));
    return types;
  }
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string type = absl::AsciiStrToUpper(ToAbsl(text.substr(0, comma)));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (type.empty()) continue;
    if (type != kTypeWithoutQuota &&
        std::find(std::begin(kTypesWithQuota), std::end(kTypesWithQuota), type) == std::end(kTypesWithQuota)) {
      return UsageError(absl::StrCat("No enum constant org.apache.hadoop.fs.StorageType.", type));
    }
    types.push_back(type);
  }
  return types;
}

std::string CountHeader(const CountStyle& style) {
  std::string line;
  if (!style.storage_types.empty()) {
    for (const std::string& type : style.storage_types) {
      Append(line, {{absl::StrCat(type, "_QUOTA"), 13}, {absl::StrCat("REM_", type, "_QUOTA"), 17}});
    }
  } else if (style.quotas || style.quotas_only) {
    AppendQuotas(line, "QUOTA", "REM_QUOTA", "SPACE_QUOTA", "REM_SPACE_QUOTA");
  }
  if (style.counts()) Append(line, {{"DIR_COUNT", 12}, {"FILE_COUNT", 12}, {"CONTENT_SIZE", 18}});
  if (style.erasure_coding) line += "ERASURECODING_POLICY ";
  if (style.snapshots) {
    AppendSnapshots(line, "SNAPSHOT_LENGTH", "SNAPSHOT_FILE_COUNT", "SNAPSHOT_DIR_COUNT", "SNAPSHOT_SPACE_CONSUMED");
  }
  return line + "PATHNAME";
}

std::string CountLine(const CountStyle& style, const ContentSummary& summary, std::string_view shown) {
  const auto number = [&style](uint64_t value) { return style.human_sizes ? HumanSize(value) : std::to_string(value); };
  std::string line;
  if (!style.storage_types.empty()) {
    for (size_t i = 0; i < style.storage_types.size(); ++i) Append(line, {{"none", 13}, {"inf", 17}});
  } else if (style.quotas || style.quotas_only) {
    AppendQuotas(line, "none", "inf", "none", "inf");
  }
  if (style.counts()) {
    Append(line,
           {{number(summary.directory_count), 12}, {number(summary.file_count), 12}, {number(summary.length), 18}});
  }
  if (style.erasure_coding) line += "Replicated ";
  if (style.snapshots) AppendSnapshots(line, "0", "0", "0", "0");
  line += shown;
  return line;
}

}  // namespace dolmen::cli
