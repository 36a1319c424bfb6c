// What the namespace must be: a plain tree that executes the same operations in the same order and predicts every
// answer. It shares no code with the namenode.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "namenode/core/commit_queue.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/records.h"

namespace dolmen::sim {

struct ModelFile {
  uint64_t inode = 0;
  bool open = true;
  std::string holder;
  uint64_t length = 0;          // of the blocks committed so far, and of what the open one had before an append
  uint64_t open_block = 0;      // id of the block being written, 0: none
  uint64_t open_before = 0;     // bytes it had before an append
  bool taken = false;           // from its writer, by recoverLease: the namenode will close it
  std::optional<uint64_t> cut;  // the length it is being truncated to
  uint64_t block_count = 0;
  uint64_t replication = 0;
  bool counted = true;  // block_count is known; else it is taken over

  void Close(uint64_t at_length) {
    open = false;
    open_block = 0;
    open_before = 0;
    taken = false;
    cut.reset();
    length = at_length;
  }
};

// A range of what was written to a file: bytes from `offset` on of the content that belongs to `inode`.
struct ContentPiece {
  uint64_t inode = 0;
  uint64_t offset = 0;
  uint64_t length = 0;
};

struct ModelNode {
  bool is_directory = false;
  ModelFile file;  // when not a directory
};

class NamespaceModel {
 public:
  NamespaceModel() { nodes_["/"] = ModelNode{.is_directory = true}; }

  // Executes; returns what is wrong with the answer, empty when it is right.
  std::string Execute(const namenode::ClientMutation& operation, const namenode::Answer& answer);
  // Files that the namenode closed by itself (their writer's lease expired) are taken over from it; after every commit,
  // because later operations meet them closed. `may_expire(file)` says whether its writer may be gone. Empty when
  // right.
  template <typename MayExpire>
  std::string TakeOverClosed(const namenode::MetaReader& stored, const MayExpire& may_expire);
  // Compares the stored tree with the model, entry by entry. Empty when equal.
  std::string Compare(const namenode::MetaReader& stored) const;
  // What the file's bytes must be, if it has any there: those its writer made of its inode and the offset, and behind
  // them those of the files that concat appended.
  std::string ExpectedContent(uint64_t inode, uint64_t offset, size_t size) const;
  // The file was made longer by concat.
  bool IsConcatenated(uint64_t inode) const { return contents_.contains(inode); }
  // It was, and then cut: what readers that opened it before find behind the cut is not known here.
  bool WasConcatenatedAndCut(uint64_t inode) const { return cut_contents_.contains(inode); }

  const std::map<std::string, ModelNode>& nodes() const { return nodes_; }
  const ModelNode* Find(const std::string& path) const {
    auto found = nodes_.find(path);
    return found == nodes_.end() ? nullptr : &found->second;
  }
  // The file with this inode, wherever it is now; nullptr when it is gone.
  ModelNode* FindInode(uint64_t inode, std::string* path = nullptr);
  uint64_t executed() const { return executed_; }
  uint64_t answered_again() const { return answered_again_; }

 private:
  struct Listed {
    bool is_directory = false;
    uint64_t inode = 0;
    uint64_t length = 0;
    uint64_t block_count = 0;
    uint64_t replication = 0;
    bool open = false;
  };
  static Listed ToListed(const namenode::InodeRecord& inode);
  static std::optional<Listed> LookUp(const namenode::MetaReader& stored, uint64_t inode);
  static std::string ListStored(const namenode::MetaReader& stored, std::map<std::string, Listed>* out);
  std::string ExecuteOnce(const namenode::ClientMutation& operation, const namenode::Answer& answer);

  std::string Apply(const protocol::MkdirsRequest& request, const namenode::Answer& answer);
  std::string Apply(const protocol::CreateRequest& request, const namenode::Answer& answer);
  std::string Apply(const protocol::AddBlockRequest& request, const namenode::Answer& answer);
  std::string Apply(const protocol::AbandonBlockRequest& request, const namenode::Answer& answer);
  std::string Apply(const protocol::CompleteRequest& request, const namenode::Answer& answer);
  std::string Apply(const protocol::RenameRequest& request, const namenode::Answer& answer);
  std::string Apply(const protocol::DeleteRequest& request, const namenode::Answer& answer);
  std::string Apply(const protocol::SetAttributesRequest& request, const namenode::Answer& answer);
  std::string Apply(const protocol::FsyncRequest& request, const namenode::Answer& answer);
  std::string Apply(const protocol::ConcatRequest& request, const namenode::Answer& answer);
  std::string Apply(const protocol::SetReplicationRequest& request, const namenode::Answer& answer);
  bool MayConcat(const protocol::ConcatRequest& request) const;
  std::vector<ContentPiece> ContentOf(const ModelFile& file) const;
  void CutContent(uint64_t inode, uint64_t length);
  std::string Apply(const protocol::AppendRequest& request, const namenode::Answer& answer);
  std::string Apply(const protocol::TruncateRequest& request, const namenode::Answer& answer);
  std::string Apply(const protocol::RecoverLeaseRequest& request, const namenode::Answer& answer);

  // Whether every missing ancestor of `path` could be made, and makes them.
  bool AncestorsAllow(const std::string& path, bool create) const;
  void MakeAncestors(const std::string& path);
  void RemoveTree(const std::string& path);

  std::map<std::string, ModelNode> nodes_;                  // by absolute path
  std::map<uint64_t, std::vector<ContentPiece>> contents_;  // of files that concat changed, by inode
  std::set<uint64_t> cut_contents_;
  std::map<std::pair<std::string, uint64_t>, std::string> answers_;  // (client, call) -> encoded answer
  uint64_t executed_ = 0;
  uint64_t answered_again_ = 0;
};

template <typename MayExpire>
std::string NamespaceModel::TakeOverClosed(const namenode::MetaReader& stored, const MayExpire& may_expire) {
  for (auto& [path, node] : nodes_) {
    if (node.is_directory || (!node.file.open && node.file.counted)) continue;
    const std::optional<Listed> entry = LookUp(stored, node.file.inode);
    if (!entry.has_value()) continue;
    if (!std::exchange(node.file.counted, true)) node.file.block_count = entry->block_count;
    // While it is cut, blocks behind go at once, the rest at the end.
    const std::optional<uint64_t> cut = node.file.cut;
    if (cut.has_value() && *cut <= entry->length && entry->length <= node.file.length) node.file.length = entry->length;
    if (!node.file.open || entry->open) continue;
    if (cut.has_value()) {
      if (entry->length != *cut) return path + " was not cut to the length asked for";
      CutContent(node.file.inode, *cut);
    } else {
      if (!node.file.taken && !may_expire(node.file))
        return path + " was closed under its live writer " + node.file.holder;
      if (entry->length < node.file.length) return path + " lost committed bytes when its lease expired";
    }
    node.file.Close(entry->length);
    node.file.block_count = entry->block_count;
  }
  return "";
}

}  // namespace dolmen::sim
