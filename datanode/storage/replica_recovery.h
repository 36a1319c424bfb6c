// What a replica's files are worth after a crash.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "common/protocol/types.h"
#include "datanode/storage/block_file_format.h"

namespace dolmen::datanode {

// Error: kDamaged when the header is unreadable, belongs to another block, or has no valid slot; kIo, kFileNotFound.
absl::StatusOr<ChecksumFileHeader> ReadChecksumHeader(FileSystem& fs, const std::string& meta_path, BlockId expected);

// True when all of [0, length) matches the stored checksums. False: a chunk differs, or a file is too short.
absl::StatusOr<bool> MatchesChecksums(const File& data, const File& meta, uint64_t length);

// Cuts a replica that was being written back to the longest prefix that its checksums or its valid slot vouch for, and
// makes that durable: hsynced bytes are in it after a power loss, acknowledged ones after a process crash. May be
// interrupted and repeated at any point: the answer stays the same. Returns id, stamp and length.
// Errors as ReadChecksumHeader; kDamaged also when bytes that were synced, or of the first `at_least`, do not match any
// more: nothing is cut then.
absl::StatusOr<protocol::Block> RecoverBeingWritten(FileSystem& fs, const std::string& data_path,
                                                    const std::string& meta_path, BlockId expected,
                                                    uint64_t at_least = 0);

// Copies a file into a new one, durably but for its name. Errors: kFileAlreadyExists, kIo, kNoSpace.
absl::Status CopyFile(FileSystem& fs, const std::string& from, const std::string& to);

// The files of a replica after Stamp, open for writing.
struct StampedFiles {
  std::unique_ptr<File> data;
  std::unique_ptr<File> meta;
  std::string tail;    // the bytes of the partial chunk at the stamped length
  int older_slot = 1;  // the one to be overwritten next
};

// Writes into the older slot that the replica has stamp to.stamp and to.length synced bytes, after it made sure of the
// bytes: the chunk in which they end matches its CRC, and both files are synced. Durable when it returns. Until then
// the other slot counts. Errors: kChecksum when the files are shorter or the chunk does not match;
// kStaleGenerationStamp when the replica has that stamp or a higher one, since then the new slot would not count; as
// ReadChecksumHeader; kIo.
absl::StatusOr<StampedFiles> Stamp(FileSystem& fs, const std::string& data_path, const std::string& meta_path,
                                   const protocol::Block& to);

// Cuts a replica to to.length bytes, whatever a crash leaves of it being at least those with stamp to.stamp: stamps it,
// then cuts both files, and syncs them. Errors as Stamp. After one RecoverBeingWritten tells what is left, and the next
// try needs a higher stamp.
absl::Status CutReplica(FileSystem& fs, const std::string& data_path, const std::string& meta_path,
                        const protocol::Block& to);

}  // namespace dolmen::datanode
