// A namespace in memory to run operations on, with datanodes and leases that say what the test tells them to.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/error.h"
#include "common/random.h"
#include "namenode/core/bootstrap.h"
#include "namenode/core/consistency.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/meta_batch.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/queries.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode {

// Committed state as an ordered map.
class MapReader final : public MetaReader {
 public:
  using Entries = std::map<std::pair<Family, std::string>, std::string>;

  absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) const override {
    const auto found = entries_.find({family, std::string(key)});
    if (found == entries_.end()) return std::optional<std::string>();
    return std::optional<std::string>(found->second);
  }
  absl::Status Scan(Family family, std::string_view start, std::string_view end,
                    absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const override {
    for (auto at = entries_.lower_bound({family, std::string(start)}); at != entries_.end(); ++at) {
      if (at->first.first != family || (!end.empty() && at->first.second >= end)) break;
      if (!visit(at->first.second, at->second)) break;
    }
    return absl::OkStatus();
  }
  void Apply(std::vector<MetaWrite> writes) {
    for (MetaWrite& write : writes) {
      if (write.value.has_value()) {
        entries_[{write.family, std::move(write.key)}] = *std::move(write.value);
      } else {
        entries_.erase({write.family, std::move(write.key)});
      }
    }
  }
  Entries& entries() { return entries_; }

 private:
  Entries entries_;
};

// Every entry a reader sees.
inline MapReader::Entries Dump(const MetaReader& reader) {
  MapReader::Entries all;
  for (int family = 0; family < kFamilyCount; ++family) {
    absl::Status scanned =
        reader.Scan(static_cast<Family>(family), "", "", [&](std::string_view key, std::string_view value) {
          all[{static_cast<Family>(family), std::string(key)}] = value;
          return true;
        });
    EXPECT_TRUE(scanned.ok()) << scanned;
  }
  return all;
}

class FakeReplicas final : public ReplicaView {
 public:
  int ConfirmedReplicas(const protocol::Block& block) const override {
    asked.push_back(block);
    return unconfirmed.contains(block.id) ? 0 : confirmed;
  }
  std::vector<protocol::ReplicaLocation> ConfirmedLocations(const protocol::Block& block,
                                                            bool live_only) const override {
    std::vector<protocol::ReplicaLocation> locations;
    if (unconfirmed.contains(block.id)) return locations;
    for (const std::string& name : datanodes) {
      if (locations.size() == static_cast<size_t>(confirmed)) break;
      if (!live_only || !stale.contains(name)) locations.push_back(Location(name));
    }
    return locations;
  }
  size_t LiveDatanodes() const override { return datanodes.size() - stale.size(); }
  absl::StatusOr<std::vector<protocol::ReplicaLocation>> ChooseTargets(const TargetRequest& request,
                                                                       Random&) const override {
    last_request = request;
    std::vector<protocol::ReplicaLocation> targets;
    for (const std::string& name : datanodes) {
      if (targets.size() == request.wanted) break;
      if (std::count(request.excluded.begin(), request.excluded.end(), DatanodeUuid(name)) != 0) continue;
      targets.push_back(Location(name));
    }
    if (targets.empty()) return MakeError(ErrorReason::kNoDatanodes, "dn1: excluded by the caller.");
    return targets;
  }
  bool IsRegistered(const DatanodeUuid& datanode) const override {
    return std::count(datanodes.begin(), datanodes.end(), datanode.value()) != 0;
  }
  std::optional<protocol::ReplicaLocation> Locate(const DatanodeUuid& datanode, const StorageId&) const override {
    if (std::count(datanodes.begin(), datanodes.end(), datanode.value()) == 0) return std::nullopt;
    return Location(datanode.value());
  }
  static protocol::ReplicaLocation Location(const std::string& name) {
    return {.datanode = {.uuid = DatanodeUuid(name), .host_name = name, .addresses = {{"default", name, 7066}}},
            .storage = StorageId("storage-" + name)};
  }

  int confirmed = 3;
  std::set<BlockId> unconfirmed;
  std::vector<std::string> datanodes = {"dn1", "dn2", "dn3"};
  std::set<std::string> stale;  // of the datanodes
  mutable TargetRequest last_request;
  mutable std::vector<protocol::Block> asked;
};

class FakeLeases final : public LeaseView {
 public:
  bool SoftLimitExpired(const std::string& holder) const override { return silent.contains(holder); }
  std::set<std::string> silent;
};

inline constexpr uint64_t kTestBlockBytes = 1024;

// Runs operations as the executor does: all or nothing each, several per batch if asked, then one commit.
class TestNamespace {
 public:
  TestNamespace() {
    settings.min_block_bytes = 512;
    info = MintNamespace(&random, "super", "supergroup", WallTime{1000});
    CommitBatch format = FormatBatch(info);
    commit = format.number;
    store.Apply(std::move(format.writes));
    counters = DecodeCounters(*store.Get(Family::kMeta, keys::kCounters).value()).value();
    super = {.user = "super", .groups = {"supergroup"}, .is_superuser = true, .host = "client1"};
    alice = {.user = "alice", .groups = {"staff"}, .host = "client2"};
    bob = {.user = "bob", .groups = {"staff", "guests"}, .host = "client3"};
  }

  OperationContext Context() {
    if (batch == nullptr) {
      batch = std::make_unique<MetaBatch>(&store);
      commit = commit.Next();
      now.ms += 1;
    }
    return {.batch = batch.get(),
            .counters = &counters,
            .effects = &effects,
            .settings = &settings,
            .info = &info,
            .replicas = &replicas,
            .leases = &leases,
            .random = &random,
            .now = now,
            .commit = commit,
            .overdue = &overdue};
  }
  // `decide` is run as one operation of the current batch.
  template <typename DecideFn>
  auto RunOperation(const DecideFn& decide) {
    OperationContext context = Context();
    const Counters counters_before = counters;
    const size_t effects_before = effects.size();
    batch->BeginOperation();
    auto reply = decide(context);
    if (reply.ok()) {
      batch->KeepOperation();
    } else {
      batch->UndoOperation();
      counters = counters_before;
      effects.resize(effects_before);
    }
    if (!keep_batch_open) Commit();
    return reply;
  }
  template <typename Request>
  auto Run(const Caller& caller, const Request& request) {
    return RunOperation([&](OperationContext& context) { return ops::Decide(context, caller, request); });
  }
  void Commit() {
    if (batch == nullptr) return;
    batch->Put(Family::kMeta, std::string(keys::kCounters), EncodeCounters(counters));
    store.Apply(batch->TakeWrites());
    batch.reset();
  }
  // What was committed, with the batch being built.
  const MetaReader& View() const { return batch != nullptr ? static_cast<const MetaReader&>(*batch) : store; }

  // ---- short forms, all as the superuser
  auto Mkdirs(const std::string& path, uint16_t permission = 0755) {
    return Run(super, protocol::MkdirsRequest{.path = path, .permission = permission});
  }
  protocol::CreateRequest CreateOf(const std::string& path) const {
    return {.path = path, .permission = 0644, .replication = 3, .block_bytes = kTestBlockBytes, .holder = "writer"};
  }
  auto Create(const std::string& path) { return Run(super, CreateOf(path)); }
  absl::StatusOr<protocol::LocatedBlock> AddBlock(const std::string& path, std::optional<protocol::Block> previous,
                                                  const std::string& holder = "writer") {
    auto reply = Run(super, protocol::AddBlockRequest{.path = path, .holder = holder, .previous = previous});
    if (!reply.ok()) return reply.status();
    return reply->block;
  }
  auto Complete(const std::string& path, std::optional<protocol::Block> last) {
    return Run(super, protocol::CompleteRequest{.path = path, .holder = "writer", .last = last});
  }
  // A closed file of blocks with these lengths.
  void WriteFile(const std::string& path, const std::vector<uint64_t>& lengths) {
    ASSERT_TRUE(Create(path).ok()) << path;
    std::optional<protocol::Block> last;
    for (uint64_t length : lengths) {
      auto added = AddBlock(path, last);
      ASSERT_TRUE(added.ok()) << added.status();
      last = added->block;
      last->length = length;
    }
    auto completed = Complete(path, last);
    ASSERT_TRUE(completed.ok()) << completed.status();
    ASSERT_TRUE(completed->closed);
  }
  auto Delete(const std::string& path, bool recursive = true) {
    return Run(super, protocol::DeleteRequest{.path = path, .recursive = recursive});
  }
  auto Rename(const std::string& from, const std::string& to,
              protocol::RenameKind kind = protocol::RenameKind::kClassic) {
    return Run(super, protocol::RenameRequest{.source = from, .destination = to, .kind = kind});
  }
  absl::Status SetOwner(const std::string& path, const std::string& owner, const std::string& group,
                        uint16_t permission) {
    return Run(super,
               protocol::SetAttributesRequest{.path = path, .permission = permission, .owner = owner, .group = group})
        .status();
  }
  std::optional<protocol::FileStatus> Info(const std::string& path) {
    auto reply = GetFileInfo(View(), settings, super, {.path = path});
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->status : std::nullopt;
  }
  bool Exists(const std::string& path) { return Info(path).has_value(); }
  std::vector<std::string> List(const std::string& path) {
    auto reply = GetListing(View(), settings, super, {.path = path});
    EXPECT_TRUE(reply.ok()) << reply.status();
    std::vector<std::string> names;
    if (reply.ok())
      for (const protocol::FileStatus& entry : reply->entries) names.push_back(entry.name);
    return names;
  }
  TotalsRecord Totals(const std::string& path) {
    auto status = Info(path);
    EXPECT_TRUE(status.has_value()) << path;
    return status.has_value() ? GetTotals(View(), status->inode).value() : TotalsRecord();
  }
  template <typename T>
  std::vector<T> EffectsOf() const {
    std::vector<T> found;
    for (const Effect& effect : effects)
      if (const T* one = std::get_if<T>(&effect)) found.push_back(*one);
    return found;
  }
  size_t CountOf(Family family) {
    size_t count = 0;
    for (const auto& [key, value] : store.entries()) count += key.first == family ? 1 : 0;
    return count;
  }
  void ReapAll() {
    for (int step = 0; step < 10'000; ++step) {
      auto left = RunOperation([](OperationContext& context) { return ops::ReapDetached(context); });
      ASSERT_TRUE(left.ok()) << left.status();
      if (!*left) return;
    }
    FAIL() << "the reaper does not come to an end";
  }

  CoreSettings settings;
  Random random{7};
  NamespaceInfo info;
  Counters counters;
  CommitNumber commit;
  WallTime now{2000};
  MapReader store;
  std::unique_ptr<MetaBatch> batch;
  bool keep_batch_open = false;
  std::vector<Effect> effects;
  std::vector<LeaseClosed> overdue;
  FakeReplicas replicas;
  FakeLeases leases;
  Caller super, alice, bob;
};

inline std::string TextOf(const absl::Status& status) { return std::string(MessageOf(status)); }

// The namespace is checked after every test.
class NamespaceTest : public ::testing::Test, public TestNamespace {
 protected:
  using TestNamespace::Run;  // not the private one of ::testing::Test
  void TearDown() override {
    Commit();
    absl::Status consistent = CheckConsistency(store);
    EXPECT_TRUE(consistent.ok()) << consistent;
  }
};

// Refused for this reason, in these words.
#define EXPECT_REFUSED(expression, expected_reason, text)             \
  do {                                                                \
    const auto& refused_ = (expression);                              \
    ASSERT_FALSE(refused_.ok());                                      \
    const absl::Status why_ = ::dolmen::namenode::AsStatus(refused_); \
    EXPECT_EQ(ReasonOf(why_), ErrorReason::expected_reason) << why_;  \
    EXPECT_EQ(::dolmen::namenode::TextOf(why_), text);                \
  } while (false)

inline const absl::Status& AsStatus(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& AsStatus(const absl::StatusOr<T>& result) {
  return result.status();
}

}  // namespace dolmen::namenode
