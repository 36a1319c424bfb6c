#include "tests/bench/commit_model.h"

#include <functional>
#include <memory>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/error.h"
#include "common/random.h"
#include "namenode/core/bootstrap.h"
#include "namenode/core/namenode_core.h"
#include "namenode/storage/memory_meta_store.h"
#include "namenode/storage/memory_replica_store.h"
#include "tests/bench/workload.h"

namespace dolmen::bench {
namespace {

using namenode::CommitBatch;

constexpr int kSmallBatch = 1;
constexpr int kLargeBatch = 65;
// The store's own put of every commit: number, epoch, time, digest (docs/formats/metadata.md).
constexpr double kHeaderBytes = 40;

// A namenode's core on a store in memory.
class Core {
 public:
  absl::Status Start() {
    Random random(1);
    DOLMEN_ASSIGN_OR_RETURN(store_, namenode::MemoryMetaStore::Open(std::make_shared<namenode::MemoryMetaDisk>()));
    DOLMEN_RETURN_IF_ERROR(
        store_->Commit(namenode::FormatBatch(namenode::MintNamespace(&random, "bench", "supergroup", wall_))));
    DOLMEN_ASSIGN_OR_RETURN(const namenode::Start start, namenode::PlanStart(*store_->View(), wall_));
    DOLMEN_RETURN_IF_ERROR(store_->Commit(start.batch));
    core_ = std::make_unique<namenode::NamenodeCore>(
        namenode::NamenodeCoreOptions{{},
                                      start.info,
                                      start.counters,
                                      {start.info.cluster, start.counters.epoch, "bench"},
                                      TokenKey{1, std::string(32, 'k')},
                                      /*seed=*/1},
        store_->View(), &replicas_);
    DOLMEN_RETURN_IF_ERROR(core_->Recover(now_));
    core_->Tick(now_);
    return RunAll().status();
  }

  // Decides them as one batch, the calls of one client that has had every earlier answer.
  absl::StatusOr<CommitBatch> Run(std::vector<protocol::Mutation> operations) {
    const uint64_t first = next_call_;
    for (protocol::Mutation& operation : operations) {
      const uint64_t call = next_call_++;
      DOLMEN_RETURN_IF_ERROR(
          core_->Submit(call,
                        {{.user = "bench", .is_superuser = true, .host = "127.0.0.1"},
                         {.client_id = std::string(16, 'c'), .call_id = call, .first_unanswered = first},
                         std::move(operation)},
                        now_));
    }
    return RunAll();
  }

 private:
  absl::StatusOr<CommitBatch> RunAll() {
    CommitBatch first;
    for (int batches = 0; std::optional<CommitBatch> batch = core_->BeginBatch(now_, wall_); ++batches) {
      if (batches == 0) first = *batch;
      const absl::Status committed = store_->Commit(*batch);
      for (const namenode::Finished& one : core_->FinishBatch(committed, store_->View(), now_))
        DOLMEN_RETURN_IF_ERROR(one.answer.status());
    }
    return first;
  }

  const MonotonicTime now_{std::chrono::hours(1)};
  const WallTime wall_{1'700'000'000'000};
  std::unique_ptr<namenode::MemoryMetaStore> store_;
  namenode::MemoryReplicaStore replicas_;
  std::unique_ptr<namenode::NamenodeCore> core_;
  uint64_t next_call_ = 1;
};

struct Sums {
  double puts = 0, put_bytes = 0, deletes = 0, delete_bytes = 0;
};
std::array<Sums, namenode::kFamilyCount> SumsOf(const CommitBatch& batch) {
  std::array<Sums, namenode::kFamilyCount> sums;
  for (const namenode::MetaWrite& write : batch.writes) {
    Sums& sum = sums[static_cast<size_t>(write.family)];
    const double bytes = static_cast<double>(write.key.size() + (write.value.has_value() ? write.value->size() : 0));
    (write.value.has_value() ? sum.puts : sum.deletes) += 1;
    (write.value.has_value() ? sum.put_bytes : sum.delete_bytes) += bytes;
  }
  Sums& meta = sums[static_cast<size_t>(namenode::Family::kMeta)];
  meta.puts += 1;
  meta.put_bytes += kHeaderBytes;
  return sums;
}

Linear Through(double small, double large) {
  const double slope = (large - small) / (kLargeBatch - kSmallBatch);
  return {.per_batch = small - slope * kSmallBatch, .per_operation = slope};
}

}  // namespace

absl::StatusOr<CommitModel> MeasureCommitModel() {
  Core core;
  DOLMEN_RETURN_IF_ERROR(core.Start());
  const Workload workload{.root = "/meta"};
  for (uint64_t i = 0; i < Workload::kDirectories; ++i) {
    DOLMEN_RETURN_IF_ERROR(core.Run({protocol::MkdirsRequest{.path = workload.Directory(i)}}).status());
  }
  using Make = std::function<protocol::Mutation(uint64_t)>;
  const std::vector<std::pair<std::string, Make>> operations = {
      {"Create",
       [&](uint64_t i) { return protocol::CreateRequest{.path = workload.File(i), .holder = Workload::kHolder}; }},
      {"Mkdirs", [&](uint64_t i) { return protocol::MkdirsRequest{.path = workload.NewDirectory(i)}; }},
      {"Rename",
       [&](uint64_t i) {
         return protocol::RenameRequest{.source = workload.File(i), .destination = workload.Renamed(i)};
       }},
      {"Delete", [&](uint64_t i) { return protocol::DeleteRequest{.path = workload.Renamed(i)}; }}};
  CommitModel model;
  for (const auto& [name, make] : operations) {
    std::vector<protocol::Mutation> many;
    for (uint64_t i = kSmallBatch; i < kSmallBatch + kLargeBatch; ++i) many.push_back(make(i));
    DOLMEN_ASSIGN_OR_RETURN(const CommitBatch small, core.Run({make(0)}), name);
    DOLMEN_ASSIGN_OR_RETURN(const CommitBatch large, core.Run(std::move(many)), name);
    const auto of_small = SumsOf(small), of_large = SumsOf(large);
    for (size_t family = 0; family < of_small.size(); ++family) {
      const Sums &a = of_small[family], &b = of_large[family];
      model[name][family] = {.puts = Through(a.puts, b.puts),
                             .put_bytes = Through(a.put_bytes, b.put_bytes),
                             .deletes = Through(a.deletes, b.deletes),
                             .delete_bytes = Through(a.delete_bytes, b.delete_bytes)};
    }
  }
  return model;
}

std::string ToText(const CommitModel& model) {
  std::string text;
  for (const auto& [name, families] : model) {
    for (size_t family = 0; family < families.size(); ++family) {
      absl::StrAppend(&text, name, " ", family);
      const FamilyWrites& writes = families[family];
      for (const Linear* linear : {&writes.puts, &writes.put_bytes, &writes.deletes, &writes.delete_bytes})
        absl::StrAppendFormat(&text, " %.9g %.9g", linear->per_batch, linear->per_operation);
      text += "\n";
    }
  }
  return text;
}

absl::StatusOr<CommitModel> FromText(const std::string& text) {
  CommitModel model;
  std::istringstream in(text);
  std::string name;
  while (in >> name) {
    size_t family = 0;
    FamilyWrites writes;
    in >> family;
    for (Linear* linear : {&writes.puts, &writes.put_bytes, &writes.deletes, &writes.delete_bytes})
      in >> linear->per_batch >> linear->per_operation;
    if (in.fail() || family >= namenode::kFamilyCount) {
      return MakeError(ErrorReason::kIllegalArgument, "the model of the committer cannot be read");
    }
    model[name][family] = writes;
  }
  return model;
}

}  // namespace dolmen::bench
