#include "namenode/storage/log_scanner.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "common/coding.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "namenode/core/commit_header.h"

namespace dolmen::namenode {
namespace {

constexpr size_t kBlockBytes = 32 << 10;
constexpr size_t kHeaderBytes = 7;
constexpr size_t kReadBytes = 32 * kBlockBytes;  // at a time (chosen)

// Of RocksDB's log format.
enum : uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4, kFirstRecyclable = 5, kLastRecyclable = 8 };
// Of its write batches: 8 bytes sequence, 4 bytes count, then entries; ours begin with a blob of log data.
constexpr size_t kBatchHeaderBytes = 12;
constexpr uint8_t kLogDataEntry = 3;
// Enough of a commit to hold its header record, with room to grow (chosen).
constexpr size_t kCommitPrefixBytes = 256;

uint32_t UnmaskCrc(uint32_t masked) {
  const uint32_t rotated = masked - 0xa282ead8u;
  return (rotated >> 17) | (rotated << 15);
}

// One physical record at the front of `rest` (what is left of a block); nothing when there is no valid one.
struct Fragment {
  uint8_t type = 0;
  std::string_view payload;
};
std::optional<Fragment> ParseFragment(std::string_view rest) {
  if (rest.size() < kHeaderBytes) return std::nullopt;
  const size_t length = static_cast<unsigned char>(rest[4]) | static_cast<size_t>(static_cast<unsigned char>(rest[5]))
                                                                  << 8;
  const uint8_t type = static_cast<uint8_t>(rest[6]);
  if (type == 0 || kHeaderBytes + length > rest.size()) return std::nullopt;
  if (Crc32c(rest.substr(6, 1 + length)) != UnmaskCrc(LoadLittleEndian32(rest.data()))) return std::nullopt;
  return Fragment{type, rest.substr(kHeaderBytes, length)};
}

bool BeginsCommit(const std::optional<Fragment>& fragment) {
  return fragment.has_value() && (fragment->type == kFull || fragment->type == kFirst);
}

struct Bad {
  std::string path;
  uint64_t offset = 0;
  std::string_view what;
};

absl::Status Damaged(const std::string& path, uint64_t offset, std::string_view what) {
  return MakeError(ErrorReason::kDamaged,
                   absl::StrCat("log ", path, " is damaged at byte ", offset, ": ", ToAbsl(what),
                                "; acknowledged changes would be lost, so the namenode does not start: restore a "
                                "checkpoint, or the file from a copy of this disk"));
}

class Scanner {
 public:
  explicit Scanner(FileSystem* fs) : fs_(*fs) {}

  absl::Status ScanFile(LogFileScan* scan) {
    file_ = scan;
    in_commit_ = false;
    first_in_file_ = true;
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs_.Open(scan->path, OpenMode::kRead));
    DOLMEN_ASSIGN_OR_RETURN(scan->file_bytes, file->Size());
    std::string bytes;
    for (uint64_t offset = 0; offset < scan->file_bytes; offset += bytes.size()) {
      bytes.resize(std::min<uint64_t>(kReadBytes, scan->file_bytes - offset));
      DOLMEN_ASSIGN_OR_RETURN(const size_t got, file->ReadAt(offset, bytes));
      if (got != bytes.size())
        return MakeError(ErrorReason::kIo, absl::StrCat("log ", scan->path, " shrank while read"));
      for (size_t at = 0; at < bytes.size(); at += kBlockBytes)
        DOLMEN_RETURN_IF_ERROR(ScanBlock(offset + at, std::string_view(bytes).substr(at, kBlockBytes)));
    }
    if (in_commit_) MarkBad(commit_offset_, "the end of a commit is missing");
    return absl::OkStatus();
  }

  CommitNumber last_commit() const { return last_commit_; }

 private:
  absl::Status ScanBlock(uint64_t block_offset, std::string_view block) {
    for (size_t at = 0; at < block.size();) {
      const std::string_view rest = block.substr(at);
      const uint64_t offset = block_offset + at;
      if (rest.size() < kHeaderBytes) {
        if (block.size() < kBlockBytes) MarkBad(offset, "a record's header is cut short");
        return absl::OkStatus();  // padding otherwise
      }
      const std::optional<Fragment> fragment = ParseFragment(rest);
      if (!fragment.has_value()) {
        MarkBad(offset, "a record does not match its checksum");
        in_commit_ = false;
        // Its length cannot be trusted: look for the beginning of a commit at every byte.
        for (size_t next = 1; next + kHeaderBytes <= rest.size(); ++next)
          if (BeginsCommit(ParseFragment(rest.substr(next)))) return DamagedBefore(offset + next);
        return absl::OkStatus();
      }
      if (BeginsCommit(fragment) && in_commit_) MarkBad(commit_offset_, "the end of a commit is missing");
      if (BeginsCommit(fragment) && bad_.has_value()) return DamagedBefore(offset);
      DOLMEN_RETURN_IF_ERROR(Take(offset, *fragment));
      at += kHeaderBytes + fragment->payload.size();
    }
    return absl::OkStatus();
  }

  // A valid record; nothing is wrong before it, unless it is a middle or last one.
  absl::Status Take(uint64_t offset, const Fragment& fragment) {
    if (fragment.type >= kFirstRecyclable && fragment.type <= kLastRecyclable) {
      return Damaged(file_->path, offset, "it was written with recycled log files, which hide lost commits");
    }
    if (fragment.type > kLast) {
      return Damaged(file_->path, offset, absl::StrCat("unknown record type ", fragment.type));
    }
    if (BeginsCommit(fragment)) {
      commit_offset_ = offset;
      prefix_.clear();
      in_commit_ = true;
    } else if (!in_commit_) {
      if (!bad_.has_value()) MarkBad(offset, "the beginning of a commit is missing");
      return absl::OkStatus();
    }
    prefix_.append(fragment.payload.substr(0, kCommitPrefixBytes - std::min(kCommitPrefixBytes, prefix_.size())));
    if (fragment.type != kFull && fragment.type != kLast) return absl::OkStatus();
    in_commit_ = false;
    DOLMEN_RETURN_IF_ERROR(CheckCommit());
    file_->valid_bytes = offset + kHeaderBytes + fragment.payload.size();
    ++file_->commits;
    return absl::OkStatus();
  }

  absl::Status CheckCommit() {
    ByteReader reader(prefix_);
    reader.Bytes(kBatchHeaderBytes);
    const bool is_log_data = reader.Byte() == kLogDataEntry;
    const absl::StatusOr<CommitHeader> header = DecodeCommitHeader(reader.LengthPrefixed());
    if (!is_log_data || !reader.ok() || !header.ok()) {
      return Damaged(file_->path, commit_offset_, "a write that is not one of the namenode's commits");
    }
    // Between files there may be a gap: an old log that is no longer needed can outlive the one after it.
    const bool follows = first_in_file_ ? header->number > last_commit_ : header->number == last_commit_.Next();
    if (!follows) {
      return Damaged(file_->path, commit_offset_,
                     header->number.ToString() + " comes after " + last_commit_.ToString());
    }
    last_commit_ = header->number;
    first_in_file_ = false;
    return absl::OkStatus();
  }

  void MarkBad(uint64_t offset, std::string_view what) {
    if (!bad_.has_value()) bad_ = Bad{file_->path, offset, what};
  }

  absl::Status DamagedBefore(uint64_t offset) const {
    return Damaged(
        bad_->path, bad_->offset,
        absl::StrCat(ToAbsl(bad_->what), ", and a later commit stands in ", file_->path, " at byte ", offset));
  }

  FileSystem& fs_;
  std::optional<Bad> bad_;  // the first bad record of all files
  CommitNumber last_commit_;
  // Of the present file.
  LogFileScan* file_ = nullptr;
  bool first_in_file_ = true;
  bool in_commit_ = false;
  uint64_t commit_offset_ = 0;
  std::string prefix_;
};

// "000012.log" -> 12.
std::optional<uint64_t> LogNumber(std::string_view name) {
  constexpr std::string_view kSuffix = ".log";
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

}  // namespace

absl::StatusOr<LogScan> ScanLogs(FileSystem& fs, const std::string& directory) {
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.List(directory));
  LogScan scan;
  for (const std::string& name : names) {
    if (const std::optional<uint64_t> number = LogNumber(name); number.has_value()) {
      scan.files.push_back({.path = JoinPath(directory, name), .number = *number});
    }
  }
  std::sort(scan.files.begin(), scan.files.end(),
            [](const LogFileScan& a, const LogFileScan& b) { return a.number < b.number; });
  Scanner scanner(&fs);
  for (LogFileScan& file : scan.files) DOLMEN_RETURN_IF_ERROR(scanner.ScanFile(&file));
  scan.last_commit = scanner.last_commit();
  return scan;
}

absl::Status CutTornTails(FileSystem& fs, const LogScan& scan) {
  for (const LogFileScan& file : scan.files) {
    if (file.valid_bytes == file.file_bytes) continue;
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<File> log, fs.Open(file.path, OpenMode::kReadWrite));
    DOLMEN_RETURN_IF_ERROR(log->Truncate(file.valid_bytes));
    DOLMEN_RETURN_IF_ERROR(log->Sync());
  }
  return absl::OkStatus();
}

}  // namespace dolmen::namenode
