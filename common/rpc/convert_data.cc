#include "common/rpc/convert_data.h"

#include <utility>

#include "common/md5.h"
#include "common/rpc/convert_list.h"
#include "common/rpc/status_grpc.h"

namespace dolmen::rpc {

void ToProto(const protocol::HopStatus& from, v1::HopStatus* to) {
  to->set_datanode(from.datanode.value());
  to->set_code(static_cast<uint32_t>(ToGrpcCode(from.status.code())));
  to->set_reason(static_cast<uint32_t>(ReasonOf(from.status)));
  to->set_message(Shortened(MessageOf(from.status), kMaxMessageBytes));
  to->set_service_micros(from.service_micros);
}

absl::StatusOr<protocol::HopStatus> FromProto(const v1::HopStatus& from) {
  protocol::HopStatus to;
  DOLMEN_RETURN_IF_ERROR(CheckName("datanode", from.datanode()));
  to.datanode = DatanodeUuid(from.datanode());
  DOLMEN_RETURN_IF_ERROR(CheckBytes("message", from.message(), kMaxMessageBytes));
  absl::StatusCode code = absl::StatusCode::kUnknown;
  if (from.code() <= static_cast<uint32_t>(grpc::StatusCode::UNAUTHENTICATED)) {
    code = FromGrpcCode(static_cast<grpc::StatusCode>(from.code()));
  }
  if (code != absl::StatusCode::kOk) to.status = MakeError(code, ReasonFromWire(from.reason()), from.message());
  to.service_micros = from.service_micros();
  return to;
}

v1::WriteSetup ToProto(const protocol::WriteSetup& from) {
  v1::WriteSetup to;
  ToProto(from.block, to.mutable_block());
  to.set_storage(from.storage.value());
  ListToProto(from.downstream, to.mutable_downstream());
  to.set_token(from.token);
  to.set_client_name(from.client_name);
  to.set_is_copy(from.is_copy);
  to.set_sync_on_close(from.sync_on_close);
  to.set_expected_bytes(from.expected_bytes);
  if (from.append_to.has_value()) to.set_append_to(from.append_to->value());
  return to;
}

absl::StatusOr<protocol::WriteSetup> FromProto(const v1::WriteSetup& from) {
  protocol::WriteSetup to;
  DOLMEN_ASSIGN_OR_RETURN(to.block, FromProto(from.block()), "block");
  DOLMEN_RETURN_IF_ERROR(CheckText("storage", from.storage()));
  to.storage = StorageId(from.storage());
  DOLMEN_ASSIGN_OR_RETURN(to.downstream,
                          ListFromProto<protocol::ReplicaLocation>("downstream", from.downstream(), kMaxReplicas));
  DOLMEN_RETURN_IF_ERROR(CheckBytes("token", from.token(), kMaxTokenBytes));
  DOLMEN_RETURN_IF_ERROR(CheckText("client_name", from.client_name()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("expected_bytes", from.expected_bytes()));
  to.token = from.token();
  to.client_name = from.client_name();
  to.is_copy = from.is_copy();
  to.sync_on_close = from.sync_on_close();
  to.expected_bytes = from.expected_bytes();
  if (from.has_append_to()) {
    DOLMEN_RETURN_IF_ERROR(CheckId("append_to", from.append_to()));
    to.append_to = GenerationStamp(from.append_to());
  }
  return to;
}

v1::AckFrame ToProto(const protocol::Ack& from) {
  v1::AckFrame to;
  to.set_sequence(from.sequence);
  ListToProto(from.hops, to.mutable_hops());
  to.set_storage(from.storage.value());
  return to;
}

absl::StatusOr<protocol::Ack> FromProto(const v1::AckFrame& from) {
  protocol::Ack to;
  to.sequence = from.sequence();
  DOLMEN_ASSIGN_OR_RETURN(to.hops, ListFromProto<protocol::HopStatus>("hops", from.hops(), kMaxReplicas));
  DOLMEN_RETURN_IF_ERROR(CheckText("storage", from.storage()));
  to.storage = StorageId(from.storage());
  return to;
}

v1::ReadBlockRequest ToProto(const protocol::ReadRequest& from) {
  v1::ReadBlockRequest to;
  ToProto(from.block, to.mutable_block());
  to.set_offset(from.offset);
  to.set_length(from.length);
  to.set_token(from.token);
  to.set_client_name(from.client_name);
  return to;
}

absl::StatusOr<protocol::ReadRequest> FromProto(const v1::ReadBlockRequest& from) {
  protocol::ReadRequest to;
  DOLMEN_ASSIGN_OR_RETURN(to.block, FromProto(from.block()), "block");
  DOLMEN_RETURN_IF_ERROR(CheckSize("offset", from.offset()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("length", from.length()));
  // Both are below 2^63, so the sum does not wrap.
  DOLMEN_RETURN_IF_ERROR(CheckSize("offset + length", from.offset() + from.length()));
  DOLMEN_RETURN_IF_ERROR(CheckBytes("token", from.token(), kMaxTokenBytes));
  DOLMEN_RETURN_IF_ERROR(CheckText("client_name", from.client_name()));
  to.offset = from.offset();
  to.length = from.length();
  to.token = from.token();
  to.client_name = from.client_name();
  return to;
}

v1::VisibleLengthRequest ToProto(const protocol::VisibleLengthRequest& from) {
  v1::VisibleLengthRequest to;
  ToProto(from.block, to.mutable_block());
  to.set_token(from.token);
  return to;
}

absl::StatusOr<protocol::VisibleLengthRequest> FromProto(const v1::VisibleLengthRequest& from) {
  protocol::VisibleLengthRequest to;
  DOLMEN_ASSIGN_OR_RETURN(to.block, FromProto(from.block()), "block");
  DOLMEN_RETURN_IF_ERROR(CheckBytes("token", from.token(), kMaxTokenBytes));
  to.token = from.token();
  return to;
}

v1::VisibleLengthReply ToProto(const protocol::VisibleLengthReply& from) {
  v1::VisibleLengthReply to;
  to.set_length(from.length);
  return to;
}

absl::StatusOr<protocol::VisibleLengthReply> FromProto(const v1::VisibleLengthReply& from) {
  DOLMEN_RETURN_IF_ERROR(CheckSize("length", from.length()));
  return protocol::VisibleLengthReply{.length = from.length()};
}

v1::BlockChecksumRequest ToProto(const protocol::BlockChecksumRequest& from) {
  v1::BlockChecksumRequest to;
  ToProto(from.block, to.mutable_block());
  to.set_token(from.token);
  return to;
}

absl::StatusOr<protocol::BlockChecksumRequest> FromProto(const v1::BlockChecksumRequest& from) {
  protocol::BlockChecksumRequest to;
  DOLMEN_ASSIGN_OR_RETURN(to.block, FromProto(from.block()), "block");
  DOLMEN_RETURN_IF_ERROR(CheckBytes("token", from.token(), kMaxTokenBytes));
  to.token = from.token();
  return to;
}

v1::BlockChecksumReply ToProto(const protocol::BlockChecksumReply& from) {
  v1::BlockChecksumReply to;
  to.set_bytes_per_crc(from.bytes_per_crc);
  to.set_crc_count(from.crc_count);
  to.set_md5(from.md5);
  return to;
}

absl::StatusOr<protocol::BlockChecksumReply> FromProto(const v1::BlockChecksumReply& from) {
  DOLMEN_RETURN_IF_ERROR(CheckBetween("bytes_per_crc", from.bytes_per_crc(), 1, 1 << 30));
  DOLMEN_RETURN_IF_ERROR(CheckSize("crc_count", from.crc_count()));
  if (from.md5().size() != kMd5Bytes) {
    return ShapeError("md5", absl::StrCat("has ", from.md5().size(), " bytes instead of ", kMd5Bytes));
  }
  return protocol::BlockChecksumReply{
      .bytes_per_crc = from.bytes_per_crc(), .crc_count = from.crc_count(), .md5 = from.md5()};
}

}  // namespace dolmen::rpc
