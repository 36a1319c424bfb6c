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
// Errors as ReadChecksumHeader.
absl::StatusOr<protocol::Block> RecoverBeingWritten(FileSystem& fs, const std::string& data_path,
                                                    const std::string& meta_path, BlockId expected);

}  // namespace dolmen::datanode
