#include "common/rpc/frames.h"

#include <atomic>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/check.h"
#include "common/coding.h"
#include "common/error.h"
#include "common/rpc/convert_data.h"
#include "common/rpc/handoff.h"
#include "common/rpc/shape.h"
#include "common/rpc/slice_reader.h"
#include "grpcpp/impl/grpc_library.h"
#include "grpcpp/support/slice.h"
#include "proto/data_transfer.pb.h"

namespace dolmen::rpc {
namespace {

// Makes gRPC's slice functions usable in programs that have not made a channel or server yet.
const grpc::internal::GrpcLibraryInitializer kGrpcInitializer;

// ---- writing ----------------------------------------------------------------------------------------------------

size_t VarintSize(uint64_t value) {
  size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

void AppendTag(int field, WireType type, std::string* out) {
  AppendVarint(out, static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(type));
}

// As proto3 does, fields of value zero are left out.
void AppendNumber(int field, uint64_t value, std::string* out) {
  if (value == 0) return;
  AppendTag(field, WireType::kVarint, out);
  AppendVarint(out, value);
}

void AppendBytes(int field, const std::string& bytes, std::string* out) {
  if (bytes.empty()) return;
  AppendTag(field, WireType::kLengthDelimited, out);
  AppendVarint(out, bytes.size());
  out->append(bytes);
}

// Tag and length of the payload; the bytes follow as slices of their own.
void AppendPayloadHead(int field, size_t payload_bytes, std::string* out) {
  if (payload_bytes == 0) return;
  AppendTag(field, WireType::kLengthDelimited, out);
  AppendVarint(out, payload_bytes);
}

// A slice that owns a string.
grpc::Slice OwningSlice(std::string bytes) {
  if (bytes.size() < kMinSharedBytes) return grpc::Slice(bytes);
  auto* owner = new std::string(std::move(bytes));
  GiveToGrpc(owner);
  const auto release = [](void* o) {
    TakeFromGrpc(o);
    delete static_cast<std::string*>(o);
  };
  return grpc::Slice(owner->data(), owner->size(), release, owner);
}

// A copy of a payload Cord, on the heap so that even bytes stored inside the Cord object stay put, alive as long as any
// slice refers to it.
class SharedCord {
 public:
  explicit SharedCord(const absl::Cord& cord) : cord_(cord) {}
  const absl::Cord& cord() const { return cord_; }

  grpc::Slice Refer(absl::string_view chunk) {
    references_.fetch_add(1, std::memory_order_relaxed);
    GiveToGrpc(this);
    return grpc::Slice(const_cast<char*>(chunk.data()), chunk.size(), &SharedCord::Release, this);
  }
  static void Release(void* self) {
    TakeFromGrpc(self);
    auto* shared = static_cast<SharedCord*>(self);
    if (shared->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete shared;
  }

 private:
  const absl::Cord cord_;
  std::atomic<int> references_{1};  // the maker's
};

// `head`, then `payload` without copying it, except for chunks that are too small to be worth a slice.
grpc::ByteBuffer JoinPayload(std::string head, const absl::Cord& payload) {
  std::vector<grpc::Slice> slices;
  if (payload.size() < kMinSharedBytes) {
    for (const absl::string_view chunk : payload.Chunks()) head.append(chunk.data(), chunk.size());
    slices.push_back(OwningSlice(std::move(head)));
    return grpc::ByteBuffer(slices.data(), slices.size());
  }
  auto* shared = new SharedCord(payload);
  std::string run = std::move(head);  // bytes to be copied before the next shared chunk
  for (const absl::string_view chunk : shared->cord().Chunks()) {
    if (chunk.size() < kMinSharedBytes) {
      run.append(chunk.data(), chunk.size());
      continue;
    }
    if (!run.empty()) slices.push_back(OwningSlice(std::exchange(run, {})));
    slices.push_back(shared->Refer(chunk));
  }
  if (!run.empty()) slices.push_back(OwningSlice(std::move(run)));
  SharedCord::Release(shared);
  return grpc::ByteBuffer(slices.data(), slices.size());
}

grpc::ByteBuffer BufferOf(std::string bytes) {
  const grpc::Slice slice = OwningSlice(std::move(bytes));
  return grpc::ByteBuffer(&slice, 1);
}

// ---- reading ----------------------------------------------------------------------------------------------------

absl::Status Malformed(const char* message, const char* what) {
  return ShapeError(message, absl::StrCat("malformed or truncated at ", what));
}

// One field after the other of a message that ends when `reader` has `end` bytes remaining. For each calls
// on_field(number, type), which reads the value, skips it (SkipValue), or answers an error.
template <typename OnField>
absl::Status ReadFields(const char* message, SliceReader* reader, uint64_t end, OnField on_field) {
  while (reader->remaining() > end) {
    uint32_t field;
    WireType type;
    if (!reader->ReadTag(&field, &type)) return Malformed(message, "a tag");
    DOLMEN_RETURN_IF_ERROR(on_field(field, type));
  }
  if (reader->remaining() != end) return Malformed(message, "its end: a field reaches beyond it");
  return absl::OkStatus();
}

absl::Status ReadNumber(const char* field, SliceReader* reader, WireType type, uint64_t* value) {
  if (type != WireType::kVarint) return ShapeError(field, "is not a number on the wire");
  if (!reader->ReadVarint(value)) return Malformed(field, "its number");
  return absl::OkStatus();
}

absl::Status ReadFlag(const char* field, SliceReader* reader, WireType type, bool* value) {
  uint64_t number;
  DOLMEN_RETURN_IF_ERROR(ReadNumber(field, reader, type, &number));
  *value = number != 0;
  return absl::OkStatus();
}

// The length of a length-delimited field of at most `most` bytes.
absl::Status ReadLength(const char* field, SliceReader* reader, WireType type, uint64_t most, uint64_t* length) {
  if (type != WireType::kLengthDelimited) return ShapeError(field, "is not a run of bytes on the wire");
  if (!reader->ReadLength(length)) return Malformed(field, "its length");
  if (*length > most) {
    return ShapeError(field, absl::StrCat(*length, " bytes are too long; at most ", most, " are accepted"));
  }
  return absl::OkStatus();
}

absl::Status ReadChecksums(SliceReader* reader, WireType type, std::string* to) {
  uint64_t length;
  DOLMEN_RETURN_IF_ERROR(ReadLength("checksums", reader, type, kMaxChecksumBytes, &length));
  return reader->ReadString(length, to) ? absl::OkStatus() : Malformed("checksums", "its bytes");
}

absl::Status ReadPayload(SliceReader* reader, WireType type, absl::Cord* to) {
  uint64_t length;
  DOLMEN_RETURN_IF_ERROR(ReadLength("payload", reader, type, protocol::kMaxPacketBytes, &length));
  return reader->ReadCord(length, to) ? absl::OkStatus() : Malformed("payload", "its bytes");
}

absl::Status SkipUnknown(const char* message, SliceReader* reader, WireType type) {
  return reader->SkipValue(type) ? absl::OkStatus() : Malformed(message, "an unknown field");
}

absl::Status CheckRange(uint64_t offset, uint64_t payload_bytes) {
  DOLMEN_RETURN_IF_ERROR(CheckSize("offset", offset));
  return CheckSize("offset + payload", offset + payload_bytes);
}

absl::StatusOr<protocol::Packet> ReadPacket(SliceReader* reader, uint64_t end) {
  protocol::Packet packet;
  DOLMEN_RETURN_IF_ERROR(ReadFields("packet", reader, end, [&](uint32_t field, WireType type) -> absl::Status {
    switch (field) {
      case v1::Packet::kSequenceFieldNumber:
        return ReadNumber("sequence", reader, type, &packet.sequence);
      case v1::Packet::kOffsetFieldNumber:
        return ReadNumber("offset", reader, type, &packet.offset);
      case v1::Packet::kLastFieldNumber:
        return ReadFlag("last", reader, type, &packet.last);
      case v1::Packet::kSyncFieldNumber:
        return ReadFlag("sync", reader, type, &packet.sync);
      case v1::Packet::kVisibleLengthFieldNumber:
        return ReadNumber("visible_length", reader, type, &packet.visible_length);
      case v1::Packet::kChecksumsFieldNumber:
        return ReadChecksums(reader, type, &packet.checksums);
      case v1::Packet::kPayloadFieldNumber:
        return ReadPayload(reader, type, &packet.payload);
      default:
        return SkipUnknown("packet", reader, type);
    }
  }));
  DOLMEN_RETURN_IF_ERROR(CheckRange(packet.offset, packet.payload.size()), "packet");
  DOLMEN_RETURN_IF_ERROR(CheckSize("visible_length", packet.visible_length), "packet");
  return packet;
}

absl::StatusOr<protocol::WriteSetup> ReadSetup(SliceReader* reader, uint64_t length) {
  std::string bytes;
  v1::WriteSetup setup;
  if (!reader->ReadString(length, &bytes) || !setup.ParseFromString(bytes)) return Malformed("setup", "its fields");
  absl::StatusOr<protocol::WriteSetup> plain = FromProto(setup);
  if (!plain.ok()) return Annotate(plain.status(), "setup");
  return plain;
}

// A whole message without payload, by the generated class.
template <typename Plain, typename Proto>
absl::StatusOr<Plain> DecodeSmall(const char* message, const grpc::ByteBuffer& buffer) {
  SliceReader reader(buffer);
  std::string bytes;
  Proto proto;
  if (!reader.ok() || !reader.ReadString(reader.remaining(), &bytes) || !proto.ParseFromString(bytes)) {
    return Malformed(message, "its fields");
  }
  absl::StatusOr<Plain> plain = FromProto(proto);
  if (!plain.ok()) return Annotate(plain.status(), message);
  return plain;
}

}  // namespace

grpc::ByteBuffer EncodeWriteFrame(const protocol::WriteSetup& setup) {
  v1::WriteFrame frame;
  *frame.mutable_setup() = ToProto(setup);
  return BufferOf(frame.SerializeAsString());
}

grpc::ByteBuffer EncodePacket(const protocol::Packet& packet) {
  DOLMEN_CHECK(packet.payload.size() <= protocol::kMaxPacketBytes);
  DOLMEN_CHECK(packet.checksums.size() <= kMaxChecksumBytes);
  std::string fields;
  fields.reserve(packet.checksums.size() + 64);
  AppendNumber(v1::Packet::kSequenceFieldNumber, packet.sequence, &fields);
  AppendNumber(v1::Packet::kOffsetFieldNumber, packet.offset, &fields);
  AppendNumber(v1::Packet::kLastFieldNumber, packet.last ? 1 : 0, &fields);
  AppendNumber(v1::Packet::kSyncFieldNumber, packet.sync ? 1 : 0, &fields);
  AppendNumber(v1::Packet::kVisibleLengthFieldNumber, packet.visible_length, &fields);
  AppendBytes(v1::Packet::kChecksumsFieldNumber, packet.checksums, &fields);
  AppendPayloadHead(v1::Packet::kPayloadFieldNumber, packet.payload.size(), &fields);

  const size_t packet_bytes = fields.size() + packet.payload.size();
  std::string head;
  head.reserve(fields.size() + 1 + VarintSize(packet_bytes) + kMinSharedBytes);
  AppendTag(v1::WriteFrame::kPacketFieldNumber, WireType::kLengthDelimited, &head);
  AppendVarint(&head, packet_bytes);
  head.append(fields);
  return JoinPayload(std::move(head), packet.payload);
}

grpc::ByteBuffer EncodeReadChunk(const protocol::ReadChunk& chunk) {
  DOLMEN_CHECK(chunk.payload.size() <= protocol::kMaxPacketBytes);
  DOLMEN_CHECK(chunk.checksums.size() <= kMaxChecksumBytes);
  std::string head;
  head.reserve(chunk.checksums.size() + 64 + kMinSharedBytes);
  AppendNumber(v1::ReadFrame::kOffsetFieldNumber, chunk.offset, &head);
  AppendBytes(v1::ReadFrame::kChecksumsFieldNumber, chunk.checksums, &head);
  AppendNumber(v1::ReadFrame::kReplicaLengthFieldNumber, chunk.replica_length, &head);
  AppendPayloadHead(v1::ReadFrame::kPayloadFieldNumber, chunk.payload.size(), &head);
  return JoinPayload(std::move(head), chunk.payload);
}

grpc::ByteBuffer EncodeAck(const protocol::Ack& ack) { return BufferOf(ToProto(ack).SerializeAsString()); }

grpc::ByteBuffer EncodeReadRequest(const protocol::ReadRequest& request) {
  return BufferOf(ToProto(request).SerializeAsString());
}

absl::StatusOr<std::variant<protocol::WriteSetup, protocol::Packet>> DecodeWriteFrame(grpc::ByteBuffer buffer) {
  using Frame = std::variant<protocol::WriteSetup, protocol::Packet>;
  SliceReader reader(buffer);
  if (!reader.ok()) return Malformed("write frame", "its buffer");
  buffer.Clear();  // the reader has references of its own
  std::optional<Frame> frame;
  DOLMEN_RETURN_IF_ERROR(ReadFields("write frame", &reader, 0, [&](uint32_t field, WireType type) -> absl::Status {
    const bool is_setup = field == v1::WriteFrame::kSetupFieldNumber;
    if (!is_setup && field != v1::WriteFrame::kPacketFieldNumber) return SkipUnknown("write frame", &reader, type);
    if (frame.has_value())
      return ShapeError("write frame", "holds more than one setup or packet; send one per message");
    uint64_t length;
    if (is_setup) {
      DOLMEN_RETURN_IF_ERROR(ReadLength("setup", &reader, type, kMaxSetupBytes, &length));
      DOLMEN_ASSIGN_OR_RETURN(frame, ReadSetup(&reader, length));
    } else {
      DOLMEN_RETURN_IF_ERROR(ReadLength("packet", &reader, type, UINT64_MAX, &length));
      DOLMEN_ASSIGN_OR_RETURN(frame, ReadPacket(&reader, reader.remaining() - length));
    }
    return absl::OkStatus();
  }));
  if (!frame.has_value()) return ShapeError("write frame", "holds neither setup nor packet");
  return *std::move(frame);
}

absl::StatusOr<protocol::ReadChunk> DecodeReadChunk(grpc::ByteBuffer buffer) {
  SliceReader reader(buffer);
  if (!reader.ok()) return Malformed("read frame", "its buffer");
  buffer.Clear();
  protocol::ReadChunk chunk;
  DOLMEN_RETURN_IF_ERROR(ReadFields("read frame", &reader, 0, [&](uint32_t field, WireType type) -> absl::Status {
    switch (field) {
      case v1::ReadFrame::kOffsetFieldNumber:
        return ReadNumber("offset", &reader, type, &chunk.offset);
      case v1::ReadFrame::kChecksumsFieldNumber:
        return ReadChecksums(&reader, type, &chunk.checksums);
      case v1::ReadFrame::kReplicaLengthFieldNumber:
        return ReadNumber("replica_length", &reader, type, &chunk.replica_length);
      case v1::ReadFrame::kPayloadFieldNumber:
        return ReadPayload(&reader, type, &chunk.payload);
      default:
        return SkipUnknown("read frame", &reader, type);
    }
  }));
  DOLMEN_RETURN_IF_ERROR(CheckRange(chunk.offset, chunk.payload.size()), "read frame");
  DOLMEN_RETURN_IF_ERROR(CheckSize("replica_length", chunk.replica_length), "read frame");
  return chunk;
}

absl::StatusOr<protocol::Ack> DecodeAck(grpc::ByteBuffer buffer) {
  return DecodeSmall<protocol::Ack, v1::AckFrame>("ack", buffer);
}

absl::StatusOr<protocol::ReadRequest> DecodeReadRequest(grpc::ByteBuffer buffer) {
  return DecodeSmall<protocol::ReadRequest, v1::ReadBlockRequest>("read request", buffer);
}

}  // namespace dolmen::rpc
