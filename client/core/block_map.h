// The blocks of one file that a reader knows so far.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/protocol/types.h"

namespace dolmen::client {

// One thread only.
class BlockMap {
 public:
  // `length`: of the file as it was opened; blocks beyond it are ignored, and a block across it counts up to it.
  BlockMap(std::string path, uint64_t length) : path_(std::move(path)), length_(length) {}

  // Takes newer locations, stamps and tokens of blocks; their places in the file must be what they were.
  // Error: kIo "Blocklist for <path> has changed!" when they are not; nothing was taken then.
  absl::Status Merge(const std::vector<protocol::LocatedBlock>& blocks);
  // The block that holds the byte at `offset`; nullptr when it is not known. Valid until the next Merge.
  const protocol::LocatedBlock* Find(uint64_t offset) const;
  // End of `block` within the file as it was opened.
  uint64_t EndOf(const protocol::LocatedBlock& block) const;

 private:
  const std::string path_;
  const uint64_t length_;
  std::map<uint64_t, protocol::LocatedBlock> blocks_;  // by offset
};

}  // namespace dolmen::client
