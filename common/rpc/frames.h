// The frames of the data path as gRPC byte buffers. On the wire each is exactly the protobuf message of
// proto/data_transfer.proto, so any generated client can talk to a server that uses these and the other way round; but
// payload is never copied by protobuf or by us.
//
// Sending: one small slice with everything before the payload, written by hand, then one slice per chunk of the payload
// Cord. These slices share the Cord's memory and keep it alive until gRPC has let go of them, on whatever thread.
// Receiving: the header is read from the first bytes, which may be split anywhere; the payload becomes a Cord whose
// pieces keep gRPC's slices alive. Pieces below kMinSharedBytes are copied: sharing them would cost more.
//
// Use with raw methods (the WithRawMethod_ and WithRawCallbackMethod_ classes of the generated service,
// grpc::GenericStub with the names below).
#pragma once

#include <cstddef>
#include <variant>

#include "absl/status/statusor.h"
#include "common/crc32c.h"
#include "common/protocol/data_transfer.h"
#include "grpcpp/support/byte_buffer.h"

namespace dolmen::rpc {

inline constexpr char kWriteBlockMethod[] = "/dolmen.v1.DataTransfer/WriteBlock";
inline constexpr char kReadBlockMethod[] = "/dolmen.v1.DataTransfer/ReadBlock";

inline constexpr size_t kMinSharedBytes = 512;
// One checksum per chunk of the largest payload, and one more.
inline constexpr size_t kMaxChecksumBytes = protocol::kMaxPacketBytes / kBytesPerChecksum * 4 + 4;
// A setup names every hop of a pipeline with all of its addresses.
inline constexpr size_t kMaxSetupBytes = 512 << 10;

// Encoding cannot fail. Payload and checksums beyond their bounds are bugs of the caller and stop the process.
grpc::ByteBuffer EncodeWriteFrame(const protocol::WriteSetup& setup);
grpc::ByteBuffer EncodePacket(const protocol::Packet& packet);
grpc::ByteBuffer EncodeReadChunk(const protocol::ReadChunk& chunk);
grpc::ByteBuffer EncodeAck(const protocol::Ack& ack);
grpc::ByteBuffer EncodeReadRequest(const protocol::ReadRequest& request);

// Decoding never crashes and never allocates by a size it has not checked. Unknown fields are skipped. Whether the
// checksums fit the payload is not looked at here.
// Errors: kInvalidArgument, naming the message and the field.
absl::StatusOr<std::variant<protocol::WriteSetup, protocol::Packet>> DecodeWriteFrame(grpc::ByteBuffer buffer);
absl::StatusOr<protocol::ReadChunk> DecodeReadChunk(grpc::ByteBuffer buffer);
absl::StatusOr<protocol::Ack> DecodeAck(grpc::ByteBuffer buffer);
absl::StatusOr<protocol::ReadRequest> DecodeReadRequest(grpc::ByteBuffer buffer);

}  // namespace dolmen::rpc
