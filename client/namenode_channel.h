// Calls to the namenode: over one connection, with retries under the same call id until the deadline.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "client/core/call_tracker.h"
#include "client/event_loop.h"
#include "common/mutex.h"
#include "common/protocol/client_namenode.h"
#include "common/rpc/unary_client.h"
#include "grpcpp/channel.h"

namespace dolmen::client {

// Thread-safe.
class NamenodeChannel {
 public:
  struct Options {
    std::string host;
    uint16_t port = 0;
    std::string user;
    RetrySettings retry;
  };
  // `loop` outlives this. Nothing is connected before the first call.
  NamenodeChannel(Options options, EventLoop* loop, uint64_t seed);
  ~NamenodeChannel() { Shutdown(); }

  using MutationDone = std::function<void(absl::StatusOr<protocol::MutationReply>)>;
  using QueryDone = std::function<void(absl::StatusOr<protocol::QueryReply>)>;
  // `done` runs exactly once, on some thread of the client, and must not block; when the channel is shut down or full
  // (kBusy) on the calling thread. `what` names the operation in errors: "create /a/b".
  void Mutate(protocol::Mutation request, std::string what, MutationDone done);
  void Query(protocol::Query request, std::string what, QueryDone done, std::optional<Duration> timeout = std::nullopt);

  // The same, waiting. At most kMaxBlockingCalls at a time are sent; more wait for their turn.
  // `Op` e.g. protocol::MkdirsReply: must be what answers the request.
  template <typename Reply>
  absl::StatusOr<Reply> MutateAndWait(protocol::Mutation request, std::string what) {
    absl::StatusOr<protocol::MutationReply> reply = Wait(std::move(request), std::move(what));
    if (!reply.ok()) return reply.status();
    return std::get<Reply>(*std::move(reply));
  }
  template <typename Reply>
  absl::StatusOr<Reply> QueryAndWait(protocol::Query request, std::string what) {
    absl::StatusOr<protocol::QueryReply> reply = Wait(std::move(request), std::move(what));
    if (!reply.ok()) return reply.status();
    return std::get<Reply>(*std::move(reply));
  }

  // For other unary calls of the client: the same thread serves them.
  rpc::UnaryClient* unary();

  // Every call that is not answered is answered with kCancelled. Idempotent.
  void Shutdown();

  const std::string& authority() const { return tracker_options_.server; }

 private:
  // Measured: more calls at a time on one connection are slower.
  static constexpr uint32_t kMaxBlockingCalls = 64;
  static constexpr uint32_t kMaxCalls = 256;

  using Request = std::variant<protocol::Mutation, protocol::Query>;
  using Reply = std::variant<protocol::MutationReply, protocol::QueryReply>;
  using Done = std::function<void(absl::StatusOr<Reply>)>;
  struct Pending {
    uint64_t handle = 0;
    Request request;
    Done done;
  };
  struct Connection;  // channel and stub

  void Begin(Request request, std::string what, Done done, std::optional<Duration> timeout);
  void SendAttempt(const std::shared_ptr<Pending>& call);
  void OnAnswer(const std::shared_ptr<Pending>& call, absl::StatusOr<Reply> answer);
  void Finish(const std::shared_ptr<Pending>& call, absl::StatusOr<Reply> answer);
  absl::StatusOr<protocol::MutationReply> Wait(protocol::Mutation request, std::string what);
  absl::StatusOr<protocol::QueryReply> Wait(protocol::Query request, std::string what);
  std::shared_ptr<Connection> GetConnection();
  void EnterBlocking();
  void LeaveBlocking();

  const Options options_;
  const CallTracker::Options tracker_options_;
  EventLoop* const loop_;

  Mutex mutex_;
  CondVar turn_;
  CallTracker tracker_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, std::shared_ptr<Pending>> calls_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Connection> connection_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<rpc::UnaryClient> unary_ ABSL_GUARDED_BY(mutex_);
  uint32_t blocking_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace dolmen::client
