#include "tests/sim/sim_namenode.h"

#include "common/check.h"
#include "common/error.h"
#include "namenode/core/bootstrap.h"
#include "namenode/core/check_files.h"
#include "namenode/core/queries.h"

namespace dolmen::sim {
namespace {

template <typename Reply>
absl::StatusOr<protocol::QueryReply> Wrap(absl::StatusOr<Reply> reply) {
  if (!reply.ok()) return reply.status();
  return protocol::QueryReply(*std::move(reply));
}

}  // namespace

using namenode::Answer;
using namenode::Finished;
using namenode::NamenodeCore;

SimNamenode::SimNamenode(EventQueue* events, Network* network, NodeId node, namenode::CoreSettings settings,
                         uint64_t seed, NamenodeObserver* observer)
    : events_(*events), network_(*network), node_(node), settings_(settings), random_(seed), observer_(observer) {
  auto store = namenode::MemoryMetaStore::Open(disk_);
  DOLMEN_CHECK(store.ok());
  const namenode::NamespaceInfo info = namenode::MintNamespace(&random_, "root", "supergroup", Wall());
  DOLMEN_CHECK((*store)->Commit(namenode::FormatBatch(info)).ok());
}

WallTime SimNamenode::Wall() const {
  return WallTime{1'700'000'000'000 + wall_offset_ms_ +
                  std::chrono::duration_cast<std::chrono::milliseconds>(events_.now().time_since_epoch()).count()};
}

void SimNamenode::Start() {
  DOLMEN_CHECK(!running());
  ++process_;
  ++counts_.starts;
  auto store = namenode::MemoryMetaStore::Open(disk_);
  DOLMEN_CHECK(store.ok(), MessageOf(store.status()));
  store_ = *std::move(store);
  absl::StatusOr<namenode::Start> start = namenode::PlanStart(*store_->View(), Wall());
  DOLMEN_CHECK(start.ok(), MessageOf(start.status()));
  DOLMEN_CHECK(store_->Commit(start->batch).ok());
  const protocol::NamenodeIdentity identity{start->info.cluster, start->counters.epoch, random_.Bytes(8)};
  core_ =
      std::make_unique<NamenodeCore>(namenode::NamenodeCoreOptions{settings_, start->info, start->counters, identity,
                                                                   TokenKey{1, std::string(32, 'k')}, random_.Next()},
                                     store_->View(), replicas_.get());
  DOLMEN_CHECK(core_->Recover(events_.now()).ok());
  board_ = std::make_unique<namenode::HeartbeatBoard>(identity);
  network_.Start(node_);
  observer_->Started(*store_->View());
  ScheduleTick();
}

void SimNamenode::Crash(bool lose_hints) {
  DOLMEN_CHECK(running());
  DisarmFaults();
  if (in_flight_.has_value()) {
    if (random_.OneIn(2)) {
      // It reached the disk, but nobody was answered: the checker learns what was decided all the same.
      ++counts_.crashes_after_commit;
      DOLMEN_CHECK(store_->Commit(*in_flight_).ok());
      Deliver(core_->FinishBatch(absl::OkStatus(), store_->View(), events_.now()), /*executed=*/true, /*reply=*/false);
    } else {
      ++counts_.crashes_before_commit;
    }
  }
  network_.Stop(node_);
  ++process_;
  in_flight_.reset();
  waiting_.clear();
  core_.reset();
  board_.reset();
  store_.reset();
  if (lose_hints) replicas_ = std::make_unique<namenode::MemoryReplicaStore>();
}

void SimNamenode::FailNextCommit(bool applied) {
  failure_was_applied_ = applied;
  disk_->FailNextCommit(applied);
}

void SimNamenode::ScheduleTick() {
  const uint64_t process = process_;
  events_.After(std::chrono::milliseconds(100), [this, process] {
    if (process != process_) return;
    Deliver(core_->Tick(events_.now()), /*executed=*/false);
    core_->Exchange(board_.get(), events_.now());
    Pump();
    ScheduleTick();
  });
}

void SimNamenode::OnMutation(namenode::ClientMutation operation, MutationDone done) {
  const uint64_t ticket = next_ticket_++;
  if (absl::Status queued = core_->Submit(ticket, operation, events_.now()); !queued.ok()) return done(queued);
  waiting_.emplace(ticket, Waiting{std::move(operation), std::move(done)});
  Pump();
}

// One batch at a time: decided now, on disk a little later.
void SimNamenode::Pump() {
  if (in_flight_.has_value()) return;
  in_flight_ = core_->BeginBatch(events_.now(), Wall());
  if (!in_flight_.has_value()) return;
  const uint64_t process = process_;
  if (crash_in_batch_.second) {
    events_.After(std::chrono::microseconds(50), [this, process] {
      if (process != process_) return;
      auto [lose_hints, then] = std::exchange(crash_in_batch_, {});
      Crash(lose_hints);
      then();
    });
  }
  events_.After(std::chrono::microseconds(random_.Between(100, 8000)), [this, process] {
    if (process == process_) CommitNow();
  });
}

void SimNamenode::CommitNow() {
  const absl::Status committed = store_->Commit(*in_flight_);
  in_flight_.reset();
  ++counts_.commits;
  if (!committed.ok()) {
    ++counts_.failed_commits;
    if (failure_was_applied_) {
      // On disk nevertheless: nobody is told, but retries will find the answers.
      for (const Finished& one : core_->queue().undelivered())
        observer_->Executed(waiting_.at(one.ticket).operation, one.answer, one.commit);
    }
    Deliver(core_->FinishBatch(committed, nullptr, events_.now()), /*executed=*/false);
    return;
  }
  Deliver(core_->FinishBatch(committed, store_->View(), events_.now()), /*executed=*/true);
  observer_->Published(*core_->published().meta);
  batch_sizes_ = core_->queue().batch_size_histogram();
  Pump();
}

void SimNamenode::Deliver(std::vector<Finished> finished, bool executed, bool reply) {
  for (Finished& one : finished) {
    auto found = waiting_.find(one.ticket);
    DOLMEN_CHECK(found != waiting_.end(), "an operation was answered twice");
    Waiting waiting = std::move(found->second);
    waiting_.erase(found);
    if (executed) observer_->Executed(waiting.operation, one.answer, one.commit);
    if (!reply) continue;
    if (one.answer.ok()) {
      if (auto* added = std::get_if<protocol::AddBlockReply>(&*one.answer)) {
        added->block.token =
            namenode::MintWriteToken(core_->token_key(), waiting.operation.caller.user, added->block.block.id, Wall());
      }
      if (auto* appended = std::get_if<protocol::AppendReply>(&*one.answer);
          appended != nullptr && appended->last.has_value()) {
        appended->last->token = namenode::MintWriteToken(core_->token_key(), waiting.operation.caller.user,
                                                         appended->last->block.id, Wall());
      }
    }
    waiting.done(std::move(one.answer));
  }
}

void SimNamenode::OnQuery(const namenode::Caller& caller, const protocol::Query& query, const QueryDone& done) {
  struct Run {
    SimNamenode& node;
    const namenode::Caller& caller;
    using Result = absl::StatusOr<protocol::QueryReply>;
    namenode::PublishedState state() const { return node.core_->published(); }
    Result operator()(const protocol::GetFileInfoRequest& request) const {
      return Wrap(namenode::GetFileInfo(*state().meta, node.settings_, caller, request));
    }
    Result operator()(const protocol::GetListingRequest& request) const {
      return Wrap(namenode::GetListing(*state().meta, node.settings_, caller, request));
    }
    Result operator()(const protocol::GetBlockLocationsRequest& request) const {
      auto reply = namenode::GetBlockLocations(*state().meta, node.settings_, caller, request);
      if (reply.ok()) {
        namenode::AddLocations(*state().meta, *node.replicas_, *state().cluster, node.core_->token_key(), caller,
                               node.Wall(), &*reply);
      }
      return Wrap(std::move(reply));
    }
    Result operator()(const protocol::GetContentSummaryRequest& request) const {
      return Wrap(namenode::GetContentSummary(*state().meta, node.settings_, caller, request));
    }
    Result operator()(const protocol::IsFileClosedRequest& request) const {
      return Wrap(namenode::IsFileClosed(*state().meta, node.settings_, caller, request));
    }
    Result operator()(const protocol::ListOpenFilesRequest& request) const {
      return Wrap(namenode::ListOpenFiles(*state().meta, node.settings_, caller, request));
    }
    Result operator()(const protocol::GetFsStatsRequest&) const {
      return Wrap(node.core_->GetFsStats(node.events_.now()));
    }
    Result operator()(const protocol::GetDatanodeReportRequest&) const {
      return protocol::QueryReply(node.core_->GetDatanodeReport(node.events_.now()));
    }
    Result operator()(const protocol::GetServerDefaultsRequest&) const {
      return protocol::QueryReply(node.core_->GetServerDefaults());
    }
    Result operator()(const protocol::RenewLeaseRequest& request) const {
      return protocol::QueryReply(node.core_->RenewLease(request, node.events_.now()));
    }
    Result operator()(const protocol::SetSafeModeRequest& request) const {
      return Wrap(node.core_->SetSafeMode(caller, request, node.events_.now()));
    }
    Result operator()(const protocol::ReportBadReplicaRequest& request) const {
      return protocol::QueryReply(node.core_->ReportBadReplica(request));
    }
    Result operator()(const protocol::CheckFilesRequest& request) const {
      return Wrap(namenode::CheckFiles(*state().meta,
                                       {*node.replicas_, *state().cluster, node.core_->info().block_pool},
                                       node.settings_, caller, request));
    }
  };
  done(std::visit(Run{*this, caller}, query));
}

absl::StatusOr<protocol::RegisterReply> SimNamenode::OnRegister(const protocol::RegisterRequest& request) {
  absl::StatusOr<protocol::RegisterReply> reply = core_->Register(request, events_.now());
  core_->Exchange(board_.get(), events_.now());
  return reply;
}

protocol::HeartbeatReply SimNamenode::OnHeartbeat(const protocol::HeartbeatRequest& request) {
  return board_->OnHeartbeat(request, events_.now());
}

protocol::ReportReply SimNamenode::OnIncrementalReport(const protocol::IncrementalReportRequest& request) {
  protocol::ReportReply reply = core_->OnIncrementalReport(request, events_.now());
  Pump();
  return reply;
}

protocol::ReportReply SimNamenode::OnFullReport(const protocol::FullReportSlice& slice) {
  protocol::ReportReply reply = core_->OnFullReport(slice, events_.now());
  Pump();
  return reply;
}

}  // namespace dolmen::sim
