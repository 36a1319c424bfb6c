#include "client/namenode_channel.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "client/transport_error.h"
#include "client/waiter.h"
#include "common/error.h"
#include "common/rpc/channel_arguments.h"
#include "common/rpc/convert_client.h"
#include "proto/client_namenode.grpc.pb.h"

namespace dolmen::client {
namespace {

absl::Status ShuttingDown() { return MakeError(ErrorReason::kCancelled, "the client is shutting down"); }

// Sends one request of any kind: `send(request)` for each type, chosen by overloads.
template <typename AnyReply>
class Sender {
 public:
  using Done = std::function<void(absl::StatusOr<AnyReply>)>;
  Sender(rpc::UnaryClient* client, std::shared_ptr<v1::ClientNamenode::Stub> stub, const rpc::CallHeader& header,
         rpc::UnaryCallOptions options, Done done)
      : client_(client), stub_(std::move(stub)), header_(header), options_(options), done_(std::move(done)) {}

#define DOLMEN_SEND(Op)                                                                                     \
  void operator()(const protocol::Op##Request& request) {                                                   \
    v1::Op##Request message = rpc::ToProto(request);                                                        \
    rpc::ToProto(header_, message.mutable_header());                                                        \
    client_->Call(stub_.get(), &v1::ClientNamenode::Stub::PrepareAsync##Op, message, options_,              \
                  std::function<void(absl::StatusOr<v1::Op##Reply>)>(                                       \
                      [done = std::move(done_), stub = stub_](const absl::StatusOr<v1::Op##Reply>& reply) { \
                        Finish(reply, done);                                                                \
                      }));                                                                                  \
  }
  DOLMEN_CLIENT_MUTATIONS(DOLMEN_SEND)
  DOLMEN_CLIENT_QUERIES(DOLMEN_SEND)
#undef DOLMEN_SEND

 private:
  template <typename Message>
  static void Finish(const absl::StatusOr<Message>& reply, const Done& done) {
    if (!reply.ok()) return done(FromTransport(reply.status()));
    auto converted = rpc::FromProto(*reply);
    if (!converted.ok()) return done(Annotate(converted.status(), "the namenode's answer is malformed"));
    done(AnyReply(*std::move(converted)));
  }

  rpc::UnaryClient* const client_;
  const std::shared_ptr<v1::ClientNamenode::Stub> stub_;
  const rpc::CallHeader header_;
  const rpc::UnaryCallOptions options_;
  Done done_;
};

}  // namespace

struct NamenodeChannel::Connection {
  std::shared_ptr<grpc::Channel> channel;
  std::shared_ptr<v1::ClientNamenode::Stub> stub;
};

NamenodeChannel::NamenodeChannel(Options options, EventLoop* loop, uint64_t seed)
    : options_(std::move(options)),
      tracker_options_{.server = rpc::HostAndPort(options_.host, options_.port),
                       .max_outstanding = kMaxCalls,
                       .retry = options_.retry},
      loop_(loop),
      tracker_(Random(seed).Bytes(16), tracker_options_, Random(seed ^ 0x9e3779b97f4a7c15U)) {}

std::shared_ptr<NamenodeChannel::Connection> NamenodeChannel::GetConnection() {
  MutexLock lock(&mutex_);
  if (connection_ == nullptr) {
    connection_ = std::make_shared<Connection>();
    connection_->channel = rpc::MakeControlChannel(options_.host, options_.port);
    connection_->stub = v1::ClientNamenode::NewStub(connection_->channel);
  }
  return connection_;
}

rpc::UnaryClient* NamenodeChannel::unary() {
  MutexLock lock(&mutex_);
  if (unary_ == nullptr) {
    unary_ = std::make_unique<rpc::UnaryClient>("dolmen-rpc");
    if (stopping_) unary_->Shutdown();
  }
  return unary_.get();
}

void NamenodeChannel::Begin(Request request, std::string what, Done done, std::optional<Duration> timeout) {
  auto call = std::make_shared<Pending>();
  const CallKind kind = std::holds_alternative<protocol::Mutation>(request) ? CallKind::kMutation : CallKind::kQuery;
  call->request = std::move(request);
  call->done = std::move(done);
  absl::Status refused;
  {
    MutexLock lock(&mutex_);
    const absl::StatusOr<uint64_t> handle =
        stopping_ ? ShuttingDown() : tracker_.Begin(kind, std::move(what), loop_->clock()->Now(), timeout);
    if (handle.ok()) {
      call->handle = *handle;
      calls_.emplace(*handle, call);
    } else {
      refused = handle.status();
    }
  }
  if (!refused.ok()) return call->done(refused);
  SendAttempt(call);
}

void NamenodeChannel::SendAttempt(const std::shared_ptr<Pending>& call) {
  rpc::CallHeader header{.user = options_.user};
  rpc::UnaryCallOptions call_options;
  {
    MutexLock lock(&mutex_);
    if (!calls_.contains(call->handle)) return;  // cancelled in the meantime
    const MonotonicTime now = loop_->clock()->Now();
    CallTracker::Attempt attempt = tracker_.StartAttempt(call->handle, now);
    if (std::holds_alternative<protocol::Mutation>(call->request)) header.id = std::move(attempt.id);
    call_options.timeout =
        std::max(std::chrono::milliseconds(1), std::chrono::ceil<std::chrono::milliseconds>(attempt.deadline - now));
  }
  const std::shared_ptr<Connection> connection = GetConnection();
  const auto dispatch = [&]<typename AnyReply>(const auto& request) {
    std::visit(Sender<AnyReply>(unary(), connection->stub, header, call_options,
                                [this, call](absl::StatusOr<AnyReply> answer) {
                                  if (!answer.ok()) return OnAnswer(call, answer.status());
                                  OnAnswer(call, Reply(*std::move(answer)));
                                }),
               request);
  };
  if (const auto* mutation = std::get_if<protocol::Mutation>(&call->request)) {
    dispatch.operator()<protocol::MutationReply>(*mutation);
  } else {
    dispatch.operator()<protocol::QueryReply>(std::get<protocol::Query>(call->request));
  }
}

void NamenodeChannel::OnAnswer(const std::shared_ptr<Pending>& call, absl::StatusOr<Reply> answer) {
  if (!answer.ok()) {
    CallTracker::Verdict verdict;
    {
      MutexLock lock(&mutex_);
      if (!calls_.contains(call->handle)) return;
      verdict = tracker_.OnFailure(call->handle, answer.status(), loop_->clock()->Now());
    }
    if (verdict.retry && loop_->RunAt(verdict.retry_at, [this, call] { SendAttempt(call); }) != 0) return;
    answer = verdict.retry ? ShuttingDown() : verdict.status;
  } else {
    MutexLock lock(&mutex_);
    tracker_.OnAnswer(call->handle);
  }
  Finish(call, std::move(answer));
}

void NamenodeChannel::Finish(const std::shared_ptr<Pending>& call, absl::StatusOr<Reply> answer) {
  {
    MutexLock lock(&mutex_);
    if (calls_.erase(call->handle) == 0) return;
    tracker_.Finish(call->handle);
  }
  const Done done = std::exchange(call->done, nullptr);
  done(std::move(answer));
}

void NamenodeChannel::Mutate(protocol::Mutation request, std::string what, MutationDone done) {
  Begin(
      std::move(request), std::move(what),
      [done = std::move(done)](absl::StatusOr<Reply> reply) {
        if (!reply.ok()) return done(reply.status());
        done(std::get<protocol::MutationReply>(*std::move(reply)));
      },
      std::nullopt);
}

void NamenodeChannel::Query(protocol::Query request, std::string what, QueryDone done,
                            std::optional<Duration> timeout) {
  Begin(
      std::move(request), std::move(what),
      [done = std::move(done)](absl::StatusOr<Reply> reply) {
        if (!reply.ok()) return done(reply.status());
        done(std::get<protocol::QueryReply>(*std::move(reply)));
      },
      timeout);
}

void NamenodeChannel::EnterBlocking() {
  MutexLock lock(&mutex_);
  while (blocking_ >= kMaxBlockingCalls) turn_.Wait(&mutex_);
  ++blocking_;
}

void NamenodeChannel::LeaveBlocking() {
  MutexLock lock(&mutex_);
  --blocking_;
  turn_.SignalOne();
}

absl::StatusOr<protocol::MutationReply> NamenodeChannel::Wait(protocol::Mutation request, std::string what) {
  EnterBlocking();
  const auto waiter = std::make_shared<Waiter<absl::StatusOr<protocol::MutationReply>>>();
  Mutate(std::move(request), std::move(what),
         [waiter](absl::StatusOr<protocol::MutationReply> reply) { waiter->Set(std::move(reply)); });
  absl::StatusOr<protocol::MutationReply> reply = waiter->Get();
  LeaveBlocking();
  return reply;
}

absl::StatusOr<protocol::QueryReply> NamenodeChannel::Wait(protocol::Query request, std::string what) {
  EnterBlocking();
  const auto waiter = std::make_shared<Waiter<absl::StatusOr<protocol::QueryReply>>>();
  Query(std::move(request), std::move(what),
        [waiter](absl::StatusOr<protocol::QueryReply> reply) { waiter->Set(std::move(reply)); });
  absl::StatusOr<protocol::QueryReply> reply = waiter->Get();
  LeaveBlocking();
  return reply;
}

void NamenodeChannel::Shutdown() {
  rpc::UnaryClient* unary = nullptr;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    unary = unary_.get();
  }
  if (unary != nullptr) unary->Shutdown();
  // What is left waits for its next attempt.
  std::vector<std::shared_ptr<Pending>> left;
  {
    MutexLock lock(&mutex_);
    for (const auto& [handle, call] : calls_) left.push_back(call);
  }
  for (const std::shared_ptr<Pending>& call : left) Finish(call, ShuttingDown());
}

}  // namespace dolmen::client
