// Which pieces of a replica answer a read.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "common/protocol/data_transfer.h"

namespace dolmen::datanode {

// One thread only.
class ReadPlan {
 public:
  struct Piece {
    uint64_t offset = 0;  // multiple of the checksum chunk
    uint64_t length = 0;  // 0 only for the single piece of an empty answer
  };

  // Pieces of at most kMaxPacketBytes that cover whole checksum chunks around the asked range, cut at `replica_length`.
  // There is at least one piece, so that every answer tells the replica's length.
  // Errors: kIllegalArgument for a range beyond 2^63 or that begins behind the replica's end; kReplicaNotFound when a
  // finalized replica is shorter than the reader believes the block to be, so that it asks elsewhere.
  static absl::StatusOr<ReadPlan> Make(const protocol::ReadRequest& request, uint64_t replica_length, bool finalized);

  // Nothing: that was all.
  std::optional<Piece> Next();

 private:
  ReadPlan(uint64_t offset, uint64_t end) : next_(offset), end_(end) {}
  uint64_t next_;
  uint64_t end_;
  bool any_ = false;
};

}  // namespace dolmen::datanode
