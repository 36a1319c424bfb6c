// Random histories of a small cluster: datanodes die, return, are wiped and find rot; the namenode restarts; slices of
// full reports are lost, repeated and late; commands are lost; files come, go and change their replication.
//
// Checked at every delete command (I-8): it leaves at least the wanted number of replicas that are really good, on
// disks, and not under another delete command. At every step: no block loses its last good replica but by rot or a
// wiped disk. After healing (I-14): every block has the replicas it should have, none beyond, and no orphan is left.
#include <gtest/gtest.h>

#include <deque>
#include <set>

#include "blocks_fixture.h"

namespace dolmen::namenode {
namespace {

using std::chrono::seconds;

constexpr int kDatanodes = 5;

struct Node {
  std::string name;
  std::string uuid_suffix;
  bool running = true;
  MonotonicTime stopped_at{};
  uint64_t session = 0;
  uint64_t round = 0;
  std::map<BlockId, protocol::ReportedReplica> disk;
  std::deque<protocol::ReportedReplica> unsent;   // incremental reports, in order
  std::deque<protocol::DatanodeCommand> mailbox;  // commands received, in order
  MonotonicTime mail_since{};                     // when the oldest of them came

  DatanodeUuid uuid() const { return DatanodeUuid("uuid-" + name + uuid_suffix); }
  StorageId storage() const { return StorageId("disk-" + name + uuid_suffix); }
};

class World {
 public:
  explicit World(uint64_t seed) : seed_(seed), random_(seed) {
    settings_.scan_blocks_per_tick = static_cast<uint32_t>(random_.Between(2, 20));
    settings_.pending_copy_timeout = seconds(20);
    for (int i = 0; i < kDatanodes; ++i) nodes_.push_back({.name = absl::StrCat(i + 1)});
    StartNamenode();
    for (Node& node : nodes_) Register(node);
  }

  void Run(int steps) {
    for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
      Step();
      CheckNothingLost();
    }
  }

  // Everybody runs, nothing is lost any more: the cluster must come to rest in the right state.
  void Heal() {
    in_flight_.clear();
    reliable_ = true;
    for (Node& node : nodes_) {
      if (!node.running) Start(node);
    }
    for (int second = 0; second < 400 && !::testing::Test::HasFailure(); ++second) {
      Second();
      if (second == 100) manager_->safe_mode().Leave();  // too much was lost for it to end by itself
      for (Node& node : nodes_) {
        if (second % 15 == 0) BuildReport(node);
        Work(node);
        SendUnsent(node);
      }
      while (!in_flight_.empty()) DeliverSlice(0);
      CheckNothingLost();
    }
  }

  void CheckAtRest() {
    for (const auto& [id, record] : namespace_.blocks) {
      size_t good = 0;
      size_t any = 0;
      for (const Node& node : nodes_) {
        const auto found = node.disk.find(id);
        if (found == node.disk.end()) continue;
        ++any;
        good += IsGood(found->second, record) ? 1 : 0;
      }
      if (good == 0) continue;  // lost to rot; what is left of it stays
      EXPECT_EQ(good, record.replicas_wanted) << Where() << id;
      EXPECT_EQ(any, good) << Where() << id << ": bad replicas are left";
      EXPECT_EQ(manager_->ConfirmedReplicas({id, record.stamp, record.length}), static_cast<int>(good))
          << Where() << id;
    }
    for (const Node& node : nodes_) {
      for (const auto& [id, replica] : node.disk) {
        EXPECT_TRUE(namespace_.blocks.contains(id)) << Where() << id << " is an orphan on " << node.name;
      }
    }
    EXPECT_EQ(manager_->planner().deletions().size(), 0u) << Where();
    EXPECT_EQ(manager_->planner().pending_copies(), 0u) << Where();
  }

  const std::string& trace() const { return trace_; }
  uint64_t deletions() const { return deletions_; }
  uint64_t copies() const { return copies_; }
  uint64_t late_claims() const { return late_claims_ + manager_->report_counters().late_claims; }

 private:
  std::string Where() const { return absl::StrCat("seed ", seed_, ": "); }

  static bool IsGood(const protocol::ReportedReplica& replica, const BlockRecord& record) {
    return replica.state == ReplicaState::kFinalized && replica.block.stamp == record.stamp &&
           replica.block.length == record.length;
  }

  void StartNamenode() {
    namespace_.counters.committed_block_count = namespace_.blocks.size();
    if (manager_ != nullptr) late_claims_ += manager_->report_counters().late_claims;
    if (random_.OneIn(3)) store_.families = {};  // the hints were deleted
    manager_ = std::make_unique<BlockManager>(&settings_, ClusterId("CID-test"), Epoch(++epoch_), &store_, seed_);
    ASSERT_TRUE(manager_->Recover(namespace_, now_).ok());
    condemned_.clear();
    trace_ += "restart\n";
  }

  void Register(Node& node) {
    protocol::RegisterRequest request{.info = Info(node.name, node.name > "3" ? "/b" : "/a"),
                                      .storages = {Disk(node.storage().value())}};
    request.info.uuid = node.uuid();
    const auto registration = manager_->Register(request, namespace_.counters, now_);
    ASSERT_TRUE(registration.ok()) << Where() << registration.status();
    // What an earlier session ordered is done or dropped before the datanode speaks again.
    if (random_.OneIn(2)) Work(node);
    node.mailbox.clear();
    std::erase_if(condemned_, [&](const auto& item) { return item.first == node.name; });
    node.unsent.clear();
    node.session = registration->reply.session;
    node.round = random_.Uniform(3);
    BuildReport(node);
  }
  void Start(Node& node) {
    node.running = true;
    Register(node);
  }

  // A second passes.
  void Second() {
    now_ += seconds(1);
    for (Node& node : nodes_) {
      if (!node.running) continue;
      if (!node.mailbox.empty() && now_ - node.mail_since > seconds(25)) Work(node);
      const std::map<DatanodeUuid, uint64_t> sessions = manager_->Sessions();
      const auto known = sessions.find(node.uuid());
      if (known == sessions.end() || known->second != node.session) {
        Register(node);
        continue;
      }
      if (!reliable_ && random_.OneIn(8)) continue;  // a heartbeat is lost
      manager_->OnHeartbeat({node.uuid(), node.session, now_, {Disk(node.storage().value())}, 0});
    }
    const absl::Status ticked = manager_->Tick(now_, namespace_, true);
    ASSERT_TRUE(ticked.ok()) << Where() << ticked;
    for (auto& [uuid, command] : manager_->TakeCommands()) {
      const auto node =
          std::find_if(nodes_.begin(), nodes_.end(), [&](const Node& candidate) { return candidate.uuid() == uuid; });
      if (node == nodes_.end()) continue;
      if (const auto* deletion = std::get_if<protocol::DeleteReplicasCommand>(&command); deletion != nullptr) {
        for (const Block& block : deletion->blocks) CheckDeletion(*node, block);
      } else if (const auto* copy = std::get_if<protocol::CopyReplicaCommand>(&command); copy != nullptr) {
        ++copies_;
        absl::StrAppend(&trace_, node->name, " copies ", copy->block.id.value(), "\n");
      }
      const bool lost = !node->running || (!reliable_ && random_.OneIn(4));
      if (lost) {
        // A lost command is never carried out later.
        if (const auto* deletion = std::get_if<protocol::DeleteReplicasCommand>(&command); deletion != nullptr) {
          for (const Block& block : deletion->blocks) condemned_.erase({node->name, block.id});
        }
      } else {
        if (node->mailbox.empty()) node->mail_since = now_;
        node->mailbox.push_back(std::move(command));
      }
    }
  }

  void CheckDeletion(const Node& victim, const Block& block) {
    ++deletions_;
    absl::StrAppend(&trace_, victim.name, " deletes ", block.id.value(), "\n");
    condemned_.insert({victim.name, block.id});
    const auto record = namespace_.blocks.find(block.id);
    if (record == namespace_.blocks.end()) return;
    const auto here = victim.disk.find(block.id);
    const bool is_good = here != victim.disk.end() && IsGood(here->second, record->second);
    size_t left = 0;
    for (const Node& node : nodes_) {
      const auto found = node.disk.find(block.id);
      left += found != node.disk.end() && IsGood(found->second, record->second) &&
                      !condemned_.contains({node.name, block.id})
                  ? 1
                  : 0;
    }
    EXPECT_GE(left, is_good ? record->second.replicas_wanted : 1u)
        << Where() << "deleting " << block.id << " on " << victim.name << " leaves too few";
  }

  void CheckNothingLost() {
    for (const auto& [id, record] : namespace_.blocks) {
      if (harmed_.contains(id)) continue;
      const bool there = std::any_of(nodes_.begin(), nodes_.end(), [&](const Node& node) {
        const auto found = node.disk.find(id);
        return found != node.disk.end() && IsGood(found->second, record);
      });
      EXPECT_TRUE(there) << Where() << id << " is lost";
    }
  }

  // The datanode carries out what is in its mailbox.
  void Work(Node& node) {
    while (!node.mailbox.empty()) {
      const protocol::DatanodeCommand command = std::move(node.mailbox.front());
      node.mailbox.pop_front();
      if (const auto* deletion = std::get_if<protocol::DeleteReplicasCommand>(&command); deletion != nullptr) {
        for (const Block& block : deletion->blocks) {
          condemned_.erase({node.name, block.id});
          const auto found = node.disk.find(block.id);
          if (found == node.disk.end() || found->second.block.stamp != block.stamp) continue;
          node.unsent.push_back({found->second.block, ReplicaState::kDeleted});
          node.disk.erase(found);
        }
      } else if (const auto* copy = std::get_if<protocol::CopyReplicaCommand>(&command); copy != nullptr) {
        const auto source = node.disk.find(copy->block.id);
        if (source == node.disk.end() || source->second.state != ReplicaState::kFinalized) continue;
        for (const protocol::ReplicaLocation& location : copy->targets) {
          for (Node& target : nodes_) {
            if (target.uuid() != location.datanode.uuid || !target.running || target.disk.contains(copy->block.id)) {
              continue;
            }
            if (!reliable_ && random_.OneIn(5)) continue;
            target.disk[copy->block.id] = source->second;
            target.unsent.push_back(source->second);
          }
        }
      } else if (std::holds_alternative<protocol::SendFullReportCommand>(command)) {
        BuildReport(node);
      }
    }
  }

  void SendUnsent(Node& node) {
    while (!node.unsent.empty()) {
      SendOne(node, node.unsent.front());
      node.unsent.pop_front();
    }
  }
  void SendOne(Node& node, const protocol::ReportedReplica& replica) {
    const auto sent =
        manager_->OnIncrementalReport({node.uuid(), node.session, {{node.storage(), replica}}}, namespace_, now_);
    ASSERT_TRUE(sent.ok()) << Where() << sent.status();
  }

  void BuildReport(Node& node) {
    // One round at a time: what did not arrive of the one before is given up.
    std::erase_if(in_flight_, [&](const InFlight& sent) { return sent.slice.datanode == node.uuid() && !sent.again; });
    ++node.round;
    protocol::FullReportSlice slice{
        .datanode = node.uuid(), .session = node.session, .storage = node.storage(), .round = node.round};
    uint64_t first = 0;
    for (const uint64_t last : {uint64_t{60}, uint64_t{120}, FullReportProgress::kLastId}) {
      slice.first_id = BlockId(first);
      slice.last_id = BlockId(last);
      slice.replicas.clear();
      for (const auto& [id, replica] : node.disk) {
        if (slice.first_id <= id && id <= slice.last_id) slice.replicas.push_back(replica);
      }
      slice.is_last = last == FullReportProgress::kLastId;
      in_flight_.push_back({slice, false});
      ++slice.slice_index;
      first = last + 1;
    }
  }
  void DeliverSlice(size_t index) {
    const protocol::FullReportSlice slice = in_flight_[index].slice;
    in_flight_.erase(in_flight_.begin() + static_cast<ptrdiff_t>(index));
    const auto delivered = manager_->OnFullReportSlice(slice, namespace_, now_);
    ASSERT_TRUE(delivered.ok()) << Where() << delivered.status();
    if (!reliable_ && random_.OneIn(4)) in_flight_.push_back({slice, true});  // and again, later
  }

  void WriteBlock() {
    const auto wanted = static_cast<uint32_t>(random_.Between(1, 3));
    const auto targets = manager_->ChooseTargets({.wanted = wanted, .block_bytes = 100}, random_);
    if (!targets.ok() || manager_->safe_mode().on()) return;
    const Block block{BlockId(next_block_++), GenerationStamp(1001), 100};
    BlockRecord record{.inode = InodeId(20'000), .stamp = block.stamp, .replicas_wanted = wanted};
    namespace_.blocks[block.id] = record;
    bool confirmed = false;
    for (const protocol::ReplicaLocation& target : *targets) {
      for (Node& node : nodes_) {
        if (node.uuid() != target.datanode.uuid || !node.running) continue;
        const bool broken = confirmed && random_.OneIn(6);
        const protocol::ReportedReplica replica{block, broken ? ReplicaState::kBeingWritten : ReplicaState::kFinalized};
        node.disk[block.id] = replica;
        node.unsent.push_back(replica);
        if (confirmed) continue;
        SendUnsent(node);  // complete waits for the first
        confirmed = manager_->ConfirmedReplicas(block) >= 1;
      }
    }
    if (!confirmed) {
      namespace_.blocks.erase(block.id);
      manager_->Apply(BlockFreed{block});
      return;
    }
    namespace_.blocks[block.id].length = block.length;
    namespace_.blocks[block.id].state = BlockState::kCommitted;
    manager_->Apply(BlockCommitted{block, wanted});
  }

  BlockId AnyBlock() {
    if (namespace_.blocks.empty()) return BlockId();
    auto at = namespace_.blocks.begin();
    std::advance(at, random_.Uniform(namespace_.blocks.size()));
    return at->first;
  }

  void Step() {
    Node& node = nodes_[random_.Uniform(nodes_.size())];
    const uint64_t event = random_.Uniform(100);
    if (event < 30) {
      Second();
    } else if (event < 42) {
      if (next_block_ < 180) WriteBlock();
    } else if (event < 54) {
      if (node.running) Work(node);
    } else if (event < 66) {
      if (node.running) SendUnsent(node);
    } else if (event < 82) {
      if (!in_flight_.empty()) DeliverSlice(random_.Uniform(in_flight_.size()));
    } else if (event < 86) {
      if (node.running) BuildReport(node);
    } else if (event < 88) {
      if (!in_flight_.empty()) in_flight_.erase(in_flight_.begin());  // a slice is lost
    } else if (event < 91) {
      const BlockId id = AnyBlock();
      if (id.is_none()) return;
      const BlockRecord record = namespace_.blocks[id];
      namespace_.blocks.erase(id);
      if (!random_.OneIn(5)) manager_->Apply(BlockFreed{{id, record.stamp, record.length}});
    } else if (event < 94) {
      const BlockId id = AnyBlock();
      if (!id.is_none()) namespace_.blocks[id].replicas_wanted = static_cast<uint32_t>(random_.Between(1, 3));
    } else if (event < 95) {
      Rot(node);
    } else if (event < 97) {
      const auto stopped = std::count_if(nodes_.begin(), nodes_.end(), [](const Node& n) { return !n.running; });
      if (node.running && stopped < 2) {
        node.running = false;
        node.stopped_at = now_;
        node.mailbox.clear();
        std::erase_if(condemned_, [&](const auto& item) { return item.first == node.name; });
      }
    } else if (event < 99) {
      if (node.running) return;
      const bool is_dead = now_ - node.stopped_at > settings_.dead_after + seconds(2);
      if (is_dead && random_.OneIn(3)) {
        for (const auto& [id, replica] : node.disk) harmed_.insert(id);
        node.disk.clear();
        node.uuid_suffix += "x";
      }
      Start(node);
    } else if (random_.OneIn(4)) {
      StartNamenode();
    }
  }

  // The datanode finds a replica corrupt and says so.
  void Rot(Node& node) {
    if (!node.running || node.disk.empty()) return;
    auto at = node.disk.begin();
    std::advance(at, random_.Uniform(node.disk.size()));
    if (at->second.state != ReplicaState::kFinalized) return;
    SendUnsent(node);
    harmed_.insert(at->first);
    at->second.state = ReplicaState::kCorrupt;
    SendOne(node, at->second);
  }

  const uint64_t seed_;
  Random random_;
  CoreSettings settings_;
  FakeNamespace namespace_;
  FakeReplicaStore store_;
  MonotonicTime now_{std::chrono::hours(1)};
  uint64_t epoch_ = 0;
  std::unique_ptr<BlockManager> manager_;
  std::vector<Node> nodes_;
  struct InFlight {
    protocol::FullReportSlice slice;
    bool again = false;  // it was delivered before
  };
  std::vector<InFlight> in_flight_;
  std::set<std::pair<std::string, BlockId>> condemned_;  // (node, block) with a delete command that may be carried out
  std::set<BlockId> harmed_;                             // rot or a wiped disk took a replica
  bool reliable_ = false;
  uint64_t next_block_ = 1;
  uint64_t deletions_ = 0;
  uint64_t copies_ = 0;
  uint64_t late_claims_ = 0;
  std::string trace_;
};

TEST(BlockManagerRandomTest, NoDeletionLeavesTooFewAndHealingConverges) {
  uint64_t deletions = 0;
  uint64_t copies = 0;
  uint64_t late_claims = 0;
  for (uint64_t seed = 1; seed <= 150 && !HasFailure(); ++seed) {
    World world(seed);
    world.Run(2500);
    if (!HasFailure()) world.Heal();
    if (!HasFailure()) world.CheckAtRest();
    deletions += world.deletions();
    copies += world.copies();
    late_claims += world.late_claims();
  }
  // The histories must have been worth something.
  EXPECT_GT(deletions, 5000u);
  EXPECT_GT(copies, 2000u);
  EXPECT_GT(late_claims, 1000u);
}

TEST(BlockManagerRandomTest, SameSeedSameCommands) {
  for (uint64_t seed : {3, 7}) {
    World one(seed);
    World two(seed);
    one.Run(2500);
    two.Run(2500);
    EXPECT_EQ(one.trace(), two.trace());
    EXPECT_GT(one.trace().size(), 100u);
  }
}

}  // namespace
}  // namespace dolmen::namenode
