#include "datanode/core/read_plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/crc32c.h"
#include "common/error.h"

namespace dolmen::datanode {
namespace {

constexpr uint64_t kMaxOffset = (uint64_t{1} << 63) - 1;

}  // namespace

absl::StatusOr<ReadPlan> ReadPlan::Make(const protocol::ReadRequest& request, uint64_t replica_length, bool finalized) {
  const std::string block = request.block.id.ToString();
  if (request.offset > kMaxOffset || request.length > kMaxOffset - request.offset) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat(block, ": no replica has bytes ", request.offset, " + ", request.length));
  }
  if (finalized && request.block.length > replica_length) {
    return MakeError(ErrorReason::kReplicaNotFound, absl::StrCat(block, ": the replica here has ", replica_length,
                                                                 " bytes, the block ", request.block.length));
  }
  if (request.offset > replica_length) {
    return MakeError(
        ErrorReason::kIllegalArgument,
        absl::StrCat(block, ": offset ", request.offset, " is behind the end of the replica, ", replica_length));
  }
  const uint64_t end = std::min(request.offset + request.length, replica_length);
  const uint64_t start = request.offset - request.offset % kBytesPerChecksum;
  const uint64_t aligned_end = (end + kBytesPerChecksum - 1) / kBytesPerChecksum * kBytesPerChecksum;
  if (request.offset == end) return ReadPlan(start, start);
  return ReadPlan(start, std::min(aligned_end, replica_length));
}

std::optional<ReadPlan::Piece> ReadPlan::Next() {
  if (next_ >= end_ && any_) return std::nullopt;
  any_ = true;
  const Piece piece{.offset = next_, .length = std::min<uint64_t>(end_ - next_, protocol::kMaxPacketBytes)};
  next_ += piece.length;
  return piece;
}

}  // namespace dolmen::datanode
