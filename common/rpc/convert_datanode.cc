#include "common/rpc/convert_datanode.h"

#include <type_traits>
#include <utility>
#include <variant>

#include "common/rpc/convert_list.h"

namespace dolmen::rpc {
namespace {

constexpr size_t kMaxKeyBytes = 256;
constexpr size_t kMaxIncarnationBytes = 256;

// Who sends a report, and in which registration.
template <typename Proto, typename Plain>
absl::Status SenderFromProto(const Proto& from, Plain* to) {
  DOLMEN_RETURN_IF_ERROR(CheckName("datanode", from.datanode()));
  to->datanode = DatanodeUuid(from.datanode());
  to->session = from.session();
  return absl::OkStatus();
}

absl::StatusOr<StorageId> StorageFromProto(const std::string& storage) {
  DOLMEN_RETURN_IF_ERROR(CheckName("storage", storage));
  return StorageId(storage);
}

absl::StatusOr<protocol::DeleteReplicasCommand> FromProto(const v1::DeleteReplicasCommand& from) {
  protocol::DeleteReplicasCommand to;
  DOLMEN_ASSIGN_OR_RETURN(to.storage, StorageFromProto(from.storage()));
  DOLMEN_ASSIGN_OR_RETURN(to.blocks, ListFromProto<protocol::Block>("blocks", from.blocks(), kMaxReportedReplicas));
  return to;
}

absl::StatusOr<protocol::CopyReplicaCommand> FromProto(const v1::CopyReplicaCommand& from) {
  protocol::CopyReplicaCommand to;
  DOLMEN_ASSIGN_OR_RETURN(to.block, rpc::FromProto(from.block()), "block");
  DOLMEN_ASSIGN_OR_RETURN(to.targets,
                          ListFromProto<protocol::ReplicaLocation>("targets", from.targets(), kMaxReplicas));
  DOLMEN_RETURN_IF_ERROR(CheckBytes("token", from.token(), kMaxTokenBytes));
  to.token = from.token();
  return to;
}

absl::StatusOr<protocol::VerifyReplicaCommand> FromProto(const v1::VerifyReplicaCommand& from) {
  protocol::VerifyReplicaCommand to;
  DOLMEN_ASSIGN_OR_RETURN(to.storage, StorageFromProto(from.storage()));
  DOLMEN_ASSIGN_OR_RETURN(to.block, rpc::FromProto(from.block()), "block");
  return to;
}

absl::StatusOr<protocol::FreezeReplicaCommand> FromProto(const v1::FreezeReplicaCommand& from) {
  protocol::FreezeReplicaCommand to;
  DOLMEN_ASSIGN_OR_RETURN(to.storage, StorageFromProto(from.storage()));
  DOLMEN_RETURN_IF_ERROR(CheckId("block", from.block()));
  DOLMEN_RETURN_IF_ERROR(CheckId("recovery", from.recovery()));
  to.block = BlockId(from.block());
  to.recovery = GenerationStamp(from.recovery());
  return to;
}

absl::StatusOr<protocol::FinishRecoveryCommand> FromProto(const v1::FinishRecoveryCommand& from) {
  protocol::FinishRecoveryCommand to;
  DOLMEN_ASSIGN_OR_RETURN(to.storage, StorageFromProto(from.storage()));
  DOLMEN_ASSIGN_OR_RETURN(to.block, rpc::FromProto(from.block()), "block");
  return to;
}

absl::StatusOr<protocol::CopyPrefixCommand> FromProto(const v1::CopyPrefixCommand& from) {
  protocol::CopyPrefixCommand to;
  DOLMEN_ASSIGN_OR_RETURN(to.storage, StorageFromProto(from.storage()));
  DOLMEN_ASSIGN_OR_RETURN(to.source, rpc::FromProto(from.source()), "source");
  DOLMEN_ASSIGN_OR_RETURN(to.target, rpc::FromProto(from.target()), "target");
  return to;
}

}  // namespace

void ToProto(const protocol::NamenodeIdentity& from, v1::NamenodeIdentity* to) {
  to->set_cluster(from.cluster.value());
  to->set_epoch(from.epoch.value());
  to->set_incarnation(from.incarnation);
}

absl::StatusOr<protocol::NamenodeIdentity> FromProto(const v1::NamenodeIdentity& from) {
  DOLMEN_RETURN_IF_ERROR(CheckName("cluster", from.cluster()));
  DOLMEN_RETURN_IF_ERROR(CheckId("epoch", from.epoch()));
  if (from.incarnation().empty()) return ShapeError("incarnation", "is empty; it must be given");
  DOLMEN_RETURN_IF_ERROR(CheckBytes("incarnation", from.incarnation(), kMaxIncarnationBytes));
  return protocol::NamenodeIdentity{ClusterId(from.cluster()), Epoch(from.epoch()), from.incarnation()};
}

void ToProto(const protocol::DatanodeCommand& from, v1::DatanodeCommand* to) {
  std::visit(
      [to](const auto& command) {
        using Command = std::decay_t<decltype(command)>;
        if constexpr (std::is_same_v<Command, protocol::DeleteReplicasCommand>) {
          to->mutable_delete_replicas()->set_storage(command.storage.value());
          ListToProto(command.blocks, to->mutable_delete_replicas()->mutable_blocks());
        } else if constexpr (std::is_same_v<Command, protocol::CopyReplicaCommand>) {
          ToProto(command.block, to->mutable_copy_replica()->mutable_block());
          ListToProto(command.targets, to->mutable_copy_replica()->mutable_targets());
          to->mutable_copy_replica()->set_token(command.token);
        } else if constexpr (std::is_same_v<Command, protocol::VerifyReplicaCommand>) {
          to->mutable_verify_replica()->set_storage(command.storage.value());
          ToProto(command.block, to->mutable_verify_replica()->mutable_block());
        } else if constexpr (std::is_same_v<Command, protocol::FreezeReplicaCommand>) {
          to->mutable_freeze_replica()->set_storage(command.storage.value());
          to->mutable_freeze_replica()->set_block(command.block.value());
          to->mutable_freeze_replica()->set_recovery(command.recovery.value());
        } else if constexpr (std::is_same_v<Command, protocol::FinishRecoveryCommand>) {
          to->mutable_finish_recovery()->set_storage(command.storage.value());
          ToProto(command.block, to->mutable_finish_recovery()->mutable_block());
        } else if constexpr (std::is_same_v<Command, protocol::CopyPrefixCommand>) {
          to->mutable_copy_prefix()->set_storage(command.storage.value());
          ToProto(command.source, to->mutable_copy_prefix()->mutable_source());
          ToProto(command.target, to->mutable_copy_prefix()->mutable_target());
        } else {
          static_assert(std::is_same_v<Command, protocol::SendFullReportCommand>);
          to->mutable_send_full_report();
        }
      },
      from);
}

absl::StatusOr<protocol::DatanodeCommand> FromProto(const v1::DatanodeCommand& from) {
  protocol::DatanodeCommand to;
  switch (from.command_case()) {
    case v1::DatanodeCommand::kDeleteReplicas: {
      DOLMEN_ASSIGN_OR_RETURN(to, FromProto(from.delete_replicas()), "delete_replicas");
      return to;
    }
    case v1::DatanodeCommand::kCopyReplica: {
      DOLMEN_ASSIGN_OR_RETURN(to, FromProto(from.copy_replica()), "copy_replica");
      return to;
    }
    case v1::DatanodeCommand::kVerifyReplica: {
      DOLMEN_ASSIGN_OR_RETURN(to, FromProto(from.verify_replica()), "verify_replica");
      return to;
    }
    case v1::DatanodeCommand::kSendFullReport:
      return protocol::SendFullReportCommand();
    case v1::DatanodeCommand::kFreezeReplica: {
      DOLMEN_ASSIGN_OR_RETURN(to, FromProto(from.freeze_replica()), "freeze_replica");
      return to;
    }
    case v1::DatanodeCommand::kFinishRecovery: {
      DOLMEN_ASSIGN_OR_RETURN(to, FromProto(from.finish_recovery()), "finish_recovery");
      return to;
    }
    case v1::DatanodeCommand::kCopyPrefix: {
      DOLMEN_ASSIGN_OR_RETURN(to, FromProto(from.copy_prefix()), "copy_prefix");
      return to;
    }
    case v1::DatanodeCommand::COMMAND_NOT_SET:
      break;
  }
  return ShapeError("command", "is missing or of an unknown kind");
}

void ToProto(const protocol::ReportedReplica& from, v1::ReportedReplica* to) {
  ToProto(from.block, to->mutable_block());
  to->set_state(static_cast<v1::ReplicaState>(from.state));
  if (from.frozen_by.has_value()) to->set_frozen_by(from.frozen_by->value());
  to->set_after_restart(from.after_restart);
  to->set_visible_length(from.visible_length);
}

absl::StatusOr<protocol::ReportedReplica> FromProto(const v1::ReportedReplica& from) {
  protocol::ReportedReplica to;
  DOLMEN_ASSIGN_OR_RETURN(to.block, FromProto(from.block()), "block");
  DOLMEN_ASSIGN_OR_RETURN(to.state, CheckEnum("state", from.state(), protocol::ReplicaState::kCorrupt));
  if (from.has_frozen_by()) {
    DOLMEN_RETURN_IF_ERROR(CheckId("frozen_by", from.frozen_by()));
    to.frozen_by = GenerationStamp(from.frozen_by());
  }
  to.after_restart = from.after_restart();
  to.visible_length = from.visible_length();
  return to;
}

void ToProto(const protocol::IncrementalReportRequest::Entry& from, v1::IncrementalReportRequest_Entry* to) {
  to->set_storage(from.storage.value());
  ToProto(from.replica, to->mutable_replica());
}

absl::StatusOr<protocol::IncrementalReportRequest::Entry> FromProto(const v1::IncrementalReportRequest_Entry& from) {
  protocol::IncrementalReportRequest::Entry to;
  DOLMEN_ASSIGN_OR_RETURN(to.storage, StorageFromProto(from.storage()));
  DOLMEN_ASSIGN_OR_RETURN(to.replica, FromProto(from.replica()), "replica");
  return to;
}

v1::RegisterRequest ToProto(const protocol::RegisterRequest& from) {
  v1::RegisterRequest to;
  to.set_protocol_version(from.protocol_version);
  if (from.cluster) to.set_cluster(from.cluster->value());
  ToProto(from.info, to.mutable_info());
  ListToProto(from.storages, to.mutable_storages());
  to.set_highest_epoch(from.highest_epoch.value());
  to.set_highest_incarnation(from.highest_incarnation);
  to.set_seen_block(from.seen.block.value());
  to.set_seen_stamp(from.seen.stamp.value());
  to.set_block_bound(from.bound.block.value());
  to.set_stamp_bound(from.bound.stamp.value());
  return to;
}

absl::StatusOr<protocol::RegisterRequest> FromProto(const v1::RegisterRequest& from) {
  protocol::RegisterRequest to;
  to.protocol_version = from.protocol_version();
  if (from.has_cluster()) {
    DOLMEN_RETURN_IF_ERROR(CheckName("cluster", from.cluster()));
    to.cluster = ClusterId(from.cluster());
  }
  DOLMEN_ASSIGN_OR_RETURN(to.info, FromProto(from.info()), "info");
  DOLMEN_ASSIGN_OR_RETURN(to.storages,
                          ListFromProto<protocol::StorageReport>("storages", from.storages(), kMaxStorages));
  DOLMEN_RETURN_IF_ERROR(CheckSize("highest_epoch", from.highest_epoch()));
  DOLMEN_RETURN_IF_ERROR(CheckBytes("highest_incarnation", from.highest_incarnation(), kMaxIncarnationBytes));
  DOLMEN_RETURN_IF_ERROR(CheckSize("seen_block", from.seen_block()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("seen_stamp", from.seen_stamp()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("block_bound", from.block_bound()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("stamp_bound", from.stamp_bound()));
  to.highest_epoch = Epoch(from.highest_epoch());
  to.highest_incarnation = from.highest_incarnation();
  to.seen = {BlockId(from.seen_block()), GenerationStamp(from.seen_stamp())};
  to.bound = {BlockId(from.block_bound()), GenerationStamp(from.stamp_bound())};
  return to;
}

v1::RegisterReply ToProto(const protocol::RegisterReply& from) {
  v1::RegisterReply to;
  ToProto(from.namenode, to.mutable_namenode());
  to.set_session(from.session);
  to.set_token_key_id(from.token_key_id);
  to.set_token_key_secret(from.token_key_secret);
  to.set_heartbeat_interval_ms(from.heartbeat_interval_ms);
  to.set_full_report_interval_ms(from.full_report_interval_ms);
  to.set_wall_ms(from.wall.ms);
  return to;
}

absl::StatusOr<protocol::RegisterReply> FromProto(const v1::RegisterReply& from) {
  protocol::RegisterReply to;
  DOLMEN_ASSIGN_OR_RETURN(to.namenode, FromProto(from.namenode()), "namenode");
  // The value of a key never appears in an error.
  DOLMEN_RETURN_IF_ERROR(CheckBytes("token_key_secret", from.token_key_secret(), kMaxKeyBytes));
  DOLMEN_RETURN_IF_ERROR(CheckNotNegative("heartbeat_interval_ms", from.heartbeat_interval_ms()));
  DOLMEN_RETURN_IF_ERROR(CheckNotNegative("full_report_interval_ms", from.full_report_interval_ms()));
  DOLMEN_RETURN_IF_ERROR(CheckNotNegative("wall_ms", from.wall_ms()));
  to.session = from.session();
  to.token_key_id = from.token_key_id();
  to.token_key_secret = from.token_key_secret();
  to.heartbeat_interval_ms = from.heartbeat_interval_ms();
  to.full_report_interval_ms = from.full_report_interval_ms();
  to.wall = WallTime{from.wall_ms()};
  return to;
}

v1::HeartbeatRequest ToProto(const protocol::HeartbeatRequest& from) {
  v1::HeartbeatRequest to;
  to.set_datanode(from.datanode.value());
  to.set_session(from.session);
  ListToProto(from.storages, to.mutable_storages());
  to.set_active_streams(from.active_streams);
  to.set_active_transfers(from.active_transfers);
  return to;
}

absl::StatusOr<protocol::HeartbeatRequest> FromProto(const v1::HeartbeatRequest& from) {
  protocol::HeartbeatRequest to;
  DOLMEN_RETURN_IF_ERROR(SenderFromProto(from, &to));
  DOLMEN_ASSIGN_OR_RETURN(to.storages,
                          ListFromProto<protocol::StorageReport>("storages", from.storages(), kMaxStorages));
  to.active_streams = from.active_streams();
  to.active_transfers = from.active_transfers();
  return to;
}

v1::HeartbeatReply ToProto(const protocol::HeartbeatReply& from) {
  v1::HeartbeatReply to;
  ToProto(from.namenode, to.mutable_namenode());
  to.set_must_register(from.must_register);
  ListToProto(from.commands, to.mutable_commands());
  return to;
}

absl::StatusOr<protocol::HeartbeatReply> FromProto(const v1::HeartbeatReply& from) {
  protocol::HeartbeatReply to;
  DOLMEN_ASSIGN_OR_RETURN(to.namenode, FromProto(from.namenode()), "namenode");
  to.must_register = from.must_register();
  DOLMEN_ASSIGN_OR_RETURN(to.commands,
                          ListFromProto<protocol::DatanodeCommand>("commands", from.commands(), kMaxCommands));
  return to;
}

v1::IncrementalReportRequest ToProto(const protocol::IncrementalReportRequest& from) {
  v1::IncrementalReportRequest to;
  to.set_datanode(from.datanode.value());
  to.set_session(from.session);
  ListToProto(from.entries, to.mutable_entries());
  return to;
}

absl::StatusOr<protocol::IncrementalReportRequest> FromProto(const v1::IncrementalReportRequest& from) {
  protocol::IncrementalReportRequest to;
  DOLMEN_RETURN_IF_ERROR(SenderFromProto(from, &to));
  DOLMEN_ASSIGN_OR_RETURN(to.entries, ListFromProto<protocol::IncrementalReportRequest::Entry>(
                                          "entries", from.entries(), kMaxReportedReplicas));
  return to;
}

v1::FullReportSlice ToProto(const protocol::FullReportSlice& from) {
  v1::FullReportSlice to;
  to.set_datanode(from.datanode.value());
  to.set_session(from.session);
  to.set_storage(from.storage.value());
  to.set_round(from.round);
  to.set_slice_index(from.slice_index);
  to.set_is_last(from.is_last);
  to.set_first_id(from.first_id.value());
  to.set_last_id(from.last_id.value());
  ListToProto(from.replicas, to.mutable_replicas());
  return to;
}

absl::StatusOr<protocol::FullReportSlice> FromProto(const v1::FullReportSlice& from) {
  protocol::FullReportSlice to;
  DOLMEN_RETURN_IF_ERROR(SenderFromProto(from, &to));
  DOLMEN_ASSIGN_OR_RETURN(to.storage, StorageFromProto(from.storage()));
  to.round = from.round();
  to.slice_index = from.slice_index();
  to.is_last = from.is_last();
  DOLMEN_RETURN_IF_ERROR(CheckSize("last_id", from.last_id()));
  DOLMEN_RETURN_IF_ERROR(CheckBetween("first_id", from.first_id(), 0, from.last_id()));
  to.first_id = BlockId(from.first_id());
  to.last_id = BlockId(from.last_id());
  DOLMEN_ASSIGN_OR_RETURN(to.replicas,
                          ListFromProto<protocol::ReportedReplica>("replicas", from.replicas(), kMaxReportedReplicas));
  BlockId lowest = to.first_id;
  for (size_t i = 0; i < to.replicas.size(); ++i) {
    const BlockId id = to.replicas[i].block.id;
    if (id < lowest || id > to.last_id) {
      return ShapeError("replicas", absl::StrCat("entry ", i, ", ", id.ToString(), ", is out of order or outside of ",
                                                 to.first_id.ToString(), " to ", to.last_id.ToString()));
    }
    lowest = id.Next();
  }
  return to;
}

v1::ReportReply ToProto(const protocol::ReportReply& from) {
  v1::ReportReply to;
  ToProto(from.namenode, to.mutable_namenode());
  to.set_must_register(from.must_register);
  return to;
}

absl::StatusOr<protocol::ReportReply> FromProto(const v1::ReportReply& from) {
  protocol::ReportReply to;
  DOLMEN_ASSIGN_OR_RETURN(to.namenode, FromProto(from.namenode()), "namenode");
  to.must_register = from.must_register();
  return to;
}

}  // namespace dolmen::rpc
