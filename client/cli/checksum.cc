#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/shell_error.h"
#include "client/cli/tree_walk.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

// A file without any block has no checksums whose kind could be named; HDFS then says CRC32.
std::string Algorithm(const FileChecksum& checksum) {
  return absl::StrCat("MD5-of-", checksum.crc_per_block, "MD5-of-", checksum.bytes_per_crc,
                      checksum.bytes_per_crc == 0 ? "CRC32" : "CRC32C");
}

std::string Hex(const FileChecksum& checksum) {
  return absl::StrCat(absl::Hex(checksum.bytes_per_crc, absl::kZeroPad8),
                      absl::Hex(checksum.crc_per_block, absl::kZeroPad16), absl::BytesToHexString(checksum.md5));
}

}  // namespace

absl::Status RunChecksum(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(const ParsedOptions options,
                          ParseOptions({.min_arguments = 1, .flags = {"v"}}, context.args));
  return VisitArguments(context, /*recursive=*/false, [&](const RemoteItem& item) -> absl::Status {
    if (item.status->is_directory) return IsADirectory(item.shown);
    if (IsLocal(*item.fs)) {  // has none, as in HDFS
      context.out << item.shown << "\tNONE\n";
      return absl::OkStatus();
    }
    DOLMEN_ASSIGN_OR_RETURN(const FileChecksum checksum, item.fs->GetFileChecksum(item.path));
    context.out << item.shown << "\t" << Algorithm(checksum) << "\t" << Hex(checksum);
    if (options.Has("v")) context.out << "\tBlockSize=" << item.status->block_bytes;
    context.out << "\n";
    return absl::OkStatus();
  });
}

}  // namespace dolmen::cli
