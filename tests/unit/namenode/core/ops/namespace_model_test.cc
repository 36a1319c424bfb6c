// Random operations against a plain model: the same answers, the same tree, a sound store after every batch, and no
// trace of what was refused.
#include <algorithm>

#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

using protocol::RenameKind;

struct ModelBlock {
  protocol::Block block;
  bool committed = false;
  uint64_t before = 0;  // bytes it had when it was opened again, while it is not committed
};

struct ModelNode {
  bool directory = false;
  InodeId id;  // of files
  uint16_t permission = 0;
  uint16_t replication = 0;
  std::string holder;  // empty: closed
  std::vector<ModelBlock> blocks;
  std::optional<uint64_t> cut;  // the last block is being cut to this; the namenode is the holder

  uint64_t length() const {
    uint64_t sum = 0;
    for (const ModelBlock& block : blocks) sum += block.committed ? block.block.length : block.before;
    return sum;
  }
  bool is_file() const { return !directory; }
};

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}
std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }
std::string Join(const std::string& directory, const std::string& name) {
  return directory == "/" ? "/" + name : directory + "/" + name;
}
bool IsBelow(const std::string& path, const std::string& above) {
  return above == "/" ? path != "/" : path.starts_with(above + "/");
}

// Every path and what is there. The caller is always the superuser.
class Model {
 public:
  Model() { nodes_["/"] = {.directory = true, .permission = 0755}; }

  ModelNode* Find(const std::string& path) {
    const auto found = nodes_.find(path);
    return found == nodes_.end() ? nullptr : &found->second;
  }
  bool HasFileAbove(std::string path) {
    while (path != "/") {
      path = ParentOf(path);
      if (Find(path) != nullptr && !Find(path)->directory) return true;
    }
    return false;
  }
  bool HasChildren(const std::string& path) {
    return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& node) { return IsBelow(node.first, path); });
  }
  void MakeParents(const std::string& path, uint16_t permission) {
    if (path == "/" || Find(path) != nullptr) return;
    MakeParents(ParentOf(path), permission);
    nodes_[path] = {.directory = true, .permission = permission};
  }
  uint16_t NearestPermission(std::string path) {
    while (Find(path) == nullptr) path = ParentOf(path);
    return Find(path)->permission;
  }
  void Remove(const std::string& path) {
    std::erase_if(nodes_, [&](const auto& node) { return node.first == path || IsBelow(node.first, path); });
  }
  void Move(const std::string& from, const std::string& to) {
    std::map<std::string, ModelNode> moved;
    for (const auto& [path, node] : nodes_)
      if (path == from || IsBelow(path, from)) moved[to + path.substr(from.size())] = node;
    Remove(from);
    nodes_.merge(moved);
  }
  void Put(const std::string& path, ModelNode node) { nodes_[path] = std::move(node); }
  const std::map<std::string, ModelNode>& nodes() const { return nodes_; }

 private:
  std::map<std::string, ModelNode> nodes_;
};

class Walk {
 public:
  explicit Walk(uint64_t seed) : random_(seed) {
    names_.settings.reap_entries_per_step = 1 + random_.Uniform(5);
    names_.settings.replication_blocks_per_step = 1 + random_.Uniform(3);
  }

  void Run() {
    names_.keep_batch_open = true;
    for (int batch = 0; batch < 15 && !::testing::Test::HasFailure(); ++batch) {
      const uint64_t operations = random_.Between(1, 8);
      for (uint64_t i = 0; i < operations; ++i) OneOperation();
      names_.Commit();
      Compare();
    }
    // In the end nothing may be left of what was deleted.
    for (const std::string& name : names_.List("/")) EXPECT_TRUE(names_.Delete("/" + name)->deleted);
    names_.ReapAll();
    while (ContinueSetReplication()) {
    }
    names_.Commit();
    EXPECT_FALSE(FirstReplicationChange(names_.store)->has_value());
    EXPECT_EQ(names_.counters.block_count, 0u);
    EXPECT_EQ(names_.CountOf(Family::kInodes), 1u);
    EXPECT_EQ(names_.CountOf(Family::kIds), 1u);
    EXPECT_EQ(names_.CountOf(Family::kBlocks) + names_.CountOf(Family::kFileBlocks), 0u);
    EXPECT_EQ(names_.CountOf(Family::kOpen) + names_.CountOf(Family::kDetached), 0u);
    const absl::Status consistent = CheckConsistency(names_.store);
    EXPECT_TRUE(consistent.ok()) << consistent;
  }
  int refusals() const { return refusals_; }
  int changes() const { return changes_; }

 private:
  std::string RandomPath() {
    std::string path;
    const uint64_t depth = random_.Between(1, 3);
    for (uint64_t i = 0; i < depth; ++i) path += std::string("/") + static_cast<char>('a' + random_.Uniform(3));
    return random_.OneIn(40) ? "/" : path;
  }
  std::string RandomHolder() { return random_.OneIn(4) ? "h2" : "h1"; }

  // Runs one operation and holds its answer against the model's. A refusal must leave the batch as it was.
  template <typename Request>
  auto Try(const Request& request, bool expected_ok, const std::string& what) {
    const MapReader::Entries before = Dump(names_.View());
    auto reply = names_.Run(names_.super, request);
    EXPECT_EQ(reply.ok(), expected_ok) << what << ": " << reply.status();
    if (!reply.ok()) {
      ++refusals_;
      EXPECT_EQ(Dump(names_.View()), before) << what << " was refused and left a trace";
    } else {
      ++changes_;
    }
    return reply;
  }

  void OneOperation() {
    names_.replicas.confirmed = random_.OneIn(6) ? 0 : 1;
    switch (random_.Uniform(18)) {
      case 0:
      case 1:
        return Mkdirs(RandomPath());
      case 2:
      case 3:
        return Create(RandomPath());
      case 4:
      case 5:
        return AddBlock(RandomFile());
      case 6:
        return Abandon(RandomFile());
      case 7:
        return Complete(RandomFile());
      case 8:
        return Delete(RandomPath());
      case 9:
        return Rename(RandomPath(), RandomPath());
      case 10:
        return Release(RandomFile());
      case 11:
      case 12:
        return Concat(RandomFile());
      case 13:
        return SetReplication(RandomFile());
      case 14:
        return Append(RandomFile());
      case 15:
        return Truncate(RandomFile());
      default:
        if (random_.OneIn(3)) return SetPermission(RandomPath());
        if (random_.OneIn(2)) return Reap();
        (void)ContinueSetReplication();
    }
  }

  // Mostly a file, as most calls on blocks would be refused otherwise.
  std::string RandomFile() {
    std::vector<std::string> files;
    for (const auto& [path, node] : model_.nodes())
      if (!node.directory) files.push_back(path);
    if (files.empty() || random_.OneIn(8)) return RandomPath();
    return files[random_.Uniform(files.size())];
  }

  void Mkdirs(const std::string& path) {
    const bool parents = !random_.OneIn(4);
    const uint16_t permission = static_cast<uint16_t>(random_.Uniform(01000));
    const ModelNode* node = model_.Find(path);
    const bool ok = !model_.HasFileAbove(path) &&
                    (node != nullptr ? node->directory : parents || model_.Find(ParentOf(path)) != nullptr);
    (void)Try(protocol::MkdirsRequest{.path = path, .permission = permission, .create_parents = parents}, ok,
              "mkdirs " + path);
    if (!ok || node != nullptr) return;
    model_.MakeParents(ParentOf(path), permission | 0300);
    model_.Put(path, {.directory = true, .permission = permission});
  }

  void Create(const std::string& path) {
    protocol::CreateRequest request = names_.CreateOf(path);
    request.overwrite = random_.OneIn(2);
    request.create_parents = !random_.OneIn(4);
    request.holder = RandomHolder();
    const ModelNode* node = model_.Find(path);
    const bool ok = !model_.HasFileAbove(path) &&
                    (node != nullptr ? !node->directory && request.overwrite
                                     : request.create_parents || model_.Find(ParentOf(path)) != nullptr);
    auto reply = Try(request, ok, "create " + path);
    if (!ok || !reply.ok()) return;
    model_.MakeParents(ParentOf(path), (model_.NearestPermission(path) & 0777) | 0300);
    model_.Put(path, {.id = reply->status.inode,
                      .permission = request.permission,
                      .replication = static_cast<uint16_t>(request.replication),
                      .holder = request.holder});
  }

  // Whether `holder` may write the file at `path`.
  bool HasLease(const std::string& path, const std::string& holder) {
    const ModelNode* node = model_.Find(path);
    return node != nullptr && !node->directory && node->holder == holder;
  }
  // The last block as its writer knows it.
  std::optional<protocol::Block> LastBlock(const std::string& path) {
    const ModelNode* node = model_.Find(path);
    if (node == nullptr || node->blocks.empty()) return std::nullopt;
    protocol::Block block = node->blocks.back().block;
    if (!node->blocks.back().committed) {
      block.length = std::max(node->blocks.back().before, random_.OneIn(3) ? random_.Between(1, 9) : kTestBlockBytes);
    }
    return block;
  }
  InodeId IdOf(const std::string& path) {
    const ModelNode* node = model_.Find(path);
    return node == nullptr || random_.OneIn(2) ? InodeId() : node->id;
  }

  void AddBlock(const std::string& path) {
    protocol::AddBlockRequest request{
        .path = path, .inode = IdOf(path), .holder = RandomHolder(), .previous = LastBlock(path)};
    const bool lie = random_.OneIn(6);
    if (lie) request.previous = protocol::Block{BlockId(16), GenerationStamp(1), 1};
    ModelNode* node = model_.Find(path);
    const bool ok =
        HasLease(path, request.holder) && !lie && (node->blocks.size() < 2 || names_.replicas.confirmed != 0);
    auto reply = Try(request, ok, "addBlock " + path);
    if (!ok || !reply.ok()) return;
    if (!node->blocks.empty()) node->blocks.back() = {*request.previous, true};
    EXPECT_EQ(reply->block.offset, node->length());
    node->blocks.push_back({reply->block.block, false});
    if (!random_.OneIn(4)) return;
    auto again = Try(request, true, "addBlock again " + path);
    EXPECT_EQ(*again, *reply);
  }

  void Abandon(const std::string& path) {
    const std::optional<protocol::Block> last = LastBlock(path);
    const protocol::AbandonBlockRequest request{
        .path = path,
        .inode = IdOf(path),
        .holder = RandomHolder(),
        .block = last.value_or(protocol::Block{BlockId(16), GenerationStamp(1), 0})};
    ModelNode* node = model_.Find(path);
    const bool appended = node != nullptr && !node->blocks.empty() && node->blocks.back().before > 0;
    const bool ok = HasLease(path, request.holder) && !appended;
    (void)Try(request, ok, "abandonBlock " + path);
    if (ok && last.has_value() && !node->blocks.back().committed) node->blocks.pop_back();
  }

  void Complete(const std::string& path) {
    const std::optional<protocol::Block> last = LastBlock(path);
    const protocol::CompleteRequest request{.path = path, .inode = IdOf(path), .holder = RandomHolder(), .last = last};
    ModelNode* node = model_.Find(path);
    const bool is_file = node != nullptr && !node->directory;
    const bool closed_already = is_file && node->holder.empty();
    const bool ok =
        closed_already || (HasLease(path, request.holder) && (node->blocks.empty() || names_.replicas.confirmed != 0));
    auto reply = Try(request, ok, "complete " + path);
    if (!ok || !reply.ok()) return;
    EXPECT_TRUE(reply->closed);
    if (closed_already) return;
    if (last.has_value()) node->blocks.back() = {*last, true};
    node->holder.clear();
    EXPECT_EQ(reply->status.length, node->length());
  }

  void Append(const std::string& path) {
    ModelNode* node = model_.Find(path);
    const protocol::AppendRequest request{.path = path, .holder = RandomHolder(), .new_block = random_.OneIn(4)};
    const bool ok = !model_.HasFileAbove(path) && node != nullptr && node->is_file() && node->holder.empty() &&
                    (node->blocks.empty() || names_.replicas.confirmed != 0);
    auto reply = Try(request, ok, "append " + path);
    if (!ok || !reply.ok()) return;
    node->holder = request.holder;
    EXPECT_EQ(reply->status.length, node->length());
    const bool reopens =
        !request.new_block && !node->blocks.empty() && node->blocks.back().block.length < kTestBlockBytes;
    ASSERT_EQ(reply->last.has_value(), reopens) << path;
    if (!reopens) return;
    ModelBlock& last = node->blocks.back();
    EXPECT_EQ(reply->last_stamp, last.block.stamp);
    EXPECT_EQ(reply->last->block.length, last.block.length);
    last = {.block = reply->last->block, .committed = false, .before = last.block.length};
  }

  void Truncate(const std::string& path) {
    ModelNode* node = model_.Find(path);
    const bool is_file = !model_.HasFileAbove(path) && node != nullptr && node->is_file();
    const uint64_t length = is_file ? random_.Uniform(node->length() + 3) : 0;
    const protocol::TruncateRequest request{.path = path, .length = length};
    const uint64_t last = is_file && !node->blocks.empty() ? node->blocks.back().block.length : 0;
    const bool again = is_file && node->cut.has_value() && length == node->length() - last + *node->cut;
    const bool ok = is_file && (again || (node->holder.empty() && length <= node->length()));
    auto reply = Try(request, ok, "truncate " + path);
    if (!ok || !reply.ok()) return;
    if (again) {
      EXPECT_FALSE(reply->done);
      return;
    }
    while (!node->blocks.empty() && node->length() - node->blocks.back().block.length >= length)
      node->blocks.pop_back();
    EXPECT_EQ(reply->done, node->length() == length) << path;
    if (reply->done) return;
    node->cut = length - (node->length() - node->blocks.back().block.length);
    node->holder = kNamenodeHolder;
  }

  // The lease runs out; the namenode does what follows to its end.
  void Release(const std::string& path) {
    ModelNode* node = model_.Find(path);
    const std::string holder = RandomHolder();
    const InodeId id = node == nullptr || node->id.is_none() ? InodeId(123'456) : node->id;
    names_.replicas.confirmed = 1;
    const auto run = [&](auto operation) {
      const absl::Status done = names_.RunOperation([&](OperationContext& context) { return operation(context); });
      EXPECT_TRUE(done.ok()) << done;
    };
    run([&](OperationContext& context) { return ops::ReleaseExpired(context, id, holder); });
    const std::optional<OpenRecord> open = GetOpen(names_.View(), id).value();
    if (node != nullptr && node->cut.has_value()) {
      const BlockId copy = open->truncation->copy;
      const GenerationStamp stamp = GetBlock(names_.View(), copy).value()->stamp;
      run([&](OperationContext& context) { return ops::FinishTruncation(context, id, copy); });
      node->blocks.back() = {.block = {copy, stamp, *node->cut}, .committed = true};
      node->cut.reset();
      node->holder.clear();
      return;
    }
    if (!HasLease(path, holder)) return;
    node->holder.clear();
    if (node->blocks.empty() || node->blocks.back().committed) return;
    ModelBlock& last = node->blocks.back();
    ASSERT_TRUE(open.has_value() && open->recovery.has_value());
    RecoveryOutcome outcome = Recovered(random_.Between(std::max<uint64_t>(last.before, 1), kTestBlockBytes));
    if (random_.OneIn(2)) {
      outcome.kind = last.before == 0 ? RecoveryOutcome::Kind::kNothingThere : RecoveryOutcome::Kind::kNothingUsable;
    }
    run([&](OperationContext& context) { return ops::FinishRecovery(context, id, *open->recovery, outcome); });
    switch (outcome.kind) {
      case RecoveryOutcome::Kind::kRecovered:
        last = {.block = {last.block.id, *open->recovery, outcome.length}, .committed = true};
        break;
      case RecoveryOutcome::Kind::kNothingThere:
        node->blocks.pop_back();
        break;
      case RecoveryOutcome::Kind::kNothingUsable:
        last = {.block = {last.block.id, *open->stamp_before_append, last.before}, .committed = true};
        break;
    }
  }

  void Delete(const std::string& path) {
    const bool recursive = random_.OneIn(2);
    const ModelNode* node = model_.Find(path);
    const bool ok =
        !model_.HasFileAbove(path) && !(node != nullptr && node->directory && !recursive && model_.HasChildren(path));
    auto reply = Try(protocol::DeleteRequest{.path = path, .recursive = recursive}, ok, "delete " + path);
    if (!ok || !reply.ok()) return;
    EXPECT_EQ(reply->deleted, node != nullptr && path != "/") << path;
    if (reply->deleted) model_.Remove(path);
  }

  void Rename(const std::string& from, const std::string& to) {
    const auto kind = static_cast<RenameKind>(random_.Between(1, 3));
    const std::string what = "rename " + from + " " + to + " " + std::to_string(static_cast<int>(kind));
    const protocol::RenameRequest request{.source = from, .destination = to, .kind = kind};
    if (model_.HasFileAbove(from) || model_.HasFileAbove(to)) {
      (void)Try(request, false, what);
      return;
    }
    const ModelNode* source = model_.Find(from);
    const ModelNode* target = model_.Find(to);
    if (kind == RenameKind::kClassic) {
      std::string place = to;
      if (target != nullptr && target->directory && from != "/") place = Join(to, NameOf(from));
      const bool same = source != nullptr && from != "/" && place == from;
      const bool moves = source != nullptr && from != "/" && !same && !IsBelow(place, from) &&
                         model_.Find(place) == nullptr && model_.Find(ParentOf(place)) != nullptr;
      auto reply = Try(request, true, what);
      if (!reply.ok()) return;
      EXPECT_EQ(reply->renamed, same || moves) << what;
      if (moves) model_.Move(from, place);
      return;
    }
    const bool may_replace =
        target == nullptr || (kind == RenameKind::kOverwrite && source != nullptr &&
                              source->directory == target->directory && !(target->directory && model_.HasChildren(to)));
    const bool ok = source != nullptr && from != "/" && to != "/" && from != to && !IsBelow(to, from) && may_replace &&
                    model_.Find(ParentOf(to)) != nullptr;
    auto reply = Try(request, ok, what);
    if (!ok || !reply.ok()) return;
    model_.Remove(to);
    model_.Move(from, to);
  }

  void SetPermission(const std::string& path) {
    const uint16_t permission = static_cast<uint16_t>(random_.Uniform(02000));
    ModelNode* node = model_.Find(path);
    (void)Try(protocol::SetAttributesRequest{.path = path, .permission = permission}, node != nullptr, "chmod " + path);
    if (node != nullptr) node->permission = permission;
  }

  // A source of one of the target's neighbours, mostly.
  void Concat(const std::string& target) {
    protocol::ConcatRequest request{.target = target};
    for (uint64_t i = random_.Between(1, 2); i > 0; --i) {
      request.sources.push_back(
          random_.OneIn(8) || target == "/"
              ? RandomPath()
              : Join(ParentOf(target), std::string(1, static_cast<char>('a' + random_.Uniform(3)))));
    }
    const auto closed_file = [&](const std::string& path) {
      const ModelNode* node = model_.Find(path);
      return node != nullptr && !node->directory && node->holder.empty() ? node : nullptr;
    };
    bool ok = closed_file(target) != nullptr;
    for (const std::string& path : request.sources) {
      const ModelNode* source = closed_file(path);
      ok = ok && source != nullptr && !source->blocks.empty() && path != target && ParentOf(path) == ParentOf(target);
    }
    ok = ok && (request.sources.size() == 1 || request.sources[0] != request.sources[1]);
    (void)Try(request, ok, "concat " + target);
    if (!ok) return;
    for (const std::string& path : request.sources) {
      const std::vector<ModelBlock> blocks = model_.Find(path)->blocks;
      model_.Remove(path);
      ModelNode* node = model_.Find(target);
      node->blocks.insert(node->blocks.end(), blocks.begin(), blocks.end());
    }
  }

  void SetReplication(const std::string& path) {
    const uint32_t replication = static_cast<uint32_t>(random_.Uniform(5));
    ModelNode* node = model_.Find(path);
    const bool ok = replication != 0 && !model_.HasFileAbove(path);
    auto reply = Try(protocol::SetReplicationRequest{.path = path, .replication = replication}, ok, "setrep " + path);
    if (!ok || !reply.ok()) return;
    EXPECT_EQ(reply->done, node != nullptr && !node->directory) << path;
    if (reply->done) node->replication = static_cast<uint16_t>(replication);
  }

  bool ContinueSetReplication() {
    auto left = names_.RunOperation([](OperationContext& context) { return ops::ContinueSetReplication(context); });
    EXPECT_TRUE(left.ok()) << left.status();
    return left.ok() && *left;
  }

  void Reap() {
    auto step = names_.RunOperation([](OperationContext& context) { return ops::ReapDetached(context); });
    EXPECT_TRUE(step.ok()) << step.status();
  }

  void Compare() {
    const absl::Status consistent = CheckConsistency(names_.store);
    EXPECT_TRUE(consistent.ok()) << consistent;
    std::map<std::string, protocol::FileStatus> found = {{"/", *names_.Info("/")}};
    for (auto at = found.begin(); at != found.end(); ++at) {
      if (!at->second.is_directory) continue;
      auto listing = GetListing(names_.store, names_.settings, names_.super, {.path = at->first});
      ASSERT_TRUE(listing.ok()) << listing.status();
      for (const protocol::FileStatus& entry : listing->entries) found[Join(at->first, entry.name)] = entry;
    }
    ASSERT_EQ(found.size(), model_.nodes().size());
    TotalsRecord totals;
    for (const auto& [path, node] : model_.nodes()) {
      ASSERT_TRUE(found.contains(path)) << path;
      const protocol::FileStatus& status = found[path];
      EXPECT_EQ(status.is_directory, node.directory) << path;
      EXPECT_EQ(status.permission, node.permission) << path;
      EXPECT_EQ(status.under_construction, !node.holder.empty()) << path;
      EXPECT_EQ(status.length, node.length()) << path;
      EXPECT_EQ(status.replication, node.replication) << path;
      EXPECT_TRUE(node.directory || status.inode == node.id) << path;
      totals.files += node.directory ? 0 : 1;
      totals.directories += node.directory && path != "/" ? 1 : 0;
      totals.bytes += node.length();
    }
    const TotalsRecord stored = names_.Totals("/");
    EXPECT_EQ(stored.files, totals.files);
    EXPECT_EQ(stored.directories, totals.directories);
    EXPECT_EQ(stored.bytes, totals.bytes);
  }

  Random random_;
  TestNamespace names_;
  Model model_;
  int refusals_ = 0;
  int changes_ = 0;
};

TEST(NamespaceModelTest, RandomOperationsAnswerAndChangeAsTheModelSays) {
  int refusals = 0;
  int changes = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Walk walk(seed);
    walk.Run();
    refusals += walk.refusals();
    changes += walk.changes();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(refusals, 3000);
  EXPECT_GT(changes, 6000);
}

}  // namespace
}  // namespace dolmen::namenode
