#include "namenode/core/bootstrap.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/error.h"
#include "namenode/core/commit_header.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/meta_batch.h"
#include "namenode/core/record_coding.h"

namespace dolmen::namenode {
namespace {

constexpr CommitNumber kFormatCommit{1};
constexpr uint16_t kRootPermission = 0755;
constexpr uint64_t kPositive31Bits = (uint64_t{1} << 31) - 1;
constexpr int64_t kMaxClockLagMs = 10'000;

// An empty store to build on.
class Nothing final : public MetaReader {
 public:
  absl::StatusOr<std::optional<std::string>> Get(Family, std::string_view) const override { return std::nullopt; }
  absl::Status Scan(Family, std::string_view, std::string_view,
                    absl::FunctionRef<bool(std::string_view, std::string_view)>) const override {
    return absl::OkStatus();
  }
};

absl::StatusOr<Counters> ReadCounters(const MetaReader& reader) {
  DOLMEN_ASSIGN_OR_RETURN(const std::optional<std::string> bytes, reader.Get(Family::kMeta, keys::kCounters));
  if (!bytes.has_value()) return MakeError(ErrorReason::kDamaged, "the record of the namespace's counters is missing");
  return DecodeCounters(*bytes);
}

}  // namespace

NamespaceInfo MintNamespace(Random* random, std::string superuser, std::string supergroup, WallTime now) {
  NamespaceInfo info;
  info.layout_version = kLayoutVersion;
  info.cluster = ClusterId("CID-" + random->Uuid());
  info.namespace_id = random->Between(1, kPositive31Bits);
  info.block_pool = absl::StrCat("BP-", random->Between(1, kPositive31Bits), "-", now.ms);
  info.formatted_at = now;
  info.superuser = std::move(superuser);
  info.supergroup = std::move(supergroup);
  return info;
}

CommitBatch FormatBatch(const NamespaceInfo& info) {
  const Nothing nothing;
  MetaBatch batch(&nothing);
  batch.Put(Family::kMeta, std::string(keys::kNamespaceInfo), EncodeNamespaceInfo(info));
  const Counters counters{.epoch = Epoch(),
                          .next_inode = kRootInode.Next(),
                          .next_block = kFirstBlockId,
                          .next_stamp = kFirstGenerationStamp,
                          .last_commit_time = info.formatted_at};
  batch.Put(Family::kMeta, std::string(keys::kCounters), EncodeCounters(counters));
  InodeRecord root;
  root.id = kRootInode;
  root.is_directory = true;
  root.permission = kRootPermission;
  root.owner = info.superuser;
  root.group = info.supergroup;
  root.modified = info.formatted_at;
  root.changed_at = kFormatCommit;
  batch.Put(Family::kInodes, keys::Inode(InodeId(), ""), EncodeInode(root));
  batch.Put(Family::kIds, keys::Id(kRootInode), EncodeParentLink({}));
  batch.Put(Family::kTotals, keys::Id(kRootInode), EncodeTotals({}));
  return {.number = kFormatCommit, .epoch = Epoch(), .time = info.formatted_at, .writes = batch.TakeWrites()};
}

absl::StatusOr<NamespaceInfo> ReadNamespace(const MetaReader& reader) {
  DOLMEN_ASSIGN_OR_RETURN(const std::optional<std::string> bytes, reader.Get(Family::kMeta, keys::kNamespaceInfo));
  if (!bytes.has_value()) {
    return MakeError(ErrorReason::kFileNotFound, "no namespace here: not formatted; run dolmen-namenode --format");
  }
  // The layout version stands in the same place in every layout: read it before anything that may have changed.
  ByteReader front(*bytes);
  front.Byte();
  const uint64_t layout = front.Varint();
  if (front.ok() && layout > kLayoutVersion) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat("the metadata has layout version ", layout, ", this program knows versions up to ",
                                  kLayoutVersion, "; start the newer program that wrote it"));
  }
  return DecodeNamespaceInfo(*bytes);
}

GenerationStamp FirstStampOf(Epoch epoch) { return GenerationStamp(epoch.value() << kStampsPerEpochBits); }

absl::StatusOr<Start> PlanStart(const MetaReader& published, WallTime now) {
  Start start;
  DOLMEN_ASSIGN_OR_RETURN(start.info, ReadNamespace(published));
  DOLMEN_ASSIGN_OR_RETURN(start.counters, ReadCounters(published));
  DOLMEN_ASSIGN_OR_RETURN(const CommitHeader last, ReadCommitHeader(published));
  if (last.number.is_none()) {
    return MakeError(ErrorReason::kDamaged, "the header of the last commit is missing from formatted metadata");
  }
  if (last.epoch != start.counters.epoch) {
    return MakeError(ErrorReason::kDamaged,
                     absl::StrCat("the counters are of ", start.counters.epoch.ToString(), ", the last commit of ",
                                  last.epoch.ToString(), "; restore a checkpoint"));
  }
  const WallTime before = std::max(start.counters.last_commit_time, last.time);
  const bool lagging = now < before && before.ms - now.ms < kMaxClockLagMs;
  start.counters.epoch = last.epoch.Next();
  start.counters.next_stamp = std::max(start.counters.next_stamp, FirstStampOf(start.counters.epoch));
  start.counters.last_commit_time = lagging ? before : now;

  MetaBatch batch(&published);
  batch.Put(Family::kMeta, std::string(keys::kCounters), EncodeCounters(start.counters));
  start.batch = {.number = last.number.Next(),
                 .epoch = start.counters.epoch,
                 .time = start.counters.last_commit_time,
                 .writes = batch.TakeWrites()};
  return start;
}

}  // namespace dolmen::namenode
