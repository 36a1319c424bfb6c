#include "namenode/core/commit_header.h"

#include <optional>
#include <tuple>

#include "common/coding.h"
#include "common/error.h"
#include "namenode/core/digest.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/record_coding.h"

namespace dolmen::namenode {
namespace {

constexpr uint8_t kVersion = 1;

uint64_t DigestOfWrites(const std::vector<MetaWrite>& writes) {
  Digest digest;
  for (const MetaWrite& write : writes) {
    digest.Add(static_cast<uint64_t>(write.family) * 2 + (write.value.has_value() ? 1 : 0));
    digest.Add(write.key);
    if (write.value.has_value()) digest.Add(*write.value);
  }
  return digest.value();
}

}  // namespace

CommitHeader HeaderOf(const CommitBatch& batch) {
  return {.number = batch.number, .epoch = batch.epoch, .time = batch.time, .digest = DigestOfWrites(batch.writes)};
}

std::string EncodeCommitHeader(const CommitHeader& header) {
  std::string out;
  out.push_back(static_cast<char>(kVersion));
  AppendVarint(&out, header.number.value());
  AppendVarint(&out, header.epoch.value());
  AppendTime(&out, header.time);
  AppendLittleEndian64(&out, header.digest);
  return out;
}

absl::StatusOr<CommitHeader> DecodeCommitHeader(std::string_view bytes) {
  ByteReader reader(bytes);
  DOLMEN_RETURN_IF_ERROR(ReadVersion(&reader, kVersion, "commit header"));
  CommitHeader header;
  header.number = CommitNumber(reader.Varint());
  header.epoch = Epoch(reader.Varint());
  header.time = ReadTime(&reader);
  header.digest = reader.LittleEndian64();
  DOLMEN_RETURN_IF_ERROR(reader.Finish("commit header"));
  return header;
}

absl::StatusOr<CommitHeader> ReadCommitHeader(const MetaReader& reader) {
  DOLMEN_ASSIGN_OR_RETURN(const std::optional<std::string> bytes, reader.Get(Family::kMeta, keys::kCommitHeader));
  if (!bytes.has_value()) return CommitHeader{};
  return DecodeCommitHeader(*bytes);
}

absl::Status CheckFollows(const CommitHeader& last, const CommitBatch& batch) {
  const auto refuse = [](std::string_view what) {
    return MakeError(ErrorReason::kIllegalArgument, absl::StrCat("commit refused: ", ToAbsl(what)));
  };
  if (batch.number != last.number.Next()) {
    return refuse(batch.number.ToString() + " does not follow " + last.number.ToString());
  }
  if (batch.epoch < last.epoch) {
    return refuse(batch.epoch.ToString() + " is older than " + last.epoch.ToString() + " of the commit before");
  }
  const MetaWrite* before = nullptr;
  for (const MetaWrite& write : batch.writes) {
    if (before != nullptr && std::tie(before->family, before->key) >= std::tie(write.family, write.key)) {
      return refuse("its writes are not sorted by family and key, each key once");
    }
    if (write.family == Family::kMeta && write.key == keys::kCommitHeader) {
      return refuse("it writes the commit header, which is the store's");
    }
    before = &write;
  }
  return absl::OkStatus();
}

}  // namespace dolmen::namenode
