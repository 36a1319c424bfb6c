// HDFS's file checksum, from the checksums of its blocks: values only.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "client/dolmen/client.h"
#include "common/md5.h"
#include "common/protocol/data_transfer.h"

namespace dolmen::client {

// The blocks that cover the first `length` bytes of a file, the last of them cut to what is needed of it.
// `blocks`: in order, from offset 0 or, for a later part of the file, from any block's.
std::vector<protocol::LocatedBlock> CutTo(uint64_t length, std::vector<protocol::LocatedBlock> blocks);

// MD5 over the blocks' MD5s, in order, padded with zeros to the size of the buffer that HDFS collects them in: 32
// bytes, doubled until they fit. Of no block at all it is that of 32 zeros, with nothing about CRCs. One thread only;
// one use. Source: Hadoop, FileChecksumHelper.
class FileChecksumBuilder {
 public:
  // Error: kIo when a block has another number of bytes per CRC than the ones before.
  absl::Status Add(const protocol::BlockChecksumReply& block);
  uint64_t block_count() const { return block_count_; }
  FileChecksum Finish();

 private:
  uint32_t bytes_per_crc_ = 0;
  uint64_t first_crc_count_ = 0;
  uint64_t block_count_ = 0;
  Md5 md5_;
};

}  // namespace dolmen::client
