#include "namenode/core/consistency.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/coding.h"
#include "common/error.h"
#include "namenode/core/key_codec.h"
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
  std::vector<InodeId> children;
};

class Checker {
 public:
  explicit Checker(const MetaReader& reader) : reader_(reader) {}

  absl::Status Run() {
    DOLMEN_RETURN_IF_ERROR(Load());
    CheckTree();
    CheckBlocks();
    CheckOpen();
    CheckCounters();
    DOLMEN_RETURN_IF_ERROR(CheckQuarantined());
    if (violations_ == 0) return absl::OkStatus();
    return MakeError(ErrorReason::kDamaged, absl::StrCat(violations_, " violations: ", absl::StrJoin(listed_, "; ")));
  }

 private:
  // Reads a whole family; `take` gets the decoded key and record.
  template <typename Key, typename Record, typename Take>
  absl::Status LoadFamily(Family family, absl::StatusOr<Key> (*parse_key)(std::string_view),
                          absl::StatusOr<Record> (*decode)(std::string_view), const Take& take) {
    return reader_.Scan(family, "", "", [&](std::string_view key, std::string_view value) {
      absl::StatusOr<Key> parsed = parse_key(key);
      absl::StatusOr<Record> record = decode(value);
      if (!parsed.ok() || !record.ok()) {
        const absl::Status& why = parsed.ok() ? record.status() : parsed.status();
        Violation(absl::StrCat("family ", static_cast<int>(family), ": ", why.message()));
      } else {
        take(*parsed, *std::move(record));
      }
      return true;
    });
  }

  absl::Status Load() {
    DOLMEN_RETURN_IF_ERROR(
        LoadFamily(Family::kInodes, keys::ParseInode, DecodeInode, [&](const keys::InodeKey& key, InodeRecord record) {
          AddNode({key.parent, std::string(key.name), std::move(record)});
        }));
    DOLMEN_RETURN_IF_ERROR(
        LoadFamily(Family::kDetached, keys::ParseId, DecodeDetached, [&](InodeId id, DetachedRecord record) {
          if (id != record.inode.id) Violation(absl::StrCat("detached ", id.ToString(), " has another id inside"));
          AddNode({.record = std::move(record.inode), .is_detached = true});
        }));
    DOLMEN_RETURN_IF_ERROR(LoadFamily(Family::kIds, keys::ParseId, DecodeParentLink,
                                      [&](InodeId id, ParentLink link) { links_[id] = std::move(link); }));
    DOLMEN_RETURN_IF_ERROR(LoadFamily(Family::kTotals, keys::ParseId, DecodeTotals,
                                      [&](InodeId id, TotalsRecord totals) { totals_[id] = std::move(totals); }));
    DOLMEN_RETURN_IF_ERROR(LoadFamily(Family::kOpen, keys::ParseId, DecodeOpen,
                                      [&](InodeId id, OpenRecord open) { open_[id] = std::move(open); }));
    DOLMEN_RETURN_IF_ERROR(LoadFamily(Family::kBlocks, keys::ParseBlock, DecodeBlock,
                                      [&](BlockId id, BlockRecord record) { blocks_[id] = std::move(record); }));
    return LoadFamily(Family::kFileBlocks, &ParseFileBlock, keys::ParseFileBlockValue,
                      [&](const std::pair<InodeId, uint64_t>& key, BlockId block) { file_blocks_[key] = block; });
  }

  static absl::StatusOr<std::pair<InodeId, uint64_t>> ParseFileBlock(std::string_view key) {
    ByteReader reader(key);
    const InodeId inode(reader.BigEndian64());
    const uint64_t index = reader.BigEndian64();
    DOLMEN_RETURN_IF_ERROR(reader.Finish("file block key"));
    return std::pair(inode, index);
  }

  void AddNode(Node node) {
    const InodeId id = node.record.id;
    if (!nodes_.emplace(id, std::move(node)).second) Violation(absl::StrCat(id.ToString(), " has two places"));
  }

  void CheckTree() {
    const auto root = nodes_.find(kRootInode);
    if (root == nodes_.end() || !root->second.parent.is_none() || !root->second.name.empty() ||
        root->second.is_detached || !root->second.record.is_directory) {
      Violation("there is no root directory");
    }
    for (auto& [id, node] : nodes_) {
      CheckLink(id, node);
      if (id == kRootInode || node.is_detached) continue;
      const auto parent = nodes_.find(node.parent);
      if (parent == nodes_.end() || !parent->second.record.is_directory) {
        Violation(absl::StrCat(Name(id), " has no parent directory ", node.parent.ToString()));
      } else {
        parent->second.children.push_back(id);
      }
    }
    for (const auto& [id, link] : links_) {
      if (!nodes_.contains(id)) Violation(absl::StrCat("ids: ", id.ToString(), " does not exist"));
    }
    std::set<InodeId> reached;
    for (const auto& [id, node] : nodes_) {
      if (id == kRootInode || node.is_detached) Recount(id, &reached);
    }
    for (const auto& [id, node] : nodes_) {
      if (!reached.contains(id)) Violation(absl::StrCat(Name(id), " hangs below nothing"));
    }
    for (const auto& [id, totals] : totals_) {
      const auto node = nodes_.find(id);
      if (node == nodes_.end() || !node->second.record.is_directory || node->second.is_detached) {
        Violation(absl::StrCat("totals of ", id.ToString(), ", which is no directory of the tree"));
      }
    }
  }

  void CheckLink(InodeId id, const Node& node) {
    const auto link = links_.find(id);
    if (node.is_detached) {
      if (link != links_.end()) Violation(absl::StrCat("ids: deleted ", id.ToString(), " still has a place"));
    } else if (link == links_.end() || link->second != ParentLink{node.parent, node.name}) {
      Violation(absl::StrCat("ids: ", Name(id), " is elsewhere or missing"));
    }
  }

  // Child counts and totals of the tree below `root`, bottom up without recursion.
  void Recount(InodeId root, std::set<InodeId>* reached) {
    std::vector<InodeId> order = {root};
    for (size_t i = 0; i < order.size(); ++i) {
      if (!reached->insert(order[i]).second) continue;
      const Node& node = nodes_.at(order[i]);
      order.insert(order.end(), node.children.begin(), node.children.end());
    }
    std::map<InodeId, TotalsRecord> sums;
    for (size_t i = order.size(); i-- > 0;) {
      const InodeId id = order[i];
      const Node& node = nodes_.at(id);
      if (!node.record.is_directory) {
        sums[id] = {.files = 1, .bytes = node.record.length};
        const uint64_t replicated = node.record.length * node.record.redundancy.replicas;
        if (replicated != 0) sums[id].replicated_bytes[protocol::StorageType::kDisk] = replicated;
        continue;
      }
      if (node.record.child_count != node.children.size()) {
        Violation(
            absl::StrCat(Name(id), " counts ", node.record.child_count, " children and has ", node.children.size()));
      }
      TotalsRecord sum;
      for (InodeId child : node.children) {
        const TotalsRecord& below = sums[child];
        sum.files += below.files;
        sum.directories += below.directories;
        sum.bytes += below.bytes;
        for (const auto& [type, bytes] : below.replicated_bytes) sum.replicated_bytes[type] += bytes;
      }
      if (!node.is_detached) {
        const auto stored = totals_.find(id);
        if ((stored == totals_.end() ? TotalsRecord() : stored->second) != sum) {
          Violation(absl::StrCat("totals of ", Name(id), " differ from a recount: ", sum.files, " files, ",
                                 sum.directories, " directories, ", sum.bytes, " bytes"));
        }
      }
      ++sum.directories;
      sums[id] = std::move(sum);
    }
  }

  void CheckBlocks() {
    std::map<InodeId, uint64_t> lengths;
    std::map<InodeId, uint64_t> counts;
    std::set<BlockId> used;
    for (const auto& [key, id] : file_blocks_) {
      const auto& [inode, index] = key;
      const auto node = nodes_.find(inode);
      const auto block = blocks_.find(id);
      if (node == nodes_.end() || node->second.record.is_directory) {
        Violation(absl::StrCat("file_blocks: ", inode.ToString(), " is no file"));
        continue;
      }
      if (!used.insert(id).second) Violation(absl::StrCat(id.ToString(), " belongs to two files"));
      if (index != counts[inode]++) Violation(absl::StrCat(Name(inode), " has a gap before block ", index));
      if (block == blocks_.end()) {
        Violation(absl::StrCat(Name(inode), " has an unknown block ", id.ToString()));
        continue;
      }
      const BlockRecord& record = block->second;
      const InodeRecord& file = node->second.record;
      if (record.inode != inode || record.index != index) {
        Violation(absl::StrCat(id.ToString(), " says it is block ", record.index, " of ", record.inode.ToString()));
      }
      if (record.replicas_wanted != file.redundancy.replicas) {
        Violation(absl::StrCat(id.ToString(), " wants another number of replicas than ", Name(inode)));
      }
      const bool may_be_open = index + 1 == file.block_count && (file.under_construction || node->second.is_detached);
      if (record.state == BlockState::kUnderConstruction) {
        if (!may_be_open) Violation(absl::StrCat(id.ToString(), " of ", Name(inode), " is under construction"));
        if (record.length != 0) Violation(absl::StrCat(id.ToString(), " is under construction and has a length"));
      }
      if (record.length > file.block_bytes) Violation(absl::StrCat(id.ToString(), " is longer than a block"));
      if (index + 1 < file.block_count && record.length != file.block_bytes &&
          file.extensions.Find(kIrregularBlocksTag) == nullptr) {
        Violation(absl::StrCat(id.ToString(), " is short, but ", Name(inode), " is not marked irregular"));
      }
      lengths[inode] += record.length;
    }
    for (const auto& [id, record] : blocks_) {
      if (!used.contains(id)) Violation(absl::StrCat(id.ToString(), " belongs to no file"));
    }
    for (const auto& [id, node] : nodes_) {
      if (node.record.is_directory) continue;
      if (node.record.block_count != counts[id]) {
        Violation(absl::StrCat(Name(id), " counts ", node.record.block_count, " blocks and has ", counts[id]));
      }
      if (node.record.length != lengths[id]) {
        Violation(absl::StrCat(Name(id), " has length ", node.record.length, ", its blocks ", lengths[id]));
      }
    }
  }

  void CheckOpen() {
    for (const auto& [id, open] : open_) {
      const auto node = nodes_.find(id);
      if (node == nodes_.end() || !node->second.record.under_construction) {
        Violation(absl::StrCat("open: ", id.ToString(), " is not under construction"));
      }
    }
    for (const auto& [id, node] : nodes_) {
      if (node.record.under_construction && !open_.contains(id)) {
        Violation(absl::StrCat(Name(id), " is under construction without a lease"));
      }
    }
  }

  void CheckCounters() {
    absl::StatusOr<std::optional<std::string>> bytes = reader_.Get(Family::kMeta, keys::kCounters);
    if (!bytes.ok() || !bytes->has_value()) return Violation("there are no counters");
    absl::StatusOr<Counters> counters = DecodeCounters(**bytes);
    if (!counters.ok()) return Violation(std::string(MessageOf(counters.status())));
    next_block_ = counters->next_block;
    if (!nodes_.empty() && nodes_.rbegin()->first >= counters->next_inode)
      Violation("an inode id is above its counter");
    if (!blocks_.empty() && blocks_.rbegin()->first >= counters->next_block)
      Violation("a block id is above its counter");
    uint64_t committed = 0;
    for (const auto& [id, record] : blocks_) {
      if (record.state == BlockState::kCommitted) ++committed;
      if (record.stamp >= counters->next_stamp)
        Violation(absl::StrCat(id.ToString(), " has a stamp above its counter"));
      if (id.value() % kBlockIdStep != 0) Violation(absl::StrCat(id.ToString(), " uses reserved bits"));
    }
    if (counters->block_count != blocks_.size() || counters->committed_block_count != committed) {
      Violation(absl::StrCat("counters say ", counters->block_count, " blocks, ", counters->committed_block_count,
                             " committed; there are ", blocks_.size(), " and ", committed));
    }
  }

  // Ranges of ids that were jumped over: apart from each other, and below the counter that was raised above them.
  absl::Status CheckQuarantined() {
    BlockId end_before;
    return reader_.Scan(Family::kMeta, keys::kQuarantinedStart, keys::kQuarantinedEnd,
                        [&](std::string_view key, std::string_view value) {
                          const absl::StatusOr<BlockId> first = keys::ParseQuarantined(key);
                          const absl::StatusOr<BlockId> end = keys::ParseQuarantinedValue(value);
                          if (!first.ok() || !end.ok()) {
                            Violation(std::string(MessageOf(first.ok() ? end.status() : first.status())));
                          } else if (*first >= *end || *first <= end_before || *end > next_block_) {
                            Violation(absl::StrCat("quarantined range from ", first->ToString(), " to before ",
                                                   end->ToString(), " is empty, overlaps, or is above the counter"));
                          } else {
                            end_before = *end;
                          }
                          return true;
                        });
  }

  std::string Name(InodeId id) const {
    const auto node = nodes_.find(id);
    return absl::StrCat(id.ToString(), node == nodes_.end() ? "" : absl::StrCat(" '", node->second.name, "'"));
  }

  void Violation(std::string what) {
    ++violations_;
    if (listed_.size() < kViolationsListed) listed_.push_back(std::move(what));
  }

  const MetaReader& reader_;
  std::map<InodeId, Node> nodes_;
  std::map<InodeId, ParentLink> links_;
  std::map<InodeId, TotalsRecord> totals_;
  std::map<InodeId, OpenRecord> open_;
  std::map<BlockId, BlockRecord> blocks_;
  std::map<std::pair<InodeId, uint64_t>, BlockId> file_blocks_;
  BlockId next_block_;
  size_t violations_ = 0;
  std::vector<std::string> listed_;
};

}  // namespace

absl::Status CheckConsistency(const MetaReader& reader) { return Checker(reader).Run(); }

}  // namespace dolmen::namenode
