#include "namenode/service/datanode_service.h"

#include <utility>

#include "common/error.h"
#include "common/rpc/convert_datanode.h"

namespace dolmen::namenode {
namespace {

absl::Status Busy() {
  return MakeError(ErrorReason::kBusy, "the namenode has too many calls waiting; retry after a pause");
}

}  // namespace

DatanodeService::DatanodeService(CoreThread* core, GuardedBoard* board, const Clock* clock,
                                 protocol::NamenodeIdentity identity)
    : core_(core), board_(board), clock_(clock), identity_(std::move(identity)) {}

void DatanodeService::Register(const v1::RegisterRequest& request, const std::string& peer_host,
                               rpc::UnaryDone<v1::RegisterReply> done) {
  auto registration = rpc::FromProto(request);
  if (!registration.ok()) return done(registration.status());
  // A datanode that does not know its own address is reached at the one it calls from.
  for (protocol::Address& address : registration->info.addresses)
    if (address.host == "0.0.0.0" || address.host == "::") address.host = peer_host;
  const bool posted =
      core_->Post([this, registration = *std::move(registration), done](NamenodeCore& core, MonotonicTime now) {
        absl::StatusOr<protocol::RegisterReply> reply = core.Register(registration, now);
        if (!reply.ok()) return done(reply.status());
        reply->wall = clock_->WallNow();
        {
          // The board must know the session before the datanode can use it.
          MutexLock lock(&board_->mutex);
          core.Exchange(&board_->board, now);
        }
        done(rpc::ToProto(*reply));
      });
  if (!posted) done(Busy());
}

void DatanodeService::Heartbeat(const v1::HeartbeatRequest& request, const rpc::UnaryDone<v1::HeartbeatReply>& done) {
  auto heartbeat = rpc::FromProto(request);
  if (!heartbeat.ok()) return done(heartbeat.status());
  const MonotonicTime arrival = clock_->Now();
  protocol::HeartbeatReply reply;
  {
    MutexLock lock(&board_->mutex);
    reply = board_->board.OnHeartbeat(*heartbeat, arrival);
  }
  reply.namenode = identity_;
  done(rpc::ToProto(reply));
}

void DatanodeService::AddTo(rpc::UnaryServer* server, rpc::UnaryQueue* queue) {
  using Service = v1::DatanodeNamenode::AsyncService;
  queue->AddMethod(&service_, &Service::RequestRegister,
                   [this](const v1::RegisterRequest& request, std::string peer_host,
                          rpc::UnaryDone<v1::RegisterReply> done) { Register(request, peer_host, std::move(done)); });
  queue->AddMethod(&service_, &Service::RequestHeartbeat,
                   [this](const v1::HeartbeatRequest& request, std::string, rpc::UnaryDone<v1::HeartbeatReply> done) {
                     Heartbeat(request, done);
                   });
  const auto report = [this](const auto& request, const rpc::UnaryDone<v1::ReportReply>& done, auto method) {
    auto parsed = rpc::FromProto(request);
    if (!parsed.ok()) return done(parsed.status());
    const bool posted = core_->Post([parsed = *std::move(parsed), done, method](NamenodeCore& core, MonotonicTime now) {
      done(rpc::ToProto((core.*method)(parsed, now)));
    });
    if (!posted) done(Busy());
  };
  queue->AddMethod(
      &service_, &Service::RequestIncrementalReport,
      [report](const v1::IncrementalReportRequest& request, std::string, rpc::UnaryDone<v1::ReportReply> done) {
        report(request, done, &NamenodeCore::OnIncrementalReport);
      });
  queue->AddMethod(&service_, &Service::RequestFullReport,
                   [report](const v1::FullReportSlice& request, std::string, rpc::UnaryDone<v1::ReportReply> done) {
                     report(request, done, &NamenodeCore::OnFullReport);
                   });
  server->AddService(&service_);
}

}  // namespace dolmen::namenode
