// Reads ranges of one replica together with their stored checksums.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "common/protocol/data_transfer.h"
#include "datanode/storage/buffer_pool.h"
#include "datanode/storage/open_replica.h"

namespace dolmen::datanode {

// Keeps the files open, so a replica that is deleted or finalized meanwhile can still be read to its end. Thread-safe.
// The volume and the pool outlive this.
class ReplicaReader {
 public:
  enum class Check { kNone, kVerify };

  // Of a finalized replica of block.length bytes. `last_crc`: the CRC of its partial chunk, if it has one, from before
  // any append that may follow: an append goes on in the same files.
  ReplicaReader(Volume* volume, BufferPool* pool, protocol::Block block, std::unique_ptr<File> data,
                std::unique_ptr<File> checksums, std::optional<std::string> last_crc);
  // Of a replica being written: its visible length is asked anew by every call.
  ReplicaReader(BufferPool* pool, std::shared_ptr<OpenReplica> open);

  const protocol::Block& block() const { return block_; }
  Volume& volume() const { return *volume_; }
  // False while it was being written when this was opened.
  bool finalized() const { return open_ == nullptr; }
  // Bytes that readers may see now.
  uint64_t Length() const;

  // Whole chunks that cover [offset, offset + length), from the chunk boundary at or before `offset`, to the chunk
  // boundary at or after the end or to the end of the replica, and at most kMaxPacketBytes; empty at the replica's end.
  // kVerify compares with the stored checksums. Errors: kChecksum when they differ or the files are shorter than the
  // replica, kIo (the volume has been told).
  absl::StatusOr<protocol::ReadChunk> Read(uint64_t offset, uint64_t length, Check check);

  // HDFS's block checksum of the first `length` bytes: the MD5 of the stored CRCs of their chunks; a chunk that
  // `length` cuts is read, verified, and gets a CRC of its own. Takes a fixed amount of memory, and time for 4 bytes
  // per chunk. Errors: kReplicaNotFound when the replica is shorter; kChecksum when the checksum file is of another
  // block, does not decode or is too short; others as Read.
  absl::StatusOr<protocol::BlockChecksumReply> Checksum(uint64_t length);

 private:
  absl::Status CheckHeader() const;
  absl::Status ReadChecksums(uint64_t offset, std::span<char> out) const;
  absl::Status ReadFiles(uint64_t offset, std::span<char> out, std::string* checksums) const;
  absl::Status ReadOpenTail(const OpenReplica::Snapshot& seen, uint64_t chunk_start, std::span<char> out,
                            std::string* checksums) const;
  const File& data() const { return open_ ? open_->data() : *data_; }
  const File& checksums() const { return open_ ? open_->checksums() : *checksums_; }

  Volume* const volume_;
  BufferPool* const pool_;
  const protocol::Block block_;
  const std::unique_ptr<File> data_;
  const std::unique_ptr<File> checksums_;
  const std::optional<std::string> last_crc_;
  const std::shared_ptr<OpenReplica> open_;
};

}  // namespace dolmen::datanode
