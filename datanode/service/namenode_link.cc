#include "datanode/service/namenode_link.h"

#include <pthread.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/rpc/channel_arguments.h"
#include "common/rpc/convert_datanode.h"
#include "spdlog/spdlog.h"

namespace dolmen::datanode {
namespace {

constexpr std::chrono::milliseconds kClocksMayDiffer{60'000};  // without a word (chosen)

KnownNamenode KnownTo(const BlockStore& store) {
  const StoreIdentity identity = store.identity();
  return {.cluster = identity.cluster,
          .highest_epoch = identity.highest_epoch,
          .highest_incarnation = identity.highest_incarnation};
}

}  // namespace

NamenodeLink::NamenodeLink(Node* node, const std::string& namenode_host, uint16_t namenode_port, SessionOptions options,
                           uint64_t seed, OnStop on_stop)
    : node_(node),
      namenode_(absl::StrCat(namenode_host, ":", namenode_port)),
      options_(options),
      on_stop_(std::move(on_stop)),
      heartbeats_(v1::DatanodeNamenode::NewStub(rpc::MakeControlChannel(namenode_host, namenode_port))),
      reports_(v1::DatanodeNamenode::NewStub(rpc::MakeControlChannel(namenode_host, namenode_port))),
      session_(std::move(options), KnownTo(node->store()), node, Random(seed)),
      recorder_("identity", 1, 16, &node->clock()),
      client_("namenode-link") {}

void NamenodeLink::Start() {
  thread_ = std::thread([this] { Run(); });
}

NamenodeLink::~NamenodeLink() { Stop(); }

void NamenodeLink::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
  client_.Shutdown();
  recorder_.Stop();
}

bool NamenodeLink::registered() const {
  MutexLock lock(&mutex_);
  return registered_;
}

void NamenodeLink::Report(const StorageId& storage, const protocol::ReportedReplica& replica) {
  Enqueue(session_event::ReplicaChanged{storage, replica});
}

void NamenodeLink::Enqueue(SessionEvent event) {
  MutexLock lock(&mutex_);
  if (stopping_) return;
  events_.push_back(std::move(event));
  changed_.SignalAll();
}

void NamenodeLink::Run() {
  pthread_setname_np(pthread_self(), "namenode-link");
  std::deque<SessionEvent> events{session_event::Tick{}};
  for (;;) {
    for (SessionEvent& event : events) {
      if (const auto* answered = std::get_if<session_event::RegisterAnswered>(&event);
          answered != nullptr && answered->reply.ok()) {
        CompareClocks(answered->reply->wall);
      }
      for (SessionAction& action : session_.Step(std::move(event), node_->clock().Now())) {
        std::visit([this](auto& one) { Do(one); }, action);
      }
    }
    events.clear();
    MutexLock lock(&mutex_);
    registered_ = session_.registered();
    while (!stopping_ && events_.empty()) {
      const std::optional<MonotonicTime> deadline = session_.NextDeadline();
      if (!deadline.has_value()) {
        changed_.Wait(&mutex_);
        continue;
      }
      const Duration left = *deadline - node_->clock().Now();
      if (left <= Duration{}) break;
      changed_.WaitFor(&mutex_, left);
    }
    if (stopping_) return;
    events.swap(events_);
    if (events.empty()) events.push_back(session_event::Tick{});
  }
}

template <typename Event, typename Plain, typename Stub, typename Prepare, typename Request>
void NamenodeLink::Call(Stub* stub, Prepare prepare, const Request& request, uint64_t number, Duration timeout) {
  client_.Call(stub, prepare, request, {.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(timeout)},
               [this, number](auto reply) {
                 Enqueue(Event{number, reply.ok() ? rpc::FromProto(*reply) : absl::StatusOr<Plain>(reply.status())});
               });
}

void NamenodeLink::Do(session_action::SendRegister& action) {
  Call<session_event::RegisterAnswered, protocol::RegisterReply>(
      reports_.get(), &v1::DatanodeNamenode::Stub::PrepareAsyncRegister, rpc::ToProto(action.message), action.request,
      options_.register_timeout);
}

void NamenodeLink::CompareClocks(WallTime namenode) const {
  if (namenode.ms == 0) return;
  const int64_t ahead_ms = node_->clock().WallNow().ms - namenode.ms;
  if (std::abs(ahead_ms) < kClocksMayDiffer.count()) return;
  spdlog::warn("this machine's clock is {} s {} the namenode's; tokens are judged by it, so set both clocks (NTP)",
               std::abs(ahead_ms) / 1000, ahead_ms > 0 ? "ahead of" : "behind");
}

void NamenodeLink::Do(session_action::SendHeartbeat& action) {
  Call<session_event::HeartbeatAnswered, protocol::HeartbeatReply>(
      heartbeats_.get(), &v1::DatanodeNamenode::Stub::PrepareAsyncHeartbeat, rpc::ToProto(action.message),
      action.request, options_.heartbeat_timeout);
}

void NamenodeLink::Do(session_action::SendIncremental& action) {
  Call<session_event::IncrementalAnswered, protocol::ReportReply>(
      reports_.get(), &v1::DatanodeNamenode::Stub::PrepareAsyncIncrementalReport, rpc::ToProto(action.message),
      action.request, options_.report_timeout);
}

void NamenodeLink::Do(session_action::SendSlice& action) {
  Call<session_event::SliceAnswered, protocol::ReportReply>(
      reports_.get(), &v1::DatanodeNamenode::Stub::PrepareAsyncFullReport, rpc::ToProto(action.message), action.request,
      options_.report_timeout);
}

void NamenodeLink::Do(session_action::RecordIdentity& action) {
  recorder_.Post([this, namenode = action.namenode] {
    Enqueue(session_event::IdentityRecorded{node_->store().RecordNamenode(namenode)});
  });
}

void NamenodeLink::Do(session_action::UseTokenKey& action) { node_->AddKey(action.key); }

void NamenodeLink::Do(session_action::Execute& action) {
  struct Visitor {
    Node* node;
    void operator()(const protocol::DeleteReplicasCommand& command) const { node->Delete(command); }
    void operator()(const protocol::CopyReplicaCommand& command) const { node->Copy(command); }
    void operator()(const protocol::VerifyReplicaCommand& command) const { node->Verify(command.block); }
    void operator()(const protocol::FreezeReplicaCommand& command) const { node->Freeze(command); }
    void operator()(const protocol::FinishRecoveryCommand& command) const { node->FinishRecovery(command); }
    void operator()(const protocol::CopyPrefixCommand& command) const { node->CopyPrefix(command); }
    void operator()(const protocol::SendFullReportCommand&) const {}  // the session's own
  };
  std::visit(Visitor{node_}, action.command);
}

void NamenodeLink::Do(session_action::Stop& action) { on_stop_(action.why); }

void NamenodeLink::Do(session_action::Notice& action) {
  if (action.trouble) {
    spdlog::warn("namenode {}: {}", namenode_, action.text);
  } else {
    spdlog::info("{}", action.text);
  }
}

}  // namespace dolmen::datanode
