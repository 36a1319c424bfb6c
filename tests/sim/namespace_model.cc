#include "tests/sim/namespace_model.h"

#include <algorithm>
#include <set>

#include "common/error.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/records.h"
#include "namenode/core/tables.h"
#include "tests/sim/sim_client.h"

namespace dolmen::sim {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}
std::string BaseOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }
std::string Under(const std::string& directory, const std::string& name) {
  return directory == "/" ? "/" + name : directory + "/" + name;
}
bool IsBelow(const std::string& path, const std::string& ancestor) {
  return ancestor == "/" ? path != "/" : path.starts_with(ancestor + "/");
}
std::string Said(const namenode::Answer& answer) { return answer.ok() ? "OK" : answer.status().ToString(); }
std::string Wrong(const std::string& what, bool expected_ok, const namenode::Answer& answer) {
  return what + ": expected " + (expected_ok ? "success" : "a refusal") + ", got " + Said(answer);
}

}  // namespace

ModelNode* NamespaceModel::FindInode(uint64_t inode, std::string* path) {
  for (auto& [name, node] : nodes_) {
    if (node.is_directory || node.file.inode != inode) continue;
    if (path != nullptr) *path = name;
    return &node;
  }
  return nullptr;
}

std::string NamespaceModel::Execute(const namenode::ClientMutation& operation, const namenode::Answer& answer) {
  // Answers that say "not decided": nothing was executed and nothing is remembered.
  if (!answer.ok()) {
    const ErrorReason reason = ReasonOf(answer.status());
    if (AdviceFor(answer.status()) == RetryAdvice::kRetry || reason == ErrorReason::kOutcomeUnknown ||
        reason == ErrorReason::kSafeMode) {
      return "";
    }
  } else if (const auto* complete = std::get_if<protocol::CompleteReply>(&*answer);
             complete != nullptr && !complete->closed) {
    return "";
  }
  const std::string encoded = namenode::EncodeAnswer(answer);
  const auto [stored, is_new] = answers_.emplace(std::pair(operation.id.client_id, operation.id.call_id), encoded);
  if (!is_new) {
    ++answered_again_;
    return stored->second == encoded ? ""
                                     : "call " + std::to_string(operation.id.call_id) + " got two different answers";
  }
  ++executed_;
  return ExecuteOnce(operation, answer);
}

std::string NamespaceModel::ExecuteOnce(const namenode::ClientMutation& operation, const namenode::Answer& answer) {
  return std::visit([&](const auto& request) { return Apply(request, answer); }, operation.request);
}

bool NamespaceModel::AncestorsAllow(const std::string& path, bool create) const {
  for (std::string at = ParentOf(path);; at = ParentOf(at)) {
    if (const ModelNode* node = Find(at)) return node->is_directory;
    if (!create) return false;
  }
}

void NamespaceModel::MakeAncestors(const std::string& path) {
  for (std::string at = ParentOf(path); !nodes_.contains(at); at = ParentOf(at))
    nodes_[at] = ModelNode{.is_directory = true};
}

void NamespaceModel::RemoveTree(const std::string& path) {
  for (auto it = nodes_.lower_bound(path); it != nodes_.end() && it->first.starts_with(path);)
    it = it->first == path || IsBelow(it->first, path) ? nodes_.erase(it) : std::next(it);
}

std::string NamespaceModel::Apply(const protocol::MkdirsRequest& request, const namenode::Answer& answer) {
  const ModelNode* node = Find(request.path);
  const bool ok = node != nullptr ? node->is_directory : AncestorsAllow(request.path, request.create_parents);
  if (ok != answer.ok()) return Wrong("mkdirs " + request.path, ok, answer);
  if (ok && node == nullptr) {
    MakeAncestors(request.path);
    nodes_[request.path] = ModelNode{.is_directory = true};
  }
  return "";
}

std::string NamespaceModel::Apply(const protocol::CreateRequest& request, const namenode::Answer& answer) {
  const ModelNode* node = Find(request.path);
  bool ok = false;
  if (node == nullptr) {
    ok = AncestorsAllow(request.path, request.create_parents);
  } else {
    ok = !node->is_directory && request.overwrite;
  }
  if (ok != answer.ok()) return Wrong("create " + request.path, ok, answer);
  if (!ok) return "";
  const auto& reply = std::get<protocol::CreateReply>(*answer);
  if (FindInode(reply.status.inode.value()) != nullptr)
    return "create " + request.path + " got the inode of another file";
  MakeAncestors(request.path);
  nodes_[request.path] = ModelNode{.is_directory = false,
                                   .file = {.inode = reply.status.inode.value(),
                                            .open = true,
                                            .holder = request.holder,
                                            .replication = request.replication}};
  return "";
}

std::string NamespaceModel::Apply(const protocol::AddBlockRequest& request, const namenode::Answer& answer) {
  if (!answer.ok()) return "";  // needs datanodes and leases: judged by its effects only
  ModelNode* node = FindInode(request.inode.value());
  if (node == nullptr) return "addBlock succeeded on a file that does not exist";
  if (!node->file.open || node->file.holder != request.holder) return "addBlock succeeded without the lease";
  const auto& block = std::get<protocol::AddBlockReply>(*answer).block.block;
  if (node->file.open_block == block.id.value()) return "";  // the same block again
  if (node->file.open_block != 0) {
    if (!request.previous.has_value() || request.previous->id.value() != node->file.open_block)
      return "addBlock committed another block than the one being written";
    node->file.length += request.previous->length - node->file.open_before;
  }
  node->file.open_before = 0;
  node->file.open_block = block.id.value();
  ++node->file.block_count;
  return "";
}

std::string NamespaceModel::Apply(const protocol::AbandonBlockRequest& request, const namenode::Answer& answer) {
  if (!answer.ok()) return "";
  ModelNode* node = FindInode(request.inode.value());
  if (node == nullptr || !node->file.open) return "";
  if (node->file.open_block == request.block.id.value()) {
    if (node->file.open_before != 0) return "";  // it is the file's; nothing may be given up of it
    node->file.open_block = 0;
    --node->file.block_count;
  }
  return "";
}

std::string NamespaceModel::Apply(const protocol::CompleteRequest& request, const namenode::Answer& answer) {
  if (!answer.ok()) return "";
  ModelNode* node = FindInode(request.inode.value());
  if (node == nullptr) return "complete succeeded on a file that does not exist";
  if (!node->file.open) return "";  // asked again by another call
  if (node->file.taken) return "";  // closed by the namenode with the block that this writer knows
  if (node->file.holder != request.holder) return "complete succeeded without the lease";
  if (node->file.open_block != 0) {
    if (!request.last.has_value() || request.last->id.value() != node->file.open_block)
      return "complete committed another block than the one being written";
    node->file.length += request.last->length - node->file.open_before;
  }
  node->file.Close(node->file.length);
  const auto& status = std::get<protocol::CompleteReply>(*answer).status;
  if (status.length != node->file.length) return "complete answered another length than was written";
  return "";
}

std::string NamespaceModel::Apply(const protocol::RenameRequest& request, const namenode::Answer& answer) {
  const bool classic = request.kind == protocol::RenameKind::kClassic;
  const std::string& source = request.source;
  std::string target = request.destination;
  const ModelNode* from = Find(source);
  const std::string what = "rename " + source + " to " + target;
  if (classic) {
    if (const ModelNode* into = Find(target); into != nullptr && into->is_directory)
      target = Under(target, BaseOf(source));
  }
  bool moves = from != nullptr && source != "/" && target != "/" && target != source && !IsBelow(target, source);
  const ModelNode* to = Find(target);
  if (moves && to != nullptr) {
    if (classic || request.kind == protocol::RenameKind::kNoOverwrite || to->is_directory != from->is_directory) {
      moves = false;
    } else if (to->is_directory) {
      auto next = nodes_.upper_bound(target);
      while (next != nodes_.end() && next->first.starts_with(target) && !IsBelow(next->first, target)) ++next;
      if (next != nodes_.end() && IsBelow(next->first, target)) moves = false;
    }
  }
  if (moves && !AncestorsAllow(target, /*create=*/false)) moves = false;
  if (classic) {
    if (answer.ok()) {
      const bool renamed = std::get<protocol::RenameReply>(*answer).renamed;
      const bool expected = moves || (from != nullptr && source != "/" && target == source);
      if (renamed != expected) return what + ": answered " + (renamed ? "true" : "false");
    } else if (moves) {
      return Wrong(what, true, answer);
    }
  } else if (answer.ok() != moves) {
    return Wrong(what, moves, answer);
  }
  if (!moves) return "";
  RemoveTree(target);
  std::map<std::string, ModelNode> moved;
  for (auto& [path, node] : nodes_)
    if (path == source || IsBelow(path, source)) moved[target + path.substr(source.size())] = node;
  RemoveTree(source);
  nodes_.merge(moved);
  return "";
}

std::string NamespaceModel::Apply(const protocol::DeleteRequest& request, const namenode::Answer& answer) {
  const ModelNode* node = Find(request.path);
  bool empty = true;
  for (const auto& [path, other] : nodes_) empty = empty && !IsBelow(path, request.path);
  const bool refused = node != nullptr && request.path != "/" && node->is_directory && !empty && !request.recursive;
  if (refused) return answer.ok() ? Wrong("delete " + request.path, false, answer) : "";
  if (request.path == "/") return "";
  if (!answer.ok()) {
    // An ancestor that is a file makes the path unresolvable: an error instead of "false".
    return node == nullptr ? "" : Wrong("delete " + request.path, true, answer);
  }
  const bool deleted = std::get<protocol::DeleteReply>(*answer).deleted;
  if (deleted != (node != nullptr)) return "delete " + request.path + " answered " + (deleted ? "true" : "false");
  if (deleted) RemoveTree(request.path);
  return "";
}

std::string NamespaceModel::Apply(const protocol::SetAttributesRequest& request, const namenode::Answer& answer) {
  const bool exists = Find(request.path) != nullptr;
  return exists == answer.ok() ? "" : Wrong("setAttributes " + request.path, exists, answer);
}

std::string NamespaceModel::Apply(const protocol::AppendRequest& request, const namenode::Answer& answer) {
  if (!answer.ok()) return "";  // needs datanodes and leases: judged by its effects only
  const auto found = nodes_.find(request.path);
  if (found == nodes_.end() || found->second.is_directory) return "append succeeded on what is no file";
  ModelFile& file = found->second.file;
  const auto& reply = std::get<protocol::AppendReply>(*answer);
  if (reply.status.inode.value() != file.inode) return "append opened another file";
  const uint64_t length = reply.status.length;
  // A file that is open in the model was closed by the namenode since.
  if (file.cut.has_value() ? length != *file.cut : length < file.length || (!file.open && length != file.length))
    return "append answered another length than the file has";
  file.Close(length);
  file.open = true;
  file.holder = request.holder;
  if (reply.last.has_value()) {
    file.open_block = reply.last->block.id.value();
    file.open_before = reply.last->block.length;
  }
  return "";
}

std::string NamespaceModel::Apply(const protocol::TruncateRequest& request, const namenode::Answer& answer) {
  if (!answer.ok()) return "";
  const auto found = nodes_.find(request.path);
  if (found == nodes_.end() || found->second.is_directory) return "truncate succeeded on what is no file";
  ModelFile& file = found->second.file;
  file.counted = false;
  if (std::get<protocol::TruncateReply>(*answer).done) {
    file.Close(request.length);
    CutContent(file.inode, request.length);
  } else {
    file.taken = false;
    file.open = true;
    file.open_block = 0;
    file.holder = "the namenode";
    file.cut = request.length;
  }
  return "";
}

std::string NamespaceModel::Apply(const protocol::RecoverLeaseRequest& request, const namenode::Answer& answer) {
  if (!answer.ok()) return "";
  const auto found = nodes_.find(request.path);
  if (found == nodes_.end() || found->second.is_directory) return "recoverLease succeeded on what is no file";
  ModelFile& file = found->second.file;
  if (!file.open || file.cut.has_value()) return "";
  if (std::get<protocol::RecoverLeaseReply>(*answer).closed) {
    if (file.open_block != 0) return "recoverLease closed a file whose last block was being written";
    file.Close(file.length);
    return "";
  }
  file.taken = true;
  file.holder = "the namenode";
  return "";
}

std::string NamespaceModel::Apply(const protocol::FsyncRequest& request, const namenode::Answer& answer) {
  if (!answer.ok()) return "";
  const ModelNode* node = FindInode(request.inode.value());
  return node != nullptr && node->file.open ? "" : "fsync succeeded on a file that is not open";
}

bool NamespaceModel::MayConcat(const protocol::ConcatRequest& request) const {
  const ModelNode* target = Find(request.target);
  if (target == nullptr || target->is_directory || target->file.open || request.sources.empty()) return false;
  std::set<std::string> distinct;
  for (const std::string& path : request.sources) {
    const ModelNode* source = Find(path);
    if (source == nullptr || source->is_directory || source->file.open || source->file.block_count == 0) return false;
    if (path == request.target || ParentOf(path) != ParentOf(request.target)) return false;
    distinct.insert(path);
  }
  return distinct.size() == request.sources.size();
}

std::string NamespaceModel::Apply(const protocol::ConcatRequest& request, const namenode::Answer& answer) {
  const bool ok = MayConcat(request);
  if (ok != answer.ok()) return Wrong("concat " + request.target, ok, answer);
  if (!ok) return "";
  ModelFile& target = nodes_.at(request.target).file;
  std::vector<ContentPiece> content = ContentOf(target);
  for (const std::string& path : request.sources) {
    const ModelFile& source = nodes_.at(path).file;
    const std::vector<ContentPiece> moved = ContentOf(source);
    content.insert(content.end(), moved.begin(), moved.end());
    target.length += source.length;
    target.block_count += source.block_count;
    nodes_.erase(path);
  }
  contents_[target.inode] = std::move(content);
  return "";
}

std::string NamespaceModel::Apply(const protocol::SetReplicationRequest& request, const namenode::Answer& answer) {
  const auto node = nodes_.find(request.path);
  const bool expected = node != nodes_.end() && !node->second.is_directory;
  if (!answer.ok()) {
    // An ancestor that is a file makes the path unresolvable: an error instead of "false".
    return node == nodes_.end() ? "" : Wrong("setReplication " + request.path, true, answer);
  }
  const bool done = std::get<protocol::SetReplicationReply>(*answer).done;
  if (done != expected) return "setReplication " + request.path + " answered " + (done ? "true" : "false");
  if (done) node->second.file.replication = request.replication;
  return "";
}

// The whole file in pieces. Bytes that are there and belong to no piece are the file's own.
std::vector<ContentPiece> NamespaceModel::ContentOf(const ModelFile& file) const {
  std::vector<ContentPiece> pieces;
  if (const auto found = contents_.find(file.inode); found != contents_.end()) pieces = found->second;
  uint64_t covered = 0;
  for (const ContentPiece& piece : pieces) covered += piece.length;
  if (covered < file.length) pieces.push_back({file.inode, covered, file.length - covered});
  return pieces;
}

void NamespaceModel::CutContent(uint64_t inode, uint64_t length) {
  const auto found = contents_.find(inode);
  if (found == contents_.end()) return;
  cut_contents_.insert(inode);
  uint64_t at = 0;
  for (ContentPiece& piece : found->second) {
    piece.length = std::min(piece.length, length - std::min(at, length));
    at += piece.length;
  }
  std::erase_if(found->second, [](const ContentPiece& piece) { return piece.length == 0; });
}

std::string NamespaceModel::ExpectedContent(uint64_t inode, uint64_t offset, size_t size) const {
  std::string content;
  uint64_t at = 0;  // where the piece begins
  if (const auto found = contents_.find(inode); found != contents_.end()) {
    for (const ContentPiece& piece : found->second) {
      const uint64_t from = std::max(at, offset + content.size());
      const uint64_t to = std::min(at + piece.length, offset + size);
      if (from < to) content += Content(piece.inode, piece.offset + (from - at), to - from);
      at += piece.length;
    }
  }
  if (content.size() < size) content += Content(inode, offset + content.size(), size - content.size());
  return content;
}

std::string NamespaceModel::Compare(const namenode::MetaReader& stored) const {
  std::map<std::string, Listed> listed;
  if (std::string wrong = ListStored(stored, &listed); !wrong.empty()) return wrong;
  for (const auto& [path, node] : nodes_) {
    auto found = listed.find(path);
    if (found == listed.end()) return "acknowledged " + path + " is not in the namespace";
    const Listed& entry = found->second;
    if (entry.is_directory != node.is_directory) return path + " is of the wrong kind";
    if (!node.is_directory) {
      if (entry.inode != node.file.inode) return path + " is another file than the acknowledged one";
      if (node.file.open != entry.open) return path + " is open in the namespace, but was closed";
      if (entry.length != node.file.length) {
        return path + " has length " + std::to_string(entry.length) + ", not " + std::to_string(node.file.length);
      }
      if (entry.block_count != node.file.block_count) {
        return path + " has " + std::to_string(entry.block_count) + " blocks, not " +
               std::to_string(node.file.block_count);
      }
      if (entry.replication != node.file.replication) {
        return path + " has replication " + std::to_string(entry.replication) + ", not " +
               std::to_string(node.file.replication);
      }
    }
    listed.erase(found);
  }
  if (!listed.empty()) return listed.begin()->first + " should not exist";
  return "";
}

NamespaceModel::Listed NamespaceModel::ToListed(const namenode::InodeRecord& inode) {
  return {.is_directory = inode.is_directory,
          .inode = inode.id.value(),
          .length = inode.length,
          .block_count = inode.block_count,
          .replication = inode.redundancy.replicas,
          .open = inode.under_construction};
}

std::optional<NamespaceModel::Listed> NamespaceModel::LookUp(const namenode::MetaReader& stored, uint64_t inode) {
  const auto record = namenode::GetInodeById(stored, InodeId(inode));
  if (!record.ok() || !record->has_value()) return std::nullopt;
  return ToListed(**record);
}

std::string NamespaceModel::ListStored(const namenode::MetaReader& stored, std::map<std::string, Listed>* out) {
  // Parent id -> path, breadth first; the root's record is under parent 0 with an empty name.
  std::vector<std::pair<uint64_t, std::string>> pending = {{kRootInode.value(), "/"}};
  (*out)["/"] = Listed{.is_directory = true, .inode = kRootInode.value()};
  std::string wrong;
  for (size_t i = 0; i < pending.size() && wrong.empty(); ++i) {
    const auto [id, directory] = pending[i];
    const absl::Status scanned =
        stored.Scan(namenode::Family::kInodes, namenode::keys::InodePrefix(InodeId(id)),
                    namenode::keys::InodePrefixEnd(InodeId(id)), [&](std::string_view key, std::string_view value) {
                      auto parsed = namenode::keys::ParseInode(key);
                      auto inode = namenode::DecodeInode(value);
                      if (!parsed.ok() || !inode.ok()) {
                        wrong = "a stored inode can't be read";
                        return false;
                      }
                      const std::string path = Under(directory, std::string(parsed->name));
                      (*out)[path] = ToListed(*inode);
                      if (inode->is_directory) pending.emplace_back(inode->id.value(), path);
                      return true;
                    });
    if (!scanned.ok()) wrong = scanned.ToString();
  }
  return wrong;
}

}  // namespace dolmen::sim
