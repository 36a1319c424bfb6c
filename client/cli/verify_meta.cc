#include "client/cli/verify_meta.h"

#include <memory>
#include <optional>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/shell_error.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/posix_file_system.h"
#include "datanode/storage/block_file_format.h"

namespace dolmen::cli {
namespace {

using datanode::ChunkCrcOffset;
using datanode::kChecksumHeaderBytes;
using datanode::LoadChunkCrc;

constexpr uint64_t kChunksAtOnce = 32 << 10;  // as HDFS

absl::StatusOr<std::string> ReadUpTo(const File& file, uint64_t offset, uint64_t bytes) {
  std::string content(bytes, '\0');
  DOLMEN_ASSIGN_OR_RETURN(const size_t got, file.ReadAt(offset, std::span<char>(content)));
  content.resize(got);
  return content;
}

absl::Status CheckHeader(const File& meta) {
  DOLMEN_ASSIGN_OR_RETURN(const std::string header, ReadUpTo(meta, 0, kChecksumHeaderBytes));
  return datanode::DecodeChecksumHeader(header).status();
}

// What is wrong with the chunks of one piece of the block; nothing: all match.
std::optional<std::string> Compare(const std::string& data, const std::string& sums, const std::string& block,
                                   uint64_t offset) {
  const uint64_t wanted = ChecksumBytesFor(data.size());
  if (sums.size() < wanted) {
    return absl::StrCat("the checksum file ends before the checksum of position ",
                        offset + sums.size() / 4 * kBytesPerChecksum, " of file ", block);
  }
  const int64_t bad = FirstBadChunk(std::string_view(data), sums);
  if (bad < 0) return std::nullopt;
  const size_t at = static_cast<size_t>(bad) * kBytesPerChecksum;
  return absl::StrFormat("Checksum CRC32C not matched for file %s at position %d: expected=%X but computed=%X", block,
                         offset + at, LoadChunkCrc(sums.data() + 4 * static_cast<size_t>(bad)),
                         Crc32c(std::string_view(data).substr(at, kBytesPerChecksum)));
}

}  // namespace

int VerifyMeta(const std::string& meta, const std::string& block, std::ostream& out, std::ostream& err) {
  const std::unique_ptr<FileSystem> fs = MakePosixFileSystem();
  const absl::StatusOr<std::unique_ptr<File>> meta_file = fs->Open(meta, OpenMode::kRead);
  const absl::Status header = meta_file.ok() ? CheckHeader(**meta_file) : meta_file.status();
  if (!header.ok()) {
    err << "Failed to read HDFS metadata file header for " << meta << ": " << ShownMessage(header) << "\n";
    return 1;
  }
  out << "Checksum type: DataChecksum(type=CRC32C, chunkSize=" << kBytesPerChecksum << ")\n";
  if (block.empty()) return 0;
  const absl::StatusOr<std::unique_ptr<File>> block_file = fs->Open(block, OpenMode::kRead);
  if (!block_file.ok()) {
    err << "Failed to open HDFS block file for " << block << ": " << ShownMessage(block_file.status()) << "\n";
    return 1;
  }
  for (uint64_t offset = 0;;) {
    const absl::StatusOr<std::string> data = ReadUpTo(**block_file, offset, kChunksAtOnce * kBytesPerChecksum);
    if (!data.ok()) {
      err << "Got I/O error reading block file " << block << "from disk at offset " << offset << ": "
          << ShownMessage(data.status()) << "\n";
      return 1;
    }
    if (data->empty()) break;
    const uint64_t sums_at = ChunkCrcOffset(offset / kBytesPerChecksum);
    const absl::StatusOr<std::string> sums = ReadUpTo(**meta_file, sums_at, ChecksumBytesFor(data->size()));
    if (!sums.ok()) {
      err << "Got I/O error reading metadata file " << meta << "from disk at offset " << sums_at << ": "
          << ShownMessage(sums.status()) << "\n";
      return 1;
    }
    if (const std::optional<std::string> wrong = Compare(*data, *sums, block, offset); wrong.has_value()) {
      out << "verifyChunkedSums error: " << *wrong << "\n";
      return 1;
    }
    offset += data->size();
  }
  out << "Checksum verification succeeded on block file " << block << "\n";
  return 0;
}

}  // namespace dolmen::cli
