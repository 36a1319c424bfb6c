#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/ls_format.h"
#include "client/cli/option_grammar.h"
#include "client/cli/remote_item.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

// Entries of a recursive listing that share their column widths, as in HDFS: lines appear while the walk goes on.
constexpr size_t kGroupEntries = 100;

class Lister {
 public:
  Lister(CommandContext& context, LsStyle style, LsOrder order, bool recursive)
      : context_(context), columns_(style), style_(style), order_(order), recursive_(recursive) {}

  void PrintOne(const RemoteItem& item) {
    columns_.Include(*item.status);
    Print(item);
  }

  void PrintContents(const RemoteItem& directory) {
    absl::StatusOr<std::vector<FileStatus>> listed = ListDirectory(directory);
    if (!listed.ok()) {
      context_.errors.Report(listed.status());
      return;
    }
    std::vector<FileStatus>& entries = *listed;
    if (recursive_) {
      PrintTree(directory, entries);
      return;
    }
    if (entries.empty()) return;
    if (!style_.path_only) context_.out << "Found " << entries.size() << " items\n";
    SortEntries(order_, entries);
    for (const FileStatus& entry : entries) columns_.Include(entry);
    for (const FileStatus& entry : entries) Print(ChildOf(directory, entry));
  }

 private:
  void PrintTree(const RemoteItem& directory, const std::vector<FileStatus>& entries) {
    // With an order asked for, HDFS looks at the whole directory first; the order itself stays that of names.
    const bool grouped = !order_.by_time && !order_.by_size && !order_.reverse;
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i == 0 || (grouped && i % kGroupEntries == 0)) {
        const size_t end = grouped ? std::min(entries.size(), i + kGroupEntries) : entries.size();
        for (size_t j = i; j < end; ++j) columns_.Include(entries[j]);
      }
      const RemoteItem child = ChildOf(directory, entries[i]);
      Print(child);
      if (entries[i].is_directory) PrintContents(child);
    }
  }

  void Print(const RemoteItem& item) { context_.out << columns_.Line(*item.status, item.shown) << '\n'; }

  CommandContext& context_;
  LsColumns columns_;
  const LsStyle style_;
  const LsOrder order_;
  const bool recursive_;
};

}  // namespace

absl::Status RunLs(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(const ParsedOptions options,
                          ParseOptions({.flags = {"C", "d", "h", "q", "R", "t", "S", "r", "u", "e"}}, context.args));
  if (context.args.empty()) context.args.push_back(".");
  const LsStyle style{.human_sizes = options.Has("h"),
                      .access_times = options.Has("u"),
                      .hide_non_printable = options.Has("q"),
                      .path_only = options.Has("C")};
  const LsOrder order{.by_time = options.Has("t"),
                      .by_size = options.Has("S"),
                      .reverse = options.Has("r"),
                      .access_times = options.Has("u")};
  const bool directories_themselves = options.Has("d");
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<RemoteItem> items, ExpandArguments(context));
  Lister lister(context, style, order, options.Has("R") && !directories_themselves);
  for (const RemoteItem& item : items) {
    if (!item.status.has_value()) {
      context.errors.Report(NoSuchFile(item.shown));
    } else if (options.Has("e")) {
      return FatalError(absl::StrCat("FileSystem ", QualifiedPath(*item.fs, ""), " does not support Erasure Coding"));
    } else if (item.status->is_directory && !directories_themselves) {
      lister.PrintContents(item);
    } else {
      lister.PrintOne(item);
    }
  }
  return absl::OkStatus();
}

}  // namespace dolmen::cli
