#include "common/rpc/convert_types.h"

#include "common/rpc/convert_list.h"

namespace dolmen::rpc {

void ToProto(const protocol::Block& from, v1::Block* to) {
  to->set_id(from.id.value());
  to->set_stamp(from.stamp.value());
  to->set_length(from.length);
}

absl::StatusOr<protocol::Block> FromProto(const v1::Block& from) {
  DOLMEN_RETURN_IF_ERROR(CheckId("id", from.id()));
  DOLMEN_RETURN_IF_ERROR(CheckId("stamp", from.stamp()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("length", from.length()));
  return protocol::Block{BlockId(from.id()), GenerationStamp(from.stamp()), from.length()};
}

void ToProto(const protocol::Address& from, v1::Address* to) {
  to->set_network(from.network);
  to->set_host(from.host);
  to->set_port(from.port);
}

absl::StatusOr<protocol::Address> FromProto(const v1::Address& from) {
  DOLMEN_RETURN_IF_ERROR(CheckText("network", from.network()));
  DOLMEN_RETURN_IF_ERROR(CheckName("host", from.host()));
  DOLMEN_RETURN_IF_ERROR(CheckBetween("port", from.port(), 1, 65535));
  return protocol::Address{from.network(), from.host(), static_cast<uint16_t>(from.port())};
}

void ToProto(const protocol::DatanodeInfo& from, v1::DatanodeInfo* to) {
  to->set_uuid(from.uuid.value());
  to->set_host_name(from.host_name);
  ListToProto(from.addresses, to->mutable_addresses());
  to->set_rack(from.rack);
  to->set_http_port(from.http_port);
}

absl::StatusOr<protocol::DatanodeInfo> FromProto(const v1::DatanodeInfo& from) {
  protocol::DatanodeInfo to;
  DOLMEN_RETURN_IF_ERROR(CheckName("uuid", from.uuid()));
  to.uuid = DatanodeUuid(from.uuid());
  DOLMEN_RETURN_IF_ERROR(CheckText("host_name", from.host_name()));
  to.host_name = from.host_name();
  DOLMEN_ASSIGN_OR_RETURN(to.addresses, ListFromProto<protocol::Address>("addresses", from.addresses(), kMaxAddresses));
  if (to.addresses.empty()) return ShapeError("addresses", "are empty; a datanode must be reachable somewhere");
  DOLMEN_RETURN_IF_ERROR(CheckText("rack", from.rack()));
  to.rack = from.rack();
  DOLMEN_RETURN_IF_ERROR(CheckBetween("http_port", from.http_port(), 0, 65535));
  to.http_port = static_cast<uint16_t>(from.http_port());
  return to;
}

void ToProto(const protocol::StorageReport& from, v1::StorageReport* to) {
  to->set_id(from.id.value());
  to->set_type(static_cast<v1::StorageType>(from.type));
  to->set_failed(from.failed);
  to->set_capacity_bytes(from.capacity_bytes);
  to->set_used_bytes(from.used_bytes);
  to->set_remaining_bytes(from.remaining_bytes);
  to->set_block_count(from.block_count);
}

absl::StatusOr<protocol::StorageReport> FromProto(const v1::StorageReport& from) {
  protocol::StorageReport to;
  DOLMEN_RETURN_IF_ERROR(CheckName("id", from.id()));
  to.id = StorageId(from.id());
  DOLMEN_ASSIGN_OR_RETURN(to.type, CheckEnum("type", from.type(), protocol::StorageType::kRamDisk));
  to.failed = from.failed();
  DOLMEN_RETURN_IF_ERROR(CheckSize("capacity_bytes", from.capacity_bytes()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("used_bytes", from.used_bytes()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("remaining_bytes", from.remaining_bytes()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("block_count", from.block_count()));
  to.capacity_bytes = from.capacity_bytes();
  to.used_bytes = from.used_bytes();
  to.remaining_bytes = from.remaining_bytes();
  to.block_count = from.block_count();
  return to;
}

void ToProto(const protocol::FileStatus& from, v1::FileStatus* to) {
  to->set_inode(from.inode.value());
  to->set_is_directory(from.is_directory);
  to->set_name(from.name);
  to->set_length(from.length);
  to->set_permission(from.permission);
  to->set_owner(from.owner);
  to->set_group(from.group);
  to->set_modified_ms(from.modified.ms);
  to->set_accessed_ms(from.accessed.ms);
  to->set_replication(from.replication);
  to->set_block_bytes(from.block_bytes);
  to->set_child_count(from.child_count);
  to->set_under_construction(from.under_construction);
}

absl::StatusOr<protocol::FileStatus> FromProto(const v1::FileStatus& from) {
  DOLMEN_RETURN_IF_ERROR(CheckId("inode", from.inode()));
  DOLMEN_RETURN_IF_ERROR(CheckComponent("name", from.name()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("length", from.length()));
  DOLMEN_RETURN_IF_ERROR(CheckBetween("permission", from.permission(), 0, kMaxPermission));
  DOLMEN_RETURN_IF_ERROR(CheckText("owner", from.owner()));
  DOLMEN_RETURN_IF_ERROR(CheckText("group", from.group()));
  DOLMEN_RETURN_IF_ERROR(CheckBetween("replication", from.replication(), 0, UINT16_MAX));
  DOLMEN_RETURN_IF_ERROR(CheckSize("block_bytes", from.block_bytes()));
  protocol::FileStatus to;
  to.inode = InodeId(from.inode());
  to.is_directory = from.is_directory();
  to.name = from.name();
  to.length = from.length();
  to.permission = static_cast<uint16_t>(from.permission());
  to.owner = from.owner();
  to.group = from.group();
  to.modified.ms = from.modified_ms();
  to.accessed.ms = from.accessed_ms();
  to.replication = static_cast<uint16_t>(from.replication());
  to.block_bytes = from.block_bytes();
  to.child_count = from.child_count();
  to.under_construction = from.under_construction();
  return to;
}

void ToProto(const protocol::ReplicaLocation& from, v1::ReplicaLocation* to) {
  ToProto(from.datanode, to->mutable_datanode());
  to->set_storage(from.storage.value());
  to->set_type(static_cast<v1::StorageType>(from.type));
}

absl::StatusOr<protocol::ReplicaLocation> FromProto(const v1::ReplicaLocation& from) {
  protocol::ReplicaLocation to;
  DOLMEN_ASSIGN_OR_RETURN(to.datanode, FromProto(from.datanode()), "datanode");
  DOLMEN_RETURN_IF_ERROR(CheckText("storage", from.storage()));
  to.storage = StorageId(from.storage());
  DOLMEN_ASSIGN_OR_RETURN(to.type, CheckEnum("type", from.type(), protocol::StorageType::kRamDisk));
  return to;
}

void ToProto(const protocol::LocatedBlock& from, v1::LocatedBlock* to) {
  ToProto(from.block, to->mutable_block());
  to->set_offset(from.offset);
  to->set_corrupt(from.corrupt);
  ListToProto(from.locations, to->mutable_locations());
  to->set_token(from.token);
}

absl::StatusOr<protocol::LocatedBlock> FromProto(const v1::LocatedBlock& from) {
  protocol::LocatedBlock to;
  DOLMEN_ASSIGN_OR_RETURN(to.block, FromProto(from.block()), "block");
  DOLMEN_RETURN_IF_ERROR(CheckSize("offset", from.offset()));
  to.offset = from.offset();
  to.corrupt = from.corrupt();
  DOLMEN_ASSIGN_OR_RETURN(to.locations,
                          ListFromProto<protocol::ReplicaLocation>("locations", from.locations(), kMaxReplicas));
  DOLMEN_RETURN_IF_ERROR(CheckBytes("token", from.token(), kMaxTokenBytes));
  to.token = from.token();
  return to;
}

}  // namespace dolmen::rpc
