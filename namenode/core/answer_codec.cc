// Stored answers: EncodeAnswer and DecodeAnswer of records.h.
#include <utility>
#include <variant>

#include "common/error.h"
#include "namenode/core/record_coding.h"
#include "namenode/core/records.h"

namespace dolmen::namenode {
namespace {

namespace p = ::dolmen::protocol;

constexpr uint8_t kVersion = 1;
constexpr uint8_t kErrorKind = 0;  // a reply is 1 + its place in MutationReply, which is never reordered

constexpr uint64_t kLastStatusCode = 16;  // absl's and gRPC's codes, 1..16 without OK
constexpr uint16_t kLastReason = static_cast<uint16_t>(ErrorReason::kCancelled);

static_assert(std::variant_size_v<p::MutationReply> == 14, "a new reply needs a codec and a line in the format page");

// Each type has Put (append) and Take (read); Take of a failed reader gives something harmless.
void Put(std::string* out, const p::FileStatus& status) {
  AppendVarint(out, status.inode.value());
  AppendBool(out, status.is_directory);
  AppendLengthPrefixed(out, status.name);
  AppendVarint(out, status.length);
  AppendVarint(out, status.permission);
  AppendLengthPrefixed(out, status.owner);
  AppendLengthPrefixed(out, status.group);
  AppendTime(out, status.modified);
  AppendTime(out, status.accessed);
  AppendVarint(out, status.replication);
  AppendVarint(out, status.block_bytes);
  AppendVarint(out, status.child_count);
  AppendBool(out, status.under_construction);
}

void Take(ByteReader* reader, p::FileStatus* status) {
  status->inode = InodeId(reader->Varint());
  status->is_directory = ReadBool(reader);
  status->name = ReadString(reader);
  status->length = reader->Varint();
  status->permission = ReadSmall<uint16_t>(reader);
  status->owner = ReadString(reader);
  status->group = ReadString(reader);
  status->modified = ReadTime(reader);
  status->accessed = ReadTime(reader);
  status->replication = ReadSmall<uint16_t>(reader);
  status->block_bytes = reader->Varint();
  status->child_count = ReadSmall<uint32_t>(reader);
  status->under_construction = ReadBool(reader);
}

void Put(std::string* out, const p::ReplicaLocation& location) {
  const p::DatanodeInfo& datanode = location.datanode;
  AppendLengthPrefixed(out, datanode.uuid.value());
  AppendLengthPrefixed(out, datanode.host_name);
  AppendVarint(out, datanode.addresses.size());
  for (const p::Address& address : datanode.addresses) {
    AppendLengthPrefixed(out, address.network);
    AppendLengthPrefixed(out, address.host);
    AppendVarint(out, address.port);
  }
  AppendLengthPrefixed(out, datanode.rack);
  AppendVarint(out, datanode.http_port);
  AppendLengthPrefixed(out, location.storage.value());
  out->push_back(static_cast<char>(location.type));
}

void Take(ByteReader* reader, p::ReplicaLocation* location) {
  p::DatanodeInfo& datanode = location->datanode;
  datanode.uuid = DatanodeUuid(ReadString(reader));
  datanode.host_name = ReadString(reader);
  const uint64_t addresses = reader->Varint();
  for (uint64_t i = 0; i < addresses && reader->ok(); ++i) {
    p::Address address;
    address.network = ReadString(reader);
    address.host = ReadString(reader);
    address.port = ReadSmall<uint16_t>(reader);
    datanode.addresses.push_back(std::move(address));
  }
  datanode.rack = ReadString(reader);
  datanode.http_port = ReadSmall<uint16_t>(reader);
  location->storage = StorageId(ReadString(reader));
  location->type = ReadEnum(reader, p::StorageType::kDisk, p::StorageType::kRamDisk);
}

void Put(std::string* out, const p::LocatedBlock& located) {
  AppendVarint(out, located.block.id.value());
  AppendVarint(out, located.block.stamp.value());
  AppendVarint(out, located.block.length);
  AppendVarint(out, located.offset);
  AppendBool(out, located.corrupt);
  AppendVarint(out, located.locations.size());
  for (const p::ReplicaLocation& location : located.locations) Put(out, location);
  AppendLengthPrefixed(out, located.token);
}

void Take(ByteReader* reader, p::LocatedBlock* located) {
  located->block.id = BlockId(reader->Varint());
  located->block.stamp = GenerationStamp(reader->Varint());
  located->block.length = reader->Varint();
  located->offset = reader->Varint();
  located->corrupt = ReadBool(reader);
  const uint64_t locations = reader->Varint();
  for (uint64_t i = 0; i < locations && reader->ok(); ++i) {
    p::ReplicaLocation location;
    Take(reader, &location);
    located->locations.push_back(std::move(location));
  }
  located->token = ReadString(reader);
}

void Put(std::string*, const p::MkdirsReply&) {}
void Take(ByteReader*, p::MkdirsReply*) {}
void Put(std::string* out, const p::CreateReply& reply) { Put(out, reply.status); }
void Take(ByteReader* reader, p::CreateReply* reply) { Take(reader, &reply->status); }
void Put(std::string* out, const p::AddBlockReply& reply) { Put(out, reply.block); }
void Take(ByteReader* reader, p::AddBlockReply* reply) { Take(reader, &reply->block); }
void Put(std::string*, const p::AbandonBlockReply&) {}
void Take(ByteReader*, p::AbandonBlockReply*) {}
void Put(std::string* out, const p::CompleteReply& reply) {
  AppendBool(out, reply.closed);
  Put(out, reply.status);
}
void Take(ByteReader* reader, p::CompleteReply* reply) {
  reply->closed = ReadBool(reader);
  Take(reader, &reply->status);
}
void Put(std::string* out, const p::RenameReply& reply) { AppendBool(out, reply.renamed); }
void Take(ByteReader* reader, p::RenameReply* reply) { reply->renamed = ReadBool(reader); }
void Put(std::string* out, const p::DeleteReply& reply) { AppendBool(out, reply.deleted); }
void Take(ByteReader* reader, p::DeleteReply* reply) { reply->deleted = ReadBool(reader); }
void Put(std::string*, const p::SetAttributesReply&) {}
void Take(ByteReader*, p::SetAttributesReply*) {}
void Put(std::string*, const p::FsyncReply&) {}
void Take(ByteReader*, p::FsyncReply*) {}
void Put(std::string*, const p::ConcatReply&) {}
void Take(ByteReader*, p::ConcatReply*) {}
void Put(std::string* out, const p::SetReplicationReply& reply) { AppendBool(out, reply.done); }
void Take(ByteReader* reader, p::SetReplicationReply* reply) { reply->done = ReadBool(reader); }
void Put(std::string* out, const p::AppendReply& reply) {
  Put(out, reply.status);
  AppendBool(out, reply.last.has_value());
  if (!reply.last.has_value()) return;
  Put(out, *reply.last);
  AppendVarint(out, reply.last_stamp.value());
}
void Take(ByteReader* reader, p::AppendReply* reply) {
  Take(reader, &reply->status);
  if (!ReadBool(reader)) return;
  Take(reader, &reply->last.emplace());
  reply->last_stamp = GenerationStamp(reader->Varint());
}
void Put(std::string* out, const p::TruncateReply& reply) { AppendBool(out, reply.done); }
void Take(ByteReader* reader, p::TruncateReply* reply) { reply->done = ReadBool(reader); }
void Put(std::string* out, const p::RecoverLeaseReply& reply) { AppendBool(out, reply.closed); }
void Take(ByteReader* reader, p::RecoverLeaseReply* reply) { reply->closed = ReadBool(reader); }

template <size_t I = 0>
void TakeReply(ByteReader* reader, size_t index, p::MutationReply* reply) {
  if constexpr (I < std::variant_size_v<p::MutationReply>) {
    if (index == I) {
      Take(reader, &reply->emplace<I>());
    } else {
      TakeReply<I + 1>(reader, index, reply);
    }
  } else {
    reader->Fail();
  }
}

}  // namespace

std::string EncodeAnswer(const Answer& answer) {
  std::string out(1, static_cast<char>(kVersion));
  if (!answer.ok()) {
    out.push_back(static_cast<char>(kErrorKind));
    AppendVarint(&out, static_cast<uint64_t>(answer.status().code()));
    AppendVarint(&out, static_cast<uint64_t>(ReasonOf(answer.status())));
    AppendLengthPrefixed(&out, MessageOf(answer.status()));
    return out;
  }
  out.push_back(static_cast<char>(1 + answer->index()));
  std::visit([&](const auto& reply) { Put(&out, reply); }, *answer);
  return out;
}

absl::StatusOr<Answer> DecodeAnswer(std::string_view bytes) {
  ByteReader reader(bytes);
  DOLMEN_RETURN_IF_ERROR(ReadVersion(&reader, kVersion, "stored answer"));
  const uint8_t kind = reader.Byte();
  if (kind == kErrorKind) {
    const uint64_t code = reader.Varint();
    const uint64_t reason = reader.Varint();
    const std::string message = ReadString(&reader);
    if (code < 1 || code > kLastStatusCode || reason > kLastReason) reader.Fail();
    DOLMEN_RETURN_IF_ERROR(reader.Finish("stored answer"));
    // Built in place: a status given to StatusOr<Answer> directly would mean that decoding failed.
    return absl::StatusOr<Answer>(
        absl::in_place, MakeError(static_cast<absl::StatusCode>(code), static_cast<ErrorReason>(reason), message));
  }
  protocol::MutationReply reply;
  TakeReply(&reader, size_t{kind} - 1, &reply);
  DOLMEN_RETURN_IF_ERROR(reader.Finish("stored answer"));
  return absl::StatusOr<Answer>(absl::in_place, std::move(reply));
}

}  // namespace dolmen::namenode
