#include "datanode/storage/replica_reader.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/md5.h"
#include "datanode/storage/block_file_format.h"

namespace dolmen::datanode {
namespace {

// Smaller reads get memory of their own size instead of a whole pooled buffer (chosen).
constexpr uint64_t kSmallRead = 64 << 10;
// CRCs read in one piece for a block's checksum (chosen).
constexpr uint64_t kChecksumsAtOnce = 32 << 10;

}  // namespace

ReplicaReader::ReplicaReader(Volume* volume, BufferPool* pool, protocol::Block block, std::unique_ptr<File> data,
                             std::unique_ptr<File> checksums, std::optional<std::string> last_crc)
    : volume_(volume),
      pool_(pool),
      block_(block),
      data_(std::move(data)),
      checksums_(std::move(checksums)),
      last_crc_(std::move(last_crc)) {}

ReplicaReader::ReplicaReader(BufferPool* pool, std::shared_ptr<OpenReplica> open)
    : volume_(&open->volume()),
      pool_(pool),
      block_{.id = open->block(), .stamp = open->stamp(), .length = open->visible()},
      open_(std::move(open)) {}

uint64_t ReplicaReader::Length() const { return open_ ? open_->visible() : block_.length; }

absl::Status ReplicaReader::ReadFiles(uint64_t offset, std::span<char> out, std::string* sums) const {
  sums->resize(ChecksumBytesFor(out.size()));
  const absl::StatusOr<size_t> got = data().ReadAt(offset, out);
  const absl::StatusOr<size_t> got_sums =
      got.ok() ? checksums().ReadAt(ChunkCrcOffset(offset / kBytesPerChecksum), std::span<char>(*sums)) : got;
  if (!got_sums.ok()) {
    volume_->NoteError(got_sums.status());
    return Annotate(got_sums.status(), absl::StrCat("reading ", block_.id.ToString()));
  }
  if (last_crc_.has_value() && offset + out.size() == block_.length && *got_sums == sums->size()) {
    sums->replace(sums->size() - last_crc_->size(), last_crc_->size(), *last_crc_);
  }
  if (*got == out.size() && *got_sums == sums->size()) return absl::OkStatus();
  return MakeError(ErrorReason::kChecksum,
                   absl::StrCat(block_.id.ToString(), " in ", volume_->directory(), ": its files end before offset ",
                                offset + out.size(), ", the replica has ", Length(), " bytes"));
}

// The partial chunk that ends at the visible length. Its bytes are stable, but its stored CRC may already cover more of
// them: they are checked as far as they go, and get a CRC of their own.
absl::Status ReplicaReader::ReadOpenTail(const OpenReplica::Snapshot& seen, uint64_t chunk_start, std::span<char> out,
                                         std::string* sums) const {
  if (chunk_start == ChunkStart(seen.written)) {
    std::memcpy(out.data(), seen.tail.data(), out.size());
  } else {
    std::string chunk(kBytesPerChecksum, '\0');
    std::string stored;
    const absl::Status read = ReadFiles(chunk_start, chunk, &stored);
    if (!read.ok() && ReasonOf(open_->failure()) == ErrorReason::kRecoveryInProgress) {
      return MakeError(ErrorReason::kNotReplicatedYet, absl::StrCat(block_.id.ToString(), " is being recovered"));
    }
    DOLMEN_RETURN_IF_ERROR(read);
    if (FirstBadChunk(std::string_view(chunk), stored) >= 0) {
      return MakeError(ErrorReason::kChecksum, absl::StrCat(block_.id.ToString(), " in ", volume_->directory(),
                                                            ": bad checksum at offset ", chunk_start));
    }
    std::memcpy(out.data(), chunk.data(), out.size());
  }
  AppendChunkChecksums(std::string_view(out.data(), out.size()), sums);
  return absl::OkStatus();
}

absl::StatusOr<protocol::ReadChunk> ReplicaReader::Read(uint64_t offset, uint64_t length, Check check) {
  OpenReplica::Snapshot seen;
  if (open_) seen = open_->Look();
  protocol::ReadChunk chunk;
  chunk.replica_length = open_ ? seen.visible : block_.length;
  chunk.offset = ChunkStart(offset);
  if (offset >= chunk.replica_length || length == 0) return chunk;
  const uint64_t wanted_end = offset + std::min(length, chunk.replica_length - offset);
  const uint64_t end = std::min({ChunkEnd(wanted_end), chunk.replica_length, chunk.offset + protocol::kMaxPacketBytes});
  const uint64_t size = end - chunk.offset;
  // Of an open replica only whole chunks are read as they are stored.
  const uint64_t stored = open_ ? ChunkStart(end) - chunk.offset : size;

  const auto fill = [&](std::span<char> out) -> absl::Status {
    if (stored > 0) {
      DOLMEN_RETURN_IF_ERROR(ReadFiles(chunk.offset, out.first(stored), &chunk.checksums));
      if (check == Check::kVerify) {
        const int64_t bad = FirstBadChunk(std::string_view(out.data(), stored), chunk.checksums);
        if (bad >= 0) {
          return MakeError(ErrorReason::kChecksum,
                           absl::StrCat(block_.id.ToString(), " in ", volume_->directory(), ": bad checksum at offset ",
                                        chunk.offset + static_cast<uint64_t>(bad) * kBytesPerChecksum));
        }
      }
    }
    if (stored == size) return absl::OkStatus();
    return ReadOpenTail(seen, chunk.offset + stored, out.subspan(stored, size - stored), &chunk.checksums);
  };
  if (size <= kSmallRead) {
    std::string bytes(size, '\0');
    DOLMEN_RETURN_IF_ERROR(fill(std::span<char>(bytes)));
    chunk.payload = absl::Cord(std::move(bytes));
    return chunk;
  }
  BufferPool::Buffer buffer = pool_->Take();
  DOLMEN_RETURN_IF_ERROR(fill(buffer.bytes()));
  chunk.payload = std::move(buffer).ToCord(size);
  return chunk;
}

absl::Status ReplicaReader::ReadChecksums(uint64_t offset, std::span<char> out) const {
  const absl::StatusOr<size_t> got = checksums().ReadAt(offset, out);
  if (!got.ok()) {
    volume_->NoteError(got.status());
    return Annotate(got.status(), absl::StrCat("reading checksums of ", block_.id.ToString()));
  }
  if (*got == out.size()) return absl::OkStatus();
  return MakeError(ErrorReason::kChecksum, absl::StrCat(block_.id.ToString(), " in ", volume_->directory(),
                                                        ": its checksum file ends before offset ", offset + out.size(),
                                                        ", the replica has ", Length(), " bytes"));
}

absl::Status ReplicaReader::CheckHeader() const {
  std::string bytes(kChecksumHeaderBytes, '\0');
  DOLMEN_RETURN_IF_ERROR(ReadChecksums(0, bytes));
  const absl::StatusOr<ChecksumFileHeader> header = DecodeChecksumHeader(bytes);
  const auto bad = [&](std::string_view why) {
    return MakeError(ErrorReason::kChecksum,
                     absl::StrCat(block_.id.ToString(), " in ", volume_->directory(), ": ", ToAbsl(why)));
  };
  if (!header.ok()) return bad(MessageOf(header.status()));
  if (header->block != block_.id) {
    return bad(absl::StrCat("its checksum file is of ", header->block.ToString()));
  }
  return absl::OkStatus();
}

absl::StatusOr<protocol::BlockChecksumReply> ReplicaReader::Checksum(uint64_t length) {
  const uint64_t replica_length = Length();
  if (length > replica_length) {
    return MakeError(ErrorReason::kReplicaNotFound,
                     absl::StrCat(block_.id.ToString(), ": the replica here has ", replica_length, " bytes, ", length,
                                  " were asked for"));
  }
  DOLMEN_RETURN_IF_ERROR(CheckHeader());
  Md5 md5;
  // Whole chunks below the length never change again, nor do their CRCs.
  const uint64_t whole = length / kBytesPerChecksum;
  std::string piece;
  for (uint64_t chunk = 0; chunk < whole;) {
    const uint64_t chunks = std::min<uint64_t>(whole - chunk, kChecksumsAtOnce);
    piece.resize(4 * chunks);
    DOLMEN_RETURN_IF_ERROR(ReadChecksums(ChunkCrcOffset(chunk), piece));
    md5.Update(piece);
    chunk += chunks;
  }
  if (const uint64_t rest = length % kBytesPerChecksum; rest > 0) {
    DOLMEN_ASSIGN_OR_RETURN(const protocol::ReadChunk chunk, Read(ChunkStart(length), rest, Check::kVerify));
    if (chunk.payload.size() < rest) {
      return MakeError(ErrorReason::kIo, absl::StrCat(block_.id.ToString(), ": the replica became shorter"));
    }
    piece.clear();
    AppendChunkChecksums(chunk.payload.Subcord(0, rest), &piece);
    md5.Update(piece);
  }
  return protocol::BlockChecksumReply{
      .bytes_per_crc = kBytesPerChecksum, .crc_count = ChecksumBytesFor(length) / 4, .md5 = md5.Finish()};
}

}  // namespace dolmen::datanode
