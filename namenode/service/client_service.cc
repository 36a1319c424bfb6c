#include "namenode/service/client_service.h"

#include <utility>

#include "common/error.h"
#include "common/rpc/convert_client.h"
#include "namenode/core/check_files.h"
#include "namenode/core/queries.h"

namespace dolmen::namenode {
namespace {

absl::Status Busy() {
  return MakeError(ErrorReason::kBusy, "the namenode has too many calls waiting; retry after a pause");
}

template <typename WireReply, typename Reply>
WireReply ToWire(const Reply& reply, CommitNumber commit) {
  WireReply wire = rpc::ToProto(reply);
  rpc::ToProto(commit, wire.mutable_header());
  return wire;
}

}  // namespace

ClientService::ClientService(CoreThread* core, const ReplicaStore* replicas, CallerResolver* callers,
                             HomeDirectories* homes, WorkerPool* queries, const Clock* clock,
                             const NamenodeCore& description)
    : core_(core),
      replicas_(replicas),
      callers_(callers),
      homes_(homes),
      queries_(queries),
      clock_(clock),
      settings_(description.settings()),
      token_key_(description.token_key()),
      defaults_(description.GetServerDefaults()),
      block_pool_(description.info().block_pool) {}

// Runs `next(caller)`: at once when the groups of the user are known, otherwise on the query threads, because asking
// the OS for them may take long.
template <typename WireReply, typename Next>
void ClientService::AsCaller(const std::string& user, const std::string& peer_host,
                             const rpc::UnaryDone<WireReply>& done, Next next) {
  if (std::optional<Caller> known = callers_->Known(user, peer_host); known.has_value() && HasHome(user))
    return next(*std::move(known));
  const bool posted = queries_->Post([this, user, peer_host, done, next = std::move(next)]() mutable {
    absl::StatusOr<Caller> caller = callers_->Resolve(user, peer_host);
    if (!caller.ok()) return done(caller.status());
    OnQueryThread(*caller, done, std::move(next));
  });
  if (!posted) done(Busy());
}

// Already on a query thread, runs `next(caller)` on one, after the user's home was made if need be.
template <typename WireReply, typename Next>
void ClientService::OnQueryThread(const Caller& caller, const rpc::UnaryDone<WireReply>& done, Next next) {
  if (HasHome(caller.user)) return next(caller);
  homes_->Make(caller.user, caller.host, [this, caller, done, next = std::move(next)]() mutable {
    const bool posted =
        queries_->Post([caller = std::move(caller), next = std::move(next)]() mutable { next(std::move(caller)); });
    if (!posted) done(Busy());
  });
}

// A change of the namespace: decided by the core thread, answered after its commit.
template <typename Op, typename WireRequest, typename WireReply>
void ClientService::Mutate(const WireRequest& request, const std::string& peer_host, rpc::UnaryDone<WireReply> done) {
  absl::StatusOr<rpc::CallHeader> header = rpc::FromProto(request.header());
  if (!header.ok()) return done(header.status());
  if (absl::Status shaped = rpc::CheckMutating(*header); !shaped.ok()) return done(shaped);
  auto op = rpc::FromProto(request);
  if (!op.ok()) return done(op.status());
  AsCaller(header->user, peer_host, done,
           [this, id = header->id, op = *std::move(op), user = header->user, done](Caller caller) mutable {
             core_->Submit(
                 {std::move(caller), std::move(id), std::move(op)},
                 [this, user = std::move(user), done = std::move(done)](Answer answer, CommitNumber commit) {
                   if (!answer.ok()) return done(answer.status());
                   auto& reply = std::get<Op>(*answer);
                   if constexpr (std::is_same_v<Op, protocol::AddBlockReply>) {
                     reply.block.token = MintWriteToken(token_key_, user, reply.block.block.id, clock_->WallNow());
                   }
                   if constexpr (std::is_same_v<Op, protocol::AppendReply>) {
                     if (reply.last.has_value()) {
                       reply.last->token = MintWriteToken(token_key_, user, reply.last->block.id, clock_->WallNow());
                     }
                   }
                   done(ToWire<WireReply>(reply, commit));
                 });
           });
}

// A pure function of one published state, on the query threads. `run`: (view, caller, request) -> StatusOr<Reply>.
template <typename WireRequest, typename WireReply, typename Run>
void ClientService::Query(const WireRequest& request, const std::string& peer_host, rpc::UnaryDone<WireReply> done,
                          Run run) {
  absl::StatusOr<rpc::CallHeader> header = rpc::FromProto(request.header());
  if (!header.ok()) return done(header.status());
  auto query = rpc::FromProto(request);
  if (!query.ok()) return done(query.status());
  const bool posted =
      queries_->Post([this, user = std::move(header->user), peer_host, query = *std::move(query), done, run] {
        absl::StatusOr<Caller> caller = callers_->Resolve(user, peer_host);
        if (!caller.ok()) return done(caller.status());
        if (HasHome(user)) return AnswerQuery<WireReply>(*caller, query, done, run);
        OnQueryThread(*caller, done, [this, query, done, run](const Caller& known) {
          AnswerQuery<WireReply>(known, query, done, run);
        });
      });
  if (!posted) done(Busy());
}

template <typename WireReply, typename Request, typename Run>
void ClientService::AnswerQuery(const Caller& caller, const Request& query, const rpc::UnaryDone<WireReply>& done,
                                Run run) {
  const PublishedState state = core_->published();
  auto reply = run(state, caller, query);
  if (!reply.ok()) return done(reply.status());
  done(ToWire<WireReply>(*reply, state.meta->commit_number()));
}

// Soft state, which only the core thread touches. `run`: (core, caller, request, now) -> StatusOr<Reply>.
template <typename WireRequest, typename WireReply, typename Run>
void ClientService::OnCore(const WireRequest& request, const std::string& peer_host, rpc::UnaryDone<WireReply> done,
                           Run run) {
  absl::StatusOr<rpc::CallHeader> header = rpc::FromProto(request.header());
  if (!header.ok()) return done(header.status());
  auto query = rpc::FromProto(request);
  if (!query.ok()) return done(query.status());
  AsCaller(header->user, peer_host, done, [this, query = *std::move(query), done, run](Caller caller) {
    const bool posted =
        core_->Post([caller = std::move(caller), query, done, run](NamenodeCore& core, MonotonicTime now) {
          auto reply = run(core, caller, query, now);
          if (!reply.ok()) return done(reply.status());
          done(ToWire<WireReply>(*reply, core.published().meta->commit_number()));
        });
    if (!posted) done(Busy());
  });
}

// Says only that the holder is alive, whoever asks: the caller is not looked up, because that may have to wait for the
// query threads, and a writer whose renewals wait loses its file.
void ClientService::RenewLease(const v1::RenewLeaseRequest& request, rpc::UnaryDone<v1::RenewLeaseReply> done) {
  if (absl::StatusOr<rpc::CallHeader> header = rpc::FromProto(request.header()); !header.ok())
    return done(header.status());
  auto renewal = rpc::FromProto(request);
  if (!renewal.ok()) return done(renewal.status());
  const bool posted = core_->Post([renewal = *std::move(renewal), done](NamenodeCore& core, MonotonicTime now) {
    done(ToWire<v1::RenewLeaseReply>(core.RenewLease(renewal, now), core.published().meta->commit_number()));
  });
  if (!posted) done(Busy());
}

void ClientService::AddTo(rpc::UnaryServer* server, rpc::UnaryQueue* queue, rpc::UnaryQueue* reserved) {
  using Service = v1::ClientNamenode::AsyncService;
#define DOLMEN_ADD_MUTATION(Op)                                                                                        \
  queue->AddMethod(&service_, &Service::Request##Op,                                                                   \
                   [this](const v1::Op##Request& request, std::string peer_host, rpc::UnaryDone<v1::Op##Reply> done) { \
                     Mutate<protocol::Op##Reply, v1::Op##Request, v1::Op##Reply>(request, peer_host, std::move(done)); \
                   });
  DOLMEN_CLIENT_MUTATIONS(DOLMEN_ADD_MUTATION)
#undef DOLMEN_ADD_MUTATION

#define DOLMEN_ADD_METHOD(lane, Op, How, Run)                                                                        \
  lane->AddMethod(                                                                                                   \
      &service_, &Service::Request##Op,                                                                              \
      [this, run = Run](const v1::Op##Request& request, std::string peer_host, rpc::UnaryDone<v1::Op##Reply> done) { \
        How<v1::Op##Request, v1::Op##Reply>(request, peer_host, std::move(done), run);                               \
      });
  const auto file_info = [this](const PublishedState& state, const Caller& caller, const auto& request) {
    return GetFileInfo(*state.meta, settings_, caller, request);
  };
  const auto listing = [this](const PublishedState& state, const Caller& caller, const auto& request) {
    return GetListing(*state.meta, settings_, caller, request);
  };
  const auto locations = [this](const PublishedState& state, const Caller& caller, const auto& request) {
    auto reply = GetBlockLocations(*state.meta, settings_, caller, request);
    if (reply.ok())
      AddLocations(*state.meta, *replicas_, *state.cluster, token_key_, caller, clock_->WallNow(), &*reply);
    return reply;
  };
  const auto check = [this](const PublishedState& state, const Caller& caller, const auto& request) {
    return CheckFiles(*state.meta, {*replicas_, *state.cluster, block_pool_}, settings_, caller, request);
  };
  const auto defaults = [this](const PublishedState&, const Caller&, const auto&) {
    return absl::StatusOr<protocol::GetServerDefaultsReply>(defaults_);
  };
  const auto content_summary = [this](const PublishedState& state, const Caller& caller, const auto& request) {
    return GetContentSummary(*state.meta, settings_, caller, request);
  };
  const auto is_closed = [this](const PublishedState& state, const Caller& caller, const auto& request) {
    return IsFileClosed(*state.meta, settings_, caller, request);
  };
  const auto open_files = [this](const PublishedState& state, const Caller& caller, const auto& request) {
    return ListOpenFiles(*state.meta, settings_, caller, request);
  };
  DOLMEN_ADD_METHOD(queue, GetContentSummary, Query, content_summary)
  DOLMEN_ADD_METHOD(queue, IsFileClosed, Query, is_closed)
  DOLMEN_ADD_METHOD(queue, ListOpenFiles, Query, open_files)
  DOLMEN_ADD_METHOD(queue, GetFileInfo, Query, file_info)
  DOLMEN_ADD_METHOD(queue, GetListing, Query, listing)
  DOLMEN_ADD_METHOD(queue, GetBlockLocations, Query, locations)
  DOLMEN_ADD_METHOD(queue, GetServerDefaults, Query, defaults)
  DOLMEN_ADD_METHOD(queue, CheckFiles, Query, check)

  const auto fs_stats = [](NamenodeCore& core, const Caller&, const auto&, MonotonicTime now) {
    return core.GetFsStats(now);
  };
  const auto datanodes = [](NamenodeCore& core, const Caller&, const auto&, MonotonicTime now) {
    return absl::StatusOr<protocol::GetDatanodeReportReply>(core.GetDatanodeReport(now));
  };
  const auto safe_mode = [](NamenodeCore& core, const Caller& caller, const auto& request, MonotonicTime now) {
    return core.SetSafeMode(caller, request, now);
  };
  const auto bad_replica = [](NamenodeCore& core, const Caller&, const auto& request, MonotonicTime) {
    return absl::StatusOr<protocol::ReportBadReplicaReply>(core.ReportBadReplica(request));
  };
  DOLMEN_ADD_METHOD(queue, GetFsStats, OnCore, fs_stats)
  DOLMEN_ADD_METHOD(queue, GetDatanodeReport, OnCore, datanodes)
  DOLMEN_ADD_METHOD(queue, SetSafeMode, OnCore, safe_mode)
  DOLMEN_ADD_METHOD(queue, ReportBadReplica, OnCore, bad_replica)
#undef DOLMEN_ADD_METHOD
  reserved->AddMethod(&service_, &Service::RequestRenewLease,
                      [this](const v1::RenewLeaseRequest& request, const std::string&,
                             rpc::UnaryDone<v1::RenewLeaseReply> done) { RenewLease(request, std::move(done)); });
  server->AddService(&service_);
}

}  // namespace dolmen::namenode
