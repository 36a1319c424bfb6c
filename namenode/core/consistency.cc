#include "namenode/core/consistency.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/coding.h"
#include "common/error.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/operation.h"
#include "namenode/core/records.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode {

namespace {

constexpr size_t kViolationsListed = 8;

struct Node {
  InodeId parent;
  std::string name;
  InodeRecord record;
  bool is_detached = false;  // a deleted root
};

std::string NameOf(InodeId id, std::string_view name) { return absl::StrCat(id.ToString(), " '", ToAbsl(name), "'"); }

struct FileBlockKey {
  InodeId inode;
  uint64_t index = 0;
};

absl::StatusOr<FileBlockKey> ParseFileBlock(std::string_view key) {
  ByteReader reader(key);
  FileBlockKey parsed{.inode = InodeId(reader.BigEndian64())};
  parsed.index = reader.BigEndian64();
  DOLMEN_RETURN_IF_ERROR(reader.Finish("file block key"));
  return parsed;
}

absl::StatusOr<std::string> ParseSession(std::string_view key) { return std::string(key); }

// Why a namespace that passes is a tree without cycles, though no path is followed: the totals of a directory count all
// directories below it, so along a cycle they would have to rise for ever. A directory whose totals are wrong is looked
// at more closely.
class Checker {
 public:
  Checker(const MetaReader& reader, absl::FunctionRef<void(std::string_view)> found) : reader_(reader), found_(found) {}

  absl::StatusOr<ConsistencyReport> Run() {
    DOLMEN_RETURN_IF_ERROR(LoadCounters());
    DOLMEN_RETURN_IF_ERROR(CheckInodes());
    DOLMEN_RETURN_IF_ERROR(CheckDetached());
    DOLMEN_RETURN_IF_ERROR(CheckIds());
    DOLMEN_RETURN_IF_ERROR(CheckTotals());
    DOLMEN_RETURN_IF_ERROR(CheckFileBlocks());
    DOLMEN_RETURN_IF_ERROR(CheckBlocks());
    DOLMEN_RETURN_IF_ERROR(CheckOpen());
    DOLMEN_RETURN_IF_ERROR(CheckSessions());
    DOLMEN_RETURN_IF_ERROR(CheckReplicationChanges());
    CheckCounters();
    DOLMEN_RETURN_IF_ERROR(CheckQuarantined());
    return report_;
  }

 private:
  // ---- reading ------------------------------------------------------------------------------------------------------

  // Reads a whole family; `take` gets the decoded key and record.
  template <typename Key, typename Record, typename Take>
  absl::Status ScanFamily(Family family, absl::StatusOr<Key> (*parse_key)(std::string_view),
                          absl::StatusOr<Record> (*decode)(std::string_view), const Take& take) {
    DOLMEN_RETURN_IF_ERROR(reader_.Scan(family, "", "", [&](std::string_view key, std::string_view value) {
      absl::StatusOr<Key> parsed = parse_key(key);
      absl::StatusOr<Record> record = decode(value);
      if (!parsed.ok() || !record.ok()) {
        const absl::Status& why = parsed.ok() ? record.status() : parsed.status();
        Violation(absl::StrCat("family ", static_cast<int>(family), ": ", why.message()));
      } else {
        take(*parsed, *std::move(record));
      }
      return store_error_.ok();
    }));
    return store_error_;
  }

  template <typename Record>
  struct Found {
    bool exists = false;
    std::optional<Record> record;  // nothing though it exists: it does not decode, which the scan of its family tells
  };
  // A failure of the store ends the check.
  template <typename Record>
  Found<Record> Get(Family family, std::string_view key, absl::StatusOr<Record> (*decode)(std::string_view)) {
    const absl::StatusOr<std::optional<std::string>> bytes = reader_.Get(family, key);
    if (!bytes.ok()) {
      store_error_ = bytes.status();
      return {.exists = true};
    }
    if (!bytes->has_value()) return {};
    absl::StatusOr<Record> record = decode(**bytes);
    if (!record.ok()) return {.exists = true};
    return {.exists = true, .record = *std::move(record)};
  }

  // The inode that `ids` or `detached` has under this id.
  Found<Node> FindNode(InodeId id) {
    const Found<ParentLink> link = Get(Family::kIds, keys::Id(id), DecodeParentLink);
    if (link.exists) {
      if (!link.record.has_value()) return {.exists = true};
      Found<InodeRecord> inode = Get(Family::kInodes, keys::Inode(link.record->parent, link.record->name), DecodeInode);
      if (inode.exists && !inode.record.has_value()) return {.exists = true};
      if (!inode.exists || inode.record->id != id) return {};
      return {.exists = true,
              .record = Node{.parent = link.record->parent, .name = link.record->name, .record = *inode.record}};
    }
    Found<DetachedRecord> detached = Get(Family::kDetached, keys::Id(id), DecodeDetached);
    if (!detached.exists) return {};
    if (!detached.record.has_value()) return {.exists = true};
    return {.exists = true, .record = Node{.record = detached.record->inode, .is_detached = true}};
  }

  bool HasEntry(Family family, std::string_view start, std::string_view end) {
    bool any = false;
    const absl::Status scanned = reader_.Scan(family, start, end, [&](std::string_view, std::string_view) {
      any = true;
      return false;
    });
    if (!scanned.ok()) store_error_ = scanned;
    return any;
  }

  // ---- the tree -----------------------------------------------------------------------------------------------------

  // The entries of one directory, which follow each other.
  struct Siblings {
    InodeId parent;
    std::string first_name;
    InodeId first_id;
    uint64_t count = 0;
    TotalsRecord sum;
  };

  absl::Status CheckInodes() {
    Siblings siblings;
    bool has_root = false;
    DOLMEN_RETURN_IF_ERROR(
        ScanFamily(Family::kInodes, keys::ParseInode, DecodeInode, [&](const keys::InodeKey& key, InodeRecord record) {
          if (key.parent != siblings.parent) {
            EndSiblings(siblings);
            siblings = {.parent = key.parent, .first_name = std::string(key.name), .first_id = record.id};
          }
          CheckPlace(key, record.id);
          CheckNode(record, key.name, /*is_detached=*/false);
          if (key.parent.is_none()) {
            if (record.id == kRootInode && key.name.empty()) {
              has_root = record.is_directory;
            } else {
              Violation(absl::StrCat(NameOf(record.id, key.name), " has no parent directory ", key.parent.ToString()));
            }
            return;
          }
          ++siblings.count;
          AddTo(&siblings.sum, record);
        }));
    EndSiblings(siblings);
    if (!has_root) Violation("there is no root directory");
    return store_error_;
  }

  // `ids` names this place for the inode.
  void CheckPlace(const keys::InodeKey& key, InodeId id) {
    const Found<ParentLink> link = Get(Family::kIds, keys::Id(id), DecodeParentLink);
    if (link.exists && !link.record.has_value()) return;
    if (link.exists && link.record->parent == key.parent && link.record->name == key.name) return;
    if (link.exists) {
      const Found<InodeRecord> other =
          Get(Family::kInodes, keys::Inode(link.record->parent, link.record->name), DecodeInode);
      if (other.record.has_value() && other.record->id == id) {
        return Violation(absl::StrCat(NameOf(id, key.name), " has two places"));
      }
    }
    Violation(absl::StrCat("ids: ", NameOf(id, key.name), " is elsewhere or missing"));
  }

  // What can be said of an inode without its children and blocks.
  void CheckNode(const InodeRecord& record, std::string_view name, bool is_detached) {
    highest_inode_ = std::max(highest_inode_, record.id);
    if (!record.is_directory) {
      if (!is_detached) ++report_.files;
      if (record.under_construction && !Get(Family::kOpen, keys::Id(record.id), DecodeOpen).exists) {
        Violation(absl::StrCat(NameOf(record.id, name), " is under construction without a lease"));
      }
      // Files that have blocks are looked at with these. A scan costs much more than a look-up.
      if (record.block_count == 0 && record.length == 0) return;
      if (Get(Family::kFileBlocks, keys::FileBlock(record.id, 0), keys::ParseFileBlockValue).exists) return;
      if (HasEntry(Family::kFileBlocks, keys::FileBlock(record.id, 0), keys::FileBlockEnd(record.id))) return;
      CheckBlockSums(record, name, /*count=*/0, /*length=*/0);
      return;
    }
    if (!is_detached) ++report_.directories;
    if (HasEntry(Family::kInodes, keys::InodePrefix(record.id), keys::InodePrefixEnd(record.id))) return;
    CheckChildren(record, name, is_detached, /*count=*/0, {});
  }

  void AddTo(TotalsRecord* sum, const InodeRecord& child) {
    if (!child.is_directory) {
      ++sum->files;
      sum->bytes += child.length;
      const uint64_t replicated = child.length * child.redundancy.replicas;
      if (replicated != 0) sum->replicated_bytes[protocol::StorageType::kDisk] += replicated;
      return;
    }
    ++sum->directories;
    const Found<TotalsRecord> below = Get(Family::kTotals, keys::Id(child.id), DecodeTotals);
    if (!below.record.has_value()) return;
    sum->files += below.record->files;
    sum->directories += below.record->directories;
    sum->bytes += below.record->bytes;
    for (const auto& [type, bytes] : below.record->replicated_bytes) sum->replicated_bytes[type] += bytes;
  }

  void EndSiblings(const Siblings& siblings) {
    if (siblings.count == 0) return;
    const Found<Node> parent = FindNode(siblings.parent);
    if (parent.exists && !parent.record.has_value()) return;
    if (!parent.exists || !parent.record->record.is_directory) {
      const std::string more = siblings.count == 1 ? "" : absl::StrCat(" (and ", siblings.count - 1, " beside it)");
      return Violation(absl::StrCat(NameOf(siblings.first_id, siblings.first_name), more, " has no parent directory ",
                                    siblings.parent.ToString()));
    }
    CheckChildren(parent.record->record, parent.record->name, parent.record->is_detached, siblings.count, siblings.sum);
  }

  void CheckChildren(const InodeRecord& directory, std::string_view name, bool is_detached, uint64_t count,
                     const TotalsRecord& sum) {
    if (directory.child_count != count) {
      Violation(
          absl::StrCat(NameOf(directory.id, name), " counts ", directory.child_count, " children and has ", count));
    }
    if (is_detached) return;  // has no totals
    const Found<TotalsRecord> stored = Get(Family::kTotals, keys::Id(directory.id), DecodeTotals);
    if (stored.exists && !stored.record.has_value()) return;
    if (stored.record.value_or(TotalsRecord()) == sum) return;
    Violation(absl::StrCat("totals of ", NameOf(directory.id, name), " differ from a recount: ", sum.files, " files, ",
                           sum.directories, " directories, ", sum.bytes, " bytes"));
    if (IsInCycle(directory.id)) Violation(absl::StrCat(NameOf(directory.id, name), " hangs below nothing"));
  }

  // Brent's algorithm: a mark that moves up at growing distances.
  bool IsInCycle(InodeId directory) {
    InodeId mark = directory;
    InodeId at = directory;
    uint64_t steps = 0, limit = 1;
    while (at != kRootInode) {
      const Found<ParentLink> link = Get(Family::kIds, keys::Id(at), DecodeParentLink);
      if (!link.record.has_value()) return false;
      at = link.record->parent;
      if (at == mark) return true;
      if (++steps == limit) {
        mark = at;
        steps = 0;
        limit *= 2;
      }
    }
    return false;
  }

  absl::Status CheckDetached() {
    return ScanFamily(Family::kDetached, keys::ParseId, DecodeDetached, [&](InodeId id, const DetachedRecord& record) {
      ++report_.deleted_roots;
      if (id != record.inode.id) Violation(absl::StrCat("detached ", id.ToString(), " has another id inside"));
      if (Get(Family::kIds, keys::Id(id), DecodeParentLink).exists) {
        Violation(absl::StrCat("ids: deleted ", id.ToString(), " still has a place"));
      }
      CheckNode(record.inode, "", /*is_detached=*/true);
    });
  }

  absl::Status CheckIds() {
    return ScanFamily(Family::kIds, keys::ParseId, DecodeParentLink, [&](InodeId id, const ParentLink& link) {
      const Found<InodeRecord> inode = Get(Family::kInodes, keys::Inode(link.parent, link.name), DecodeInode);
      if (inode.exists && (!inode.record.has_value() || inode.record->id == id)) return;
      Violation(
          absl::StrCat("ids: ", id.ToString(), " does not exist as '", link.name, "' of ", link.parent.ToString()));
    });
  }

  absl::Status CheckTotals() {
    return ScanFamily(Family::kTotals, keys::ParseId, DecodeTotals, [&](InodeId id, const TotalsRecord&) {
      const Found<Node> node = FindNode(id);
      if (node.exists && !node.record.has_value()) return;
      if (node.exists && node.record->record.is_directory && !node.record->is_detached) return;
      Violation(absl::StrCat("totals of ", id.ToString(), ", which is no directory of the tree"));
    });
  }

  // ---- blocks -------------------------------------------------------------------------------------------------------

  // The blocks of one file, which follow each other.
  struct FileBlocks {
    InodeId inode;
    Found<Node> file;
    uint64_t count = 0;
    uint64_t length = 0;
  };

  absl::Status CheckFileBlocks() {
    FileBlocks blocks;
    DOLMEN_RETURN_IF_ERROR(ScanFamily(Family::kFileBlocks, &ParseFileBlock, keys::ParseFileBlockValue,
                                      [&](const FileBlockKey& key, BlockId id) {
                                        if (key.inode != blocks.inode) {
                                          EndFile(blocks);
                                          BeginFile(key.inode, &blocks);
                                        }
                                        CheckFileBlock(key, id, &blocks);
                                      }));
    EndFile(blocks);
    return store_error_;
  }

  void BeginFile(InodeId inode, FileBlocks* blocks) {
    *blocks = {.inode = inode, .file = FindNode(inode)};
    if (blocks->file.exists && !blocks->file.record.has_value()) return;
    if (blocks->file.exists && !blocks->file.record->record.is_directory) return;
    Violation(absl::StrCat("file_blocks: ", inode.ToString(), " is no file"));
    blocks->file.record.reset();
  }

  void EndFile(const FileBlocks& blocks) {
    if (!blocks.file.record.has_value()) return;
    const Node& file = *blocks.file.record;
    CheckBlockSums(file.record, file.name, blocks.count, blocks.length);
  }

  void CheckBlockSums(const InodeRecord& file, std::string_view name, uint64_t count, uint64_t length) {
    if (file.block_count != count) {
      Violation(absl::StrCat(NameOf(file.id, name), " counts ", file.block_count, " blocks and has ", count));
    }
    if (file.length != length) {
      Violation(absl::StrCat(NameOf(file.id, name), " has length ", file.length, ", its blocks ", length));
    }
  }

  void CheckFileBlock(const FileBlockKey& key, BlockId id, FileBlocks* blocks) {
    if (!blocks->file.record.has_value()) return;
    const Node& node = *blocks->file.record;
    const InodeRecord& file = node.record;
    const std::string name = NameOf(file.id, node.name);
    if (key.index != blocks->count++) Violation(absl::StrCat(name, " has a gap before block ", key.index));
    const Found<BlockRecord> block = Get(Family::kBlocks, keys::Block(id), DecodeBlock);
    if (!block.exists) return Violation(absl::StrCat(name, " has an unknown block ", id.ToString()));
    if (!block.record.has_value()) return;
    const BlockRecord& record = *block.record;
    blocks->length += record.length;
    if (record.inode != key.inode || record.index != key.index) {
      const Found<BlockId> other =
          Get(Family::kFileBlocks, keys::FileBlock(record.inode, record.index), keys::ParseFileBlockValue);
      if (other.record == id) return Violation(absl::StrCat(id.ToString(), " belongs to two files"));
      return Violation(
          absl::StrCat(id.ToString(), " says it is block ", record.index, " of ", record.inode.ToString()));
    }
    if (record.replicas_wanted != file.redundancy.replicas && !MayWantOthers(key)) {
      Violation(absl::StrCat(id.ToString(), " wants another number of replicas than ", name));
    }
    const bool may_be_open = key.index + 1 == file.block_count && (file.under_construction || node.is_detached);
    if (record.state == BlockState::kUnderConstruction) {
      if (!may_be_open) Violation(absl::StrCat(id.ToString(), " of ", name, " is under construction"));
      if (record.length != 0 && !node.is_detached && !IsAppendedTo(file.id)) {
        Violation(absl::StrCat(id.ToString(), " is under construction and has a length"));
      }
    }
    if (record.length > file.block_bytes) Violation(absl::StrCat(id.ToString(), " is longer than a block"));
    if (key.index + 1 < file.block_count && record.length != file.block_bytes &&
        file.extensions.Find(kIrregularBlocksTag) == nullptr) {
      Violation(absl::StrCat(id.ToString(), " is short, but ", name, " is not marked irregular"));
    }
  }

  // A change of the file's replication has not come to this block yet, and never will when the file was deleted.
  bool MayWantOthers(const FileBlockKey& block) {
    const Found<uint64_t> next = Get(Family::kMeta, keys::Replication(block.inode), keys::ParseReplicationValue);
    if (next.exists && (!next.record.has_value() || block.index >= *next.record)) return true;
    const absl::StatusOr<std::optional<InodePlace>> place = FindPlace(reader_, block.inode);
    return place.ok() && !place->has_value();
  }

  absl::Status CheckBlocks() {
    return ScanFamily(Family::kBlocks, keys::ParseBlock, DecodeBlock, [&](BlockId id, const BlockRecord& record) {
      ++report_.blocks;
      if (record.state == BlockState::kCommitted) ++committed_blocks_;
      highest_block_ = std::max(highest_block_, id);
      if (counters_.has_value() && record.stamp >= counters_->next_stamp) {
        Violation(absl::StrCat(id.ToString(), " has a stamp above its counter"));
      }
      if (id.value() % kBlockIdStep != 0) Violation(absl::StrCat(id.ToString(), " uses reserved bits"));
      const Found<BlockId> owned =
          Get(Family::kFileBlocks, keys::FileBlock(record.inode, record.index), keys::ParseFileBlockValue);
      if (owned.exists && !owned.record.has_value()) return;
      if (owned.record != id && !IsCopy(id, record.inode)) {
        Violation(absl::StrCat(id.ToString(), " belongs to no file"));
      }
    });
  }

  Found<OpenRecord> FindOpen(InodeId file) { return Get(Family::kOpen, keys::Id(file), DecodeOpen); }

  bool IsAppendedTo(InodeId file) {
    const Found<OpenRecord> open = FindOpen(file);
    return open.exists && (!open.record.has_value() || open.record->stamp_before_append.has_value());
  }

  // The block that will take the place of the file's last one when that has been cut: no block of the file yet.
  bool IsCopy(BlockId block, InodeId file) {
    const Found<OpenRecord> open = FindOpen(file);
    if (open.exists && !open.record.has_value()) return true;
    return open.exists && open.record->truncation.has_value() && open.record->truncation->copy == block;
  }

  // ---- the rest -----------------------------------------------------------------------------------------------------

  absl::Status CheckOpen() {
    return ScanFamily(Family::kOpen, keys::ParseId, DecodeOpen, [&](InodeId id, const OpenRecord& open) {
      ++report_.open_files;
      const Found<Node> node = FindNode(id);
      if (node.exists && !node.record.has_value()) return;
      if (node.exists && node.record->record.under_construction) return CheckOpenRecord(*node.record, open);
      Violation(absl::StrCat("open: ", id.ToString(), " is not under construction"));
    });
  }

  // What is said of the file's last block.
  void CheckOpenRecord(const Node& node, const OpenRecord& open) {
    const InodeRecord& file = node.record;
    const std::string name = absl::StrCat("open: ", NameOf(file.id, node.name));
    if (open.holder != kNamenodeHolder && (open.recovery.has_value() || open.truncation.has_value())) {
      Violation(absl::StrCat(name, " is recovered or truncated under the writer ", open.holder));
    }
    if (!open.stamp_before_append && !open.recovery && !open.truncation) return;
    if (file.block_count == 0) {
      return Violation(absl::StrCat(name, " has no last block to append to, recover or truncate"));
    }
    const Found<BlockId> last =
        Get(Family::kFileBlocks, keys::FileBlock(file.id, file.block_count - 1), keys::ParseFileBlockValue);
    if (!last.record.has_value()) return;  // the checks of the blocks tell
    const Found<BlockRecord> block = Get(Family::kBlocks, keys::Block(*last.record), DecodeBlock);
    if (!block.record.has_value()) return;
    CheckLastBlock(name, *block.record, open);
    if (open.truncation.has_value()) CheckTruncation(name, *block.record, *open.truncation);
  }

  void CheckLastBlock(const std::string& name, const BlockRecord& block, const OpenRecord& open) {
    const bool is_open = block.state == BlockState::kUnderConstruction;
    if ((open.stamp_before_append || open.recovery) && !is_open) {
      Violation(absl::StrCat(name, " is appended to or recovered, but its last block is committed"));
    }
    if (open.stamp_before_append.has_value() && *open.stamp_before_append >= block.stamp) {
      Violation(absl::StrCat(name, " was opened again without a new stamp"));
    }
    if (open.recovery.has_value() && *open.recovery <= block.stamp) {
      Violation(absl::StrCat(name, " is recovered with an old stamp"));
    }
  }

  void CheckTruncation(const std::string& name, const BlockRecord& block, const OpenRecord::Truncation& truncation) {
    if (block.state == BlockState::kUnderConstruction || truncation.length == 0 || truncation.length >= block.length) {
      Violation(absl::StrCat(name, " can't be cut to ", truncation.length, " bytes of its last ", block.length));
    }
    const Found<BlockRecord> copy = Get(Family::kBlocks, keys::Block(truncation.copy), DecodeBlock);
    if (copy.exists && !copy.record.has_value()) return;
    if (!copy.exists || copy.record->inode != block.inode || copy.record->index != block.index ||
        copy.record->state != BlockState::kUnderConstruction || copy.record->length != 0) {
      Violation(absl::StrCat(name, " has no copy of its last block to be cut, or something else is that copy"));
    }
  }

  absl::Status CheckSessions() {
    return ScanFamily(Family::kRetries, &ParseSession, DecodeSession, [](const std::string&, const SessionRecord&) {});
  }

  absl::Status CheckReplicationChanges() {
    return reader_.Scan(Family::kMeta, keys::kReplicationStart, keys::kReplicationEnd,
                        [&](std::string_view key, std::string_view value) {
                          const absl::StatusOr<InodeId> inode = keys::ParseReplication(key);
                          const absl::StatusOr<uint64_t> next = keys::ParseReplicationValue(value);
                          if (!inode.ok()) Violation(std::string(MessageOf(inode.status())));
                          if (!next.ok()) Violation(std::string(MessageOf(next.status())));
                          return true;
                        });
  }

  absl::Status LoadCounters() {
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<std::string> bytes, reader_.Get(Family::kMeta, keys::kCounters));
    if (!bytes.has_value()) {
      Violation("there are no counters");
      return absl::OkStatus();
    }
    absl::StatusOr<Counters> counters = DecodeCounters(*bytes);
    if (counters.ok()) {
      counters_ = *std::move(counters);
    } else {
      Violation(std::string(MessageOf(counters.status())));
    }
    return absl::OkStatus();
  }

  void CheckCounters() {
    if (!counters_.has_value()) return;
    if (highest_inode_ >= counters_->next_inode) Violation("an inode id is above its counter");
    if (highest_block_ >= counters_->next_block) Violation("a block id is above its counter");
    if (counters_->block_count != report_.blocks || counters_->committed_block_count != committed_blocks_) {
      Violation(absl::StrCat("counters say ", counters_->block_count, " blocks, ", counters_->committed_block_count,
                             " committed; there are ", report_.blocks, " and ", committed_blocks_));
    }
  }

  // Ranges of ids that were jumped over: apart from each other, and below the counter that was raised above them.
  absl::Status CheckQuarantined() {
    BlockId end_before;
    const BlockId next_block = counters_.has_value() ? counters_->next_block : BlockId();
    return reader_.Scan(Family::kMeta, keys::kQuarantinedStart, keys::kQuarantinedEnd,
                        [&](std::string_view key, std::string_view value) {
                          const absl::StatusOr<BlockId> first = keys::ParseQuarantined(key);
                          const absl::StatusOr<BlockId> end = keys::ParseQuarantinedValue(value);
                          if (!first.ok() || !end.ok()) {
                            Violation(std::string(MessageOf(first.ok() ? end.status() : first.status())));
                          } else if (*first >= *end || *first <= end_before || *end > next_block) {
                            Violation(absl::StrCat("quarantined range from ", first->ToString(), " to before ",
                                                   end->ToString(), " is empty, overlaps, or is above the counter"));
                          } else {
                            end_before = *end;
                          }
                          return true;
                        });
  }

  void Violation(const std::string& what) {
    ++report_.violations;
    found_(what);
  }

  const MetaReader& reader_;
  const absl::FunctionRef<void(std::string_view)> found_;
  absl::Status store_error_;
  std::optional<Counters> counters_;
  InodeId highest_inode_;
  BlockId highest_block_;
  uint64_t committed_blocks_ = 0;
  ConsistencyReport report_;
};

}  // namespace

absl::StatusOr<ConsistencyReport> CheckNamespace(const MetaReader& reader,
                                                 absl::FunctionRef<void(std::string_view line)> found) {
  return Checker(reader, found).Run();
}

absl::Status CheckConsistency(const MetaReader& reader) {
  std::vector<std::string> listed;
  DOLMEN_ASSIGN_OR_RETURN(const ConsistencyReport report, CheckNamespace(reader, [&](std::string_view line) {
                            if (listed.size() < kViolationsListed) listed.emplace_back(line);
                          }));
  if (report.violations == 0) return absl::OkStatus();
  return MakeError(ErrorReason::kDamaged,
                   absl::StrCat(report.violations, " violations: ", absl::StrJoin(listed, "; ")));
}

}  // namespace dolmen::namenode
