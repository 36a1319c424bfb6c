#include "namenode/core/records.h"

#include <initializer_list>

#include "common/check.h"
#include "common/error.h"
#include "namenode/core/record_coding.h"

namespace dolmen::namenode {
namespace {

// Of each record; raised when its fixed part changes (docs/formats/metadata.md).
constexpr uint8_t kVersion = 1;
// Of an open record that has one of the extensions below: a program that does not know them must not close the file.
constexpr uint8_t kOpenRecordWithMoreVersion = 2;

constexpr uint8_t kDirectoryFlag = 1;
constexpr uint8_t kUnderConstructionFlag = 2;

// Extensions of the open record.
constexpr uint64_t kStampBeforeAppendTag = 1;
constexpr uint64_t kRecoveryTag = 2;
constexpr uint64_t kTruncationTag = 3;

std::string Start() { return std::string(1, static_cast<char>(kVersion)); }

// Moves an extension into a field of its own; `take` reads its value.
template <typename Take>
absl::Status TakeExtension(Extensions* extensions, uint64_t tag, std::string_view what, const Take& take) {
  const std::string* const found = extensions->Find(tag);
  if (found == nullptr) return absl::OkStatus();
  ByteReader reader(*found);
  take(&reader);
  DOLMEN_RETURN_IF_ERROR(reader.Finish(what));
  extensions->Erase(tag);
  return absl::OkStatus();
}

std::string Varints(std::initializer_list<uint64_t> values) {
  std::string out;
  for (uint64_t value : values) AppendVarint(&out, value);
  return out;
}

}  // namespace

std::string EncodeInode(const InodeRecord& record) {
  DOLMEN_CHECK(!record.is_directory || !record.under_construction, "a directory is never under construction");
  std::string out = Start();
  out.push_back(static_cast<char>((record.is_directory ? kDirectoryFlag : 0) |
                                  (record.under_construction ? kUnderConstructionFlag : 0)));
  AppendVarint(&out, record.id.value());
  AppendVarint(&out, record.permission);
  AppendLengthPrefixed(&out, record.owner);
  AppendLengthPrefixed(&out, record.group);
  AppendTime(&out, record.modified);
  AppendTime(&out, record.accessed);
  AppendVarint(&out, record.changed_at.value());
  if (record.is_directory) {
    AppendVarint(&out, record.child_count);
  } else {
    out.push_back(static_cast<char>(record.redundancy.kind));
    AppendVarint(&out, record.redundancy.replicas);
    AppendVarint(&out, record.block_bytes);
    AppendVarint(&out, record.length);
    AppendVarint(&out, record.block_count);
  }
  record.extensions.AppendTo(&out);
  return out;
}

absl::StatusOr<InodeRecord> DecodeInode(std::string_view bytes) {
  ByteReader reader(bytes);
  DOLMEN_RETURN_IF_ERROR(ReadVersion(&reader, kVersion, "inode record"));
  InodeRecord record;
  const uint8_t flags = reader.Byte();
  if (flags > kUnderConstructionFlag) reader.Fail();  // unknown bits, or both
  record.is_directory = flags == kDirectoryFlag;
  record.under_construction = flags == kUnderConstructionFlag;
  record.id = InodeId(reader.Varint());
  record.permission = ReadSmall<uint16_t>(&reader);
  record.owner = ReadString(&reader);
  record.group = ReadString(&reader);
  record.modified = ReadTime(&reader);
  record.accessed = ReadTime(&reader);
  record.changed_at = CommitNumber(reader.Varint());
  if (record.is_directory) {
    record.child_count = reader.Varint();
  } else {
    record.redundancy.kind = ReadEnum(&reader, Redundancy::Kind::kReplicated, Redundancy::Kind::kReplicated);
    record.redundancy.replicas = ReadSmall<uint32_t>(&reader);
    record.block_bytes = reader.Varint();
    record.length = reader.Varint();
    record.block_count = reader.Varint();
  }
  record.extensions = Extensions::ReadFrom(&reader);
  DOLMEN_RETURN_IF_ERROR(reader.Finish("inode record"));
  return record;
}

std::string EncodeParentLink(const ParentLink& record) {
  std::string out = Start();
  AppendVarint(&out, record.parent.value());
  AppendLengthPrefixed(&out, record.name);
  return out;
}

absl::StatusOr<ParentLink> DecodeParentLink(std::string_view bytes) {
  ByteReader reader(bytes);
  DOLMEN_RETURN_IF_ERROR(ReadVersion(&reader, kVersion, "parent link"));
  ParentLink record;
  record.parent = InodeId(reader.Varint());
  record.name = ReadString(&reader);
  DOLMEN_RETURN_IF_ERROR(reader.Finish("parent link"));
  return record;
}

std::string EncodeBlock(const BlockRecord& record) {
  std::string out = Start();
  out.push_back(static_cast<char>(record.state));
  AppendVarint(&out, record.inode.value());
  AppendVarint(&out, record.index);
  AppendVarint(&out, record.stamp.value());
  AppendVarint(&out, record.length);
  AppendVarint(&out, record.replicas_wanted);
  AppendVarint(&out, record.changed_at.value());
  record.extensions.AppendTo(&out);
  return out;
}

absl::StatusOr<BlockRecord> DecodeBlock(std::string_view bytes) {
  ByteReader reader(bytes);
  DOLMEN_RETURN_IF_ERROR(ReadVersion(&reader, kVersion, "block record"));
  BlockRecord record;
  record.state = ReadEnum(&reader, BlockState::kUnderConstruction, BlockState::kCommitted);
  record.inode = InodeId(reader.Varint());
  record.index = reader.Varint();
  record.stamp = GenerationStamp(reader.Varint());
  record.length = reader.Varint();
  record.replicas_wanted = ReadSmall<uint32_t>(&reader);
  record.changed_at = CommitNumber(reader.Varint());
  record.extensions = Extensions::ReadFrom(&reader);
  DOLMEN_RETURN_IF_ERROR(reader.Finish("block record"));
  return record;
}

namespace {
bool HasMore(const OpenRecord& record) { return record.stamp_before_append || record.recovery || record.truncation; }
}  // namespace

std::string EncodeOpen(const OpenRecord& record) {
  std::string out(1, static_cast<char>(HasMore(record) ? kOpenRecordWithMoreVersion : kVersion));
  AppendLengthPrefixed(&out, record.holder);
  AppendLengthPrefixed(&out, record.client_host);
  AppendVarint(&out, record.last_pipeline.size());
  for (const OpenRecord::Target& target : record.last_pipeline) {
    AppendLengthPrefixed(&out, target.datanode.value());
    AppendLengthPrefixed(&out, target.storage.value());
  }
  Extensions extensions = record.extensions;
  if (record.stamp_before_append) {
    extensions.Set(kStampBeforeAppendTag, Varints({record.stamp_before_append->value()}));
  }
  if (record.recovery) extensions.Set(kRecoveryTag, Varints({record.recovery->value()}));
  if (record.truncation) {
    extensions.Set(kTruncationTag, Varints({record.truncation->copy.value(), record.truncation->length}));
  }
  extensions.AppendTo(&out);
  return out;
}

absl::StatusOr<OpenRecord> DecodeOpen(std::string_view bytes) {
  ByteReader reader(bytes);
  const bool is_plain = bytes.starts_with(Start());
  DOLMEN_RETURN_IF_ERROR(ReadVersion(&reader, is_plain ? kVersion : kOpenRecordWithMoreVersion, "open record"));
  OpenRecord record;
  record.holder = ReadString(&reader);
  record.client_host = ReadString(&reader);
  const uint64_t targets = reader.Varint();
  for (uint64_t i = 0; i < targets && reader.ok(); ++i) {
    OpenRecord::Target target;
    target.datanode = DatanodeUuid(ReadString(&reader));
    target.storage = StorageId(ReadString(&reader));
    record.last_pipeline.push_back(std::move(target));
  }
  record.extensions = Extensions::ReadFrom(&reader);
  DOLMEN_RETURN_IF_ERROR(reader.Finish("open record"));
  DOLMEN_RETURN_IF_ERROR(
      TakeExtension(&record.extensions, kStampBeforeAppendTag, "open record: stamp before append",
                    [&](ByteReader* value) { record.stamp_before_append = GenerationStamp(value->Varint()); }));
  DOLMEN_RETURN_IF_ERROR(TakeExtension(&record.extensions, kRecoveryTag, "open record: recovery",
                                       [&](ByteReader* value) { record.recovery = GenerationStamp(value->Varint()); }));
  DOLMEN_RETURN_IF_ERROR(
      TakeExtension(&record.extensions, kTruncationTag, "open record: truncation", [&](ByteReader* value) {
        const BlockId copy(value->Varint());
        record.truncation = {.copy = copy, .length = value->Varint()};
      }));
  if (is_plain == HasMore(record)) {
    return MakeError(ErrorReason::kDamaged, "open record: its extensions do not belong to its version");
  }
  return record;
}

std::string EncodeDetached(const DetachedRecord& record) {
  std::string out = Start();
  AppendLengthPrefixed(&out, EncodeInode(record.inode));
  AppendTime(&out, record.deleted_at);
  record.extensions.AppendTo(&out);
  return out;
}

absl::StatusOr<DetachedRecord> DecodeDetached(std::string_view bytes) {
  ByteReader reader(bytes);
  DOLMEN_RETURN_IF_ERROR(ReadVersion(&reader, kVersion, "detached record"));
  DetachedRecord record;
  const std::string_view inode = reader.LengthPrefixed();
  record.deleted_at = ReadTime(&reader);
  record.extensions = Extensions::ReadFrom(&reader);
  DOLMEN_RETURN_IF_ERROR(reader.Finish("detached record"));
  DOLMEN_ASSIGN_OR_RETURN(record.inode, DecodeInode(inode), "detached record");
  return record;
}

std::string EncodeTotals(const TotalsRecord& record) {
  std::string out = Start();
  AppendVarint(&out, record.files);
  AppendVarint(&out, record.directories);
  AppendVarint(&out, record.bytes);
  AppendVarint(&out, record.replicated_bytes.size());
  for (const auto& [type, bytes] : record.replicated_bytes) {
    out.push_back(static_cast<char>(type));
    AppendVarint(&out, bytes);
  }
  record.extensions.AppendTo(&out);
  return out;
}

absl::StatusOr<TotalsRecord> DecodeTotals(std::string_view bytes) {
  ByteReader reader(bytes);
  DOLMEN_RETURN_IF_ERROR(ReadVersion(&reader, kVersion, "totals record"));
  TotalsRecord record;
  record.files = reader.Varint();
  record.directories = reader.Varint();
  record.bytes = reader.Varint();
  const uint64_t types = reader.Varint();
  for (uint64_t i = 0; i < types && reader.ok(); ++i) {
    const auto type = ReadEnum(&reader, protocol::StorageType::kDisk, protocol::StorageType::kRamDisk);
    const uint64_t replicated = reader.Varint();
    if (!record.replicated_bytes.empty() && type <= record.replicated_bytes.rbegin()->first) reader.Fail();
    record.replicated_bytes.emplace(type, replicated);
  }
  record.extensions = Extensions::ReadFrom(&reader);
  DOLMEN_RETURN_IF_ERROR(reader.Finish("totals record"));
  return record;
}

std::string EncodeSession(const SessionRecord& record) {
  std::string out = Start();
  AppendVarint(&out, record.forgotten_below);
  AppendTime(&out, record.last_used);
  AppendVarint(&out, record.answers.size());
  for (size_t i = 0; i < record.answers.size(); ++i) {
    const SessionRecord::Answer& answer = record.answers[i];
    DOLMEN_CHECK(i == 0 || record.answers[i - 1].call_id < answer.call_id, "a session's answers are sorted by call id");
    AppendVarint(&out, answer.call_id);
    AppendLittleEndian64(&out, answer.request_digest);
    AppendLengthPrefixed(&out, answer.answer);
  }
  record.extensions.AppendTo(&out);
  return out;
}

absl::StatusOr<SessionRecord> DecodeSession(std::string_view bytes) {
  ByteReader reader(bytes);
  DOLMEN_RETURN_IF_ERROR(ReadVersion(&reader, kVersion, "session record"));
  SessionRecord record;
  record.forgotten_below = reader.Varint();
  record.last_used = ReadTime(&reader);
  const uint64_t answers = reader.Varint();
  for (uint64_t i = 0; i < answers && reader.ok(); ++i) {
    SessionRecord::Answer answer;
    answer.call_id = reader.Varint();
    answer.request_digest = reader.LittleEndian64();
    answer.answer = ReadString(&reader);
    if (!record.answers.empty() && answer.call_id <= record.answers.back().call_id) reader.Fail();
    record.answers.push_back(std::move(answer));
  }
  record.extensions = Extensions::ReadFrom(&reader);
  DOLMEN_RETURN_IF_ERROR(reader.Finish("session record"));
  return record;
}

// The layout version comes right after the record's version in every layout, so that an older program can always say
// how new the directory is (bootstrap.h).
std::string EncodeNamespaceInfo(const NamespaceInfo& record) {
  std::string out = Start();
  AppendVarint(&out, record.layout_version);
  AppendLengthPrefixed(&out, record.cluster.value());
  AppendLittleEndian64(&out, record.namespace_id);
  AppendLengthPrefixed(&out, record.block_pool);
  AppendTime(&out, record.formatted_at);
  AppendLengthPrefixed(&out, record.superuser);
  AppendLengthPrefixed(&out, record.supergroup);
  return out;
}

absl::StatusOr<NamespaceInfo> DecodeNamespaceInfo(std::string_view bytes) {
  ByteReader reader(bytes);
  DOLMEN_RETURN_IF_ERROR(ReadVersion(&reader, kVersion, "namespace record"));
  NamespaceInfo record;
  record.layout_version = ReadSmall<uint32_t>(&reader);
  record.cluster = ClusterId(ReadString(&reader));
  record.namespace_id = reader.LittleEndian64();
  record.block_pool = ReadString(&reader);
  record.formatted_at = ReadTime(&reader);
  record.superuser = ReadString(&reader);
  record.supergroup = ReadString(&reader);
  DOLMEN_RETURN_IF_ERROR(reader.Finish("namespace record"));
  return record;
}

std::string EncodeCounters(const Counters& record) {
  std::string out = Start();
  AppendVarint(&out, record.epoch.value());
  AppendVarint(&out, record.next_inode.value());
  AppendVarint(&out, record.next_block.value());
  AppendVarint(&out, record.next_stamp.value());
  AppendTime(&out, record.last_commit_time);
  AppendVarint(&out, record.block_count);
  AppendVarint(&out, record.committed_block_count);
  return out;
}

absl::StatusOr<Counters> DecodeCounters(std::string_view bytes) {
  ByteReader reader(bytes);
  DOLMEN_RETURN_IF_ERROR(ReadVersion(&reader, kVersion, "counters"));
  Counters record;
  record.epoch = Epoch(reader.Varint());
  record.next_inode = InodeId(reader.Varint());
  record.next_block = BlockId(reader.Varint());
  record.next_stamp = GenerationStamp(reader.Varint());
  record.last_commit_time = ReadTime(&reader);
  record.block_count = reader.Varint();
  record.committed_block_count = reader.Varint();
  DOLMEN_RETURN_IF_ERROR(reader.Finish("counters"));
  return record;
}

}  // namespace dolmen::namenode
