#include "client/core/file_checksum.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace dolmen::client {
namespace {

constexpr uint64_t kFirstBufferBytes = 32;

}  // namespace

std::vector<protocol::LocatedBlock> CutTo(uint64_t length, std::vector<protocol::LocatedBlock> blocks) {
  std::vector<protocol::LocatedBlock> needed;
  for (protocol::LocatedBlock& block : blocks) {
    if (block.offset >= length) break;
    block.block.length = std::min(block.block.length, length - block.offset);
    if (block.block.length > 0) needed.push_back(std::move(block));
  }
  return needed;
}

absl::Status FileChecksumBuilder::Add(const protocol::BlockChecksumReply& block) {
  if (block_count_ == 0) {
    bytes_per_crc_ = block.bytes_per_crc;
    first_crc_count_ = block.crc_count;
  } else if (block.bytes_per_crc != bytes_per_crc_) {
    return MakeError(ErrorReason::kIo, absl::StrCat("Byte-per-checksum not matched: bpc=", block.bytes_per_crc,
                                                    " but bytesPerCRC=", bytes_per_crc_));
  }
  ++block_count_;
  md5_.Update(block.md5);
  return absl::OkStatus();
}

FileChecksum FileChecksumBuilder::Finish() {
  uint64_t buffer = kFirstBufferBytes;
  while (buffer < block_count_ * kMd5Bytes) buffer *= 2;
  md5_.Update(std::string(buffer - block_count_ * kMd5Bytes, '\0'));
  return {
      .bytes_per_crc = bytes_per_crc_, .crc_per_block = block_count_ > 1 ? first_crc_count_ : 0, .md5 = md5_.Finish()};
}

}  // namespace dolmen::client
