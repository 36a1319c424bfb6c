#include "datanode/service/block_checksum.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/rpc/convert_data.h"
#include "common/rpc/status_grpc.h"

namespace dolmen::datanode {

grpc::ServerUnaryReactor* BlockChecksumCall::Begin(Node* node, grpc::CallbackServerContext* context,
                                                   const v1::BlockChecksumRequest& request,
                                                   v1::BlockChecksumReply* reply) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  std::shared_ptr<BlockChecksumCall> call(new BlockChecksumCall(node, reactor, reply));
  node->Add(call);
  if (absl::Status started = call->Start(request); !started.ok()) call->Answer(std::move(started));
  return reactor;
}

absl::Status BlockChecksumCall::Start(const v1::BlockChecksumRequest& request) {
  DOLMEN_ASSIGN_OR_RETURN(const protocol::BlockChecksumRequest asked, rpc::FromProto(request));
  DOLMEN_RETURN_IF_ERROR(
      node_->keys().Verify(asked.token, asked.block.id, BlockAccess::kRead, node_->clock().WallNow()));
  const std::optional<StorageId> storage = node_->store().StorageOf(asked.block.id);
  if (!storage.has_value()) {
    return MakeError(ErrorReason::kReplicaNotFound,
                     absl::StrCat("no replica of ", asked.block.id.ToString(), " is here"));
  }
  DOLMEN_ASSIGN_OR_RETURN(slot_, node_->Acquire(StreamKind::kRead, *storage));
  const bool posted = node_->WorkersOf(*storage)->reads().TryPost(
      [self = shared_from_this(), block = asked.block] { self->Answer(self->Compute(block)); });
  if (posted) return absl::OkStatus();
  return MakeError(ErrorReason::kBusy, "busy: too many reads wait for this volume; retry shortly");
}

absl::StatusOr<protocol::BlockChecksumReply> BlockChecksumCall::Compute(const protocol::Block& block) const {
  const auto compute = [&]() -> absl::StatusOr<protocol::BlockChecksumReply> {
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<ReplicaReader> reader, node_->store().OpenReader(block));
    return reader->Checksum(block.length);
  };
  absl::StatusOr<protocol::BlockChecksumReply> checksum = compute();
  // Files that are missing, too short or of another block: the replica is looked at as a whole, and reported.
  if (ReasonOf(checksum.status()) == ErrorReason::kChecksum) node_->Suspect(block);
  return checksum;
}

void BlockChecksumCall::Answer(const absl::StatusOr<protocol::BlockChecksumReply>& checksum) {
  MutexLock lock(&mutex_);
  if (reactor_ == nullptr) return;
  if (checksum.ok()) *reply_ = rpc::ToProto(*checksum);
  std::exchange(reactor_, nullptr)->Finish(rpc::ToGrpc(checksum.status()));
}

void BlockChecksumCall::Cancel() { Answer(MakeError(ErrorReason::kCancelled, "the datanode is stopping")); }

BlockChecksumCall::~BlockChecksumCall() {
  slot_.reset();
  node_->Remove(this);  // the node may be gone after this
}

}  // namespace dolmen::datanode
