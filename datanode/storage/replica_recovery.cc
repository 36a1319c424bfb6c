#include "datanode/storage/replica_recovery.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/fault_point.h"

namespace dolmen::datanode {
namespace {

constexpr uint64_t kPieceBytes = 1 << 20;  // read at once while verifying (chosen)
static_assert(kPieceBytes % kBytesPerChecksum == 0);

absl::StatusOr<ChecksumFileHeader> ReadHeader(const File& meta, BlockId expected) {
  std::string bytes(kChecksumHeaderBytes, '\0');
  DOLMEN_ASSIGN_OR_RETURN(const size_t got, meta.ReadAt(0, bytes));
  bytes.resize(got);
  DOLMEN_ASSIGN_OR_RETURN(ChecksumFileHeader header, DecodeChecksumHeader(bytes));
  if (header.block != expected) {
    return MakeError(ErrorReason::kDamaged,
                     absl::StrCat("checksum file of ", expected.ToString(), " is that of ", header.block.ToString()));
  }
  if (header.WinningSlot() < 0) {
    return MakeError(ErrorReason::kDamaged,
                     absl::StrCat("checksum file of ", expected.ToString(), " has no valid slot"));
  }
  return header;
}

// Bytes of data, from the start, that belong to chunks which match their CRC.
absl::StatusOr<uint64_t> GoodChunks(const File& data, const File& meta, uint64_t limit) {
  std::string bytes;
  std::string sums;
  for (uint64_t offset = 0; offset < limit; offset += kPieceBytes) {
    const uint64_t size = std::min(kPieceBytes, limit - offset);
    bytes.resize(size);
    sums.resize(ChecksumBytesFor(size));
    DOLMEN_ASSIGN_OR_RETURN(const size_t got, data.ReadAt(offset, bytes));
    DOLMEN_ASSIGN_OR_RETURN(const size_t got_sums, meta.ReadAt(ChunkCrcOffset(offset / kBytesPerChecksum), sums));
    if (got != size || got_sums != sums.size()) return MakeError(ErrorReason::kIo, "file shrank while it was verified");
    const int64_t bad = FirstBadChunk(std::string_view(bytes), sums);
    if (bad >= 0) return offset + static_cast<uint64_t>(bad) * kBytesPerChecksum;
  }
  return limit;
}

// The replica's files and what they hold.
struct Files {
  std::unique_ptr<File> data;
  std::unique_ptr<File> meta;
  uint64_t data_size = 0;
  uint64_t meta_size = 0;

  absl::StatusOr<std::string> Chunk(uint64_t start) const {
    std::string bytes(std::min<uint64_t>(kBytesPerChecksum, data_size - start), '\0');
    DOLMEN_ASSIGN_OR_RETURN(const size_t got, data->ReadAt(start, bytes));
    bytes.resize(got);
    return bytes;
  }
};

absl::StatusOr<Files> OpenFiles(FileSystem& fs, const std::string& data_path, const std::string& meta_path) {
  Files files;
  DOLMEN_ASSIGN_OR_RETURN(files.data, fs.Open(data_path, OpenMode::kReadWrite));
  DOLMEN_ASSIGN_OR_RETURN(files.meta, fs.Open(meta_path, OpenMode::kReadWrite));
  DOLMEN_ASSIGN_OR_RETURN(files.data_size, files.data->Size());
  DOLMEN_ASSIGN_OR_RETURN(files.meta_size, files.meta->Size());
  return files;
}

// The longest front of `chunk` (which as a whole does not match) that has this CRC: data reached the disk, the CRC that
// covers it did not, and the one before it did.
uint64_t LongestFrontWithCrc(std::string_view chunk, uint32_t wanted) {
  uint64_t longest = 0;
  uint32_t crc = 0;
  for (size_t size = 1; size <= chunk.size(); ++size) {
    crc = Crc32cExtend(crc, chunk.substr(size - 1, 1));
    if (crc == wanted) longest = size;
  }
  return longest;
}

absl::StatusOr<uint64_t> VerifiedLength(const Files& files, const SyncSlot& slot) {
  const uint64_t crcs = files.meta_size < kChecksumHeaderBytes ? 0 : (files.meta_size - kChecksumHeaderBytes) / 4;
  const uint64_t limit = std::min(files.data_size, crcs * kBytesPerChecksum);
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t good, GoodChunks(*files.data, *files.meta, limit));
  if (good == files.data_size) return good;
  DOLMEN_ASSIGN_OR_RETURN(const std::string chunk, files.Chunk(good));
  uint64_t verified = good;
  if (good < limit) {
    std::string crc(4, '\0');
    DOLMEN_ASSIGN_OR_RETURN(const size_t got, files.meta->ReadAt(ChunkCrcOffset(good / kBytesPerChecksum), crc));
    if (got == crc.size()) verified = good + LongestFrontWithCrc(chunk, LoadChunkCrc(crc.data()));
  }
  // The slot speaks for the chunk in which the synced bytes end.
  const uint64_t partial = slot.synced_length % kBytesPerChecksum;
  if (slot.synced_length > verified && ChunkStart(slot.synced_length) == good && chunk.size() >= partial &&
      Crc32c(std::string_view(chunk).substr(0, partial)) == slot.partial_crc) {
    verified = slot.synced_length;
  }
  return verified;
}

}  // namespace

absl::StatusOr<ChecksumFileHeader> ReadChecksumHeader(FileSystem& fs, const std::string& meta_path, BlockId expected) {
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<File> meta, fs.Open(meta_path, OpenMode::kRead));
  return ReadHeader(*meta, expected);
}

absl::StatusOr<bool> MatchesChecksums(const File& data, const File& meta, uint64_t length) {
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t data_size, data.Size());
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t meta_size, meta.Size());
  if (data_size != length || meta_size != ChecksumFileBytes(length)) return false;
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t good, GoodChunks(data, meta, length));
  return good == length;
}

absl::StatusOr<protocol::Block> RecoverBeingWritten(FileSystem& fs, const std::string& data_path,
                                                    const std::string& meta_path, BlockId expected, uint64_t at_least) {
  DOLMEN_ASSIGN_OR_RETURN(const Files files, OpenFiles(fs, data_path, meta_path));
  DOLMEN_ASSIGN_OR_RETURN(const ChecksumFileHeader header, ReadHeader(*files.meta, expected));
  SyncSlot slot = *header.slots[static_cast<size_t>(header.WinningSlot())];
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t length, VerifiedLength(files, slot));
  // No crash does that. What is left may be the last of its bytes: it is not cut.
  if (const uint64_t surely = std::max(slot.synced_length, at_least); length < surely) {
    return MakeError(ErrorReason::kDamaged,
                     absl::StrCat(expected.ToString(), ": of ", surely, " bytes that were written or synced only ",
                                  length, " match their checksums"));
  }
  const protocol::Block recovered{.id = expected, .stamp = slot.stamp, .length = length};

  DOLMEN_FAULT_POINT("datanode.recover.before_cut");
  if (files.data_size != length) DOLMEN_RETURN_IF_ERROR(files.data->Truncate(length));
  uint32_t partial_crc = 0;
  if (const uint64_t partial = length % kBytesPerChecksum; partial != 0) {
    DOLMEN_ASSIGN_OR_RETURN(const std::string chunk, files.Chunk(ChunkStart(length)));
    partial_crc = Crc32c(std::string_view(chunk).substr(0, partial));
    DOLMEN_RETURN_IF_ERROR(
        files.meta->WriteAt(ChunkCrcOffset(length / kBytesPerChecksum), std::string_view(EncodeChunkCrc(partial_crc))));
  }
  if (files.meta_size != ChecksumFileBytes(length)) {
    DOLMEN_RETURN_IF_ERROR(files.meta->Truncate(ChecksumFileBytes(length)));
  }
  DOLMEN_RETURN_IF_ERROR(files.data->Sync());
  DOLMEN_RETURN_IF_ERROR(files.meta->Sync());
  DOLMEN_FAULT_POINT("datanode.recover.before_slot");
  if (slot.synced_length < length) {
    const SyncSlot now{.stamp = slot.stamp, .synced_length = length, .partial_crc = partial_crc};
    DOLMEN_RETURN_IF_ERROR(
        files.meta->WriteAt(kSlotOffset[header.OlderSlot()], std::string_view(EncodeSyncSlot(expected, now))));
    DOLMEN_RETURN_IF_ERROR(files.meta->Sync());
  }
  return recovered;
}

absl::Status CopyFile(FileSystem& fs, const std::string& from, const std::string& to) {
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<File> source, fs.Open(from, OpenMode::kRead));
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<File> target, fs.Open(to, OpenMode::kCreateNew));
  std::string piece(kPieceBytes, '\0');
  for (uint64_t offset = 0;;) {
    DOLMEN_ASSIGN_OR_RETURN(const size_t got, source->ReadAt(offset, piece));
    if (got == 0) break;
    DOLMEN_RETURN_IF_ERROR(target->WriteAt(offset, std::string_view(piece).substr(0, got)));
    offset += got;
  }
  return target->Sync();
}

absl::StatusOr<StampedFiles> Stamp(FileSystem& fs, const std::string& data_path, const std::string& meta_path,
                                   const protocol::Block& to) {
  DOLMEN_ASSIGN_OR_RETURN(Files files, OpenFiles(fs, data_path, meta_path));
  DOLMEN_ASSIGN_OR_RETURN(const ChecksumFileHeader header, ReadHeader(*files.meta, to.id));
  const SyncSlot& present = *header.slots[static_cast<size_t>(header.WinningSlot())];
  if (present.stamp >= to.stamp) {
    return MakeError(ErrorReason::kStaleGenerationStamp,
                     absl::StrCat(to.id.ToString(), " has ", present.stamp.ToString(), " on disk, it cannot get ",
                                  to.stamp.ToString()));
  }
  if (files.data_size < to.length || files.meta_size < ChecksumFileBytes(to.length)) {
    return MakeError(ErrorReason::kChecksum, absl::StrCat(data_path, " and its checksums are shorter than ", to.length,
                                                          " bytes: ", files.data_size, " and ", files.meta_size));
  }
  StampedFiles stamped;
  if (const uint64_t partial = to.length % kBytesPerChecksum; partial != 0) {
    DOLMEN_ASSIGN_OR_RETURN(std::string chunk, files.Chunk(ChunkStart(to.length)));
    std::string crc(4, '\0');
    DOLMEN_ASSIGN_OR_RETURN(const size_t got, files.meta->ReadAt(ChunkCrcOffset(to.length / kBytesPerChecksum), crc));
    if (got != crc.size() || Crc32c(chunk) != LoadChunkCrc(crc.data())) {
      return MakeError(ErrorReason::kChecksum,
                       absl::StrCat(data_path, ": bad checksum at offset ", ChunkStart(to.length)));
    }
    chunk.resize(partial);
    stamped.tail = std::move(chunk);
  }
  // Bytes of a block that was closed without sync may not be on the disk yet.
  DOLMEN_RETURN_IF_ERROR(files.data->Sync());
  DOLMEN_RETURN_IF_ERROR(files.meta->Sync());
  DOLMEN_FAULT_POINT("datanode.stamp.before_slot");
  const SyncSlot slot{.stamp = to.stamp, .synced_length = to.length, .partial_crc = Crc32c(stamped.tail)};
  const int older = header.OlderSlot();
  DOLMEN_RETURN_IF_ERROR(files.meta->WriteAt(kSlotOffset[older], std::string_view(EncodeSyncSlot(to.id, slot))));
  DOLMEN_RETURN_IF_ERROR(files.meta->Sync());
  stamped.data = std::move(files.data);
  stamped.meta = std::move(files.meta);
  stamped.older_slot = 1 - older;
  return stamped;
}

absl::Status CutReplica(FileSystem& fs, const std::string& data_path, const std::string& meta_path,
                        const protocol::Block& to) {
  DOLMEN_ASSIGN_OR_RETURN(const StampedFiles files, Stamp(fs, data_path, meta_path, to));
  DOLMEN_FAULT_POINT("datanode.finish.after_slot");
  DOLMEN_RETURN_IF_ERROR(files.data->Truncate(to.length));
  if (!files.tail.empty()) {
    DOLMEN_RETURN_IF_ERROR(files.meta->WriteAt(ChunkCrcOffset(to.length / kBytesPerChecksum),
                                               std::string_view(EncodeChunkCrc(Crc32c(files.tail)))));
  }
  DOLMEN_RETURN_IF_ERROR(files.meta->Truncate(ChecksumFileBytes(to.length)));
  DOLMEN_RETURN_IF_ERROR(files.data->Sync());
  DOLMEN_FAULT_POINT("datanode.finish.after_cut");
  return files.meta->Sync();
}

}  // namespace dolmen::datanode
