// Asynchronous unary servers on completion queues, the fastest form of gRPC server on few cores: one queue, one thread
// and any number of methods per UnaryQueue; one listening UnaryServer holds one or more queues.
//
//   UnaryServer server;
//   ClientNamenode::AsyncService clients;
//   UnaryQueue* queue = server.AddQueue("clients", {});
//   queue->AddMethod(
//       &clients, &ClientNamenode::AsyncService::RequestMkdirs,
//       [](const MkdirsRequest& request, std::string peer_host, UnaryDone<MkdirsReply> done) { ... });
//   server.AddService(&clients);
//   absl::StatusOr<uint16_t> port = server.Listen("127.0.0.1", 0);
//   ...
//   server.Shutdown(std::chrono::seconds(1));
//
// (tests/unit/common/rpc/unary_server_test.cc has it compiled.)
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/check.h"
#include "common/mutex.h"
#include "common/rpc/channel_arguments.h"
#include "common/rpc/handoff.h"
#include "common/rpc/status_grpc.h"
#include "grpcpp/alarm.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/async_unary_call.h"

namespace dolmen::rpc {

// Answers one call. May be called from any thread, once; a second call stops the process. Copies share that one answer.
// When all copies are gone without an answer, the caller gets kUnavailable. After shutdown answers are dropped.
template <typename Reply>
using UnaryDone = std::function<void(absl::StatusOr<Reply>)>;

// Runs on the queue's thread and must not block: it converts, submits and returns. `request` lives until it returns.
// `peer_host` is the caller's address without port.
template <typename Request, typename Reply>
using UnaryHandler = std::function<void(const Request& request, std::string peer_host, UnaryDone<Reply> done)>;

// "ipv4:10.0.0.7:4711" -> "10.0.0.7", "ipv6:%5B::1%5D:4711" -> "::1"; other forms (unix sockets) -> "localhost".
std::string HostOfPeer(std::string_view peer);

struct UnaryQueueOptions {
  int posted_calls_per_method = 16;  // calls of one method that gRPC may hand over before the thread reacts
  int max_calls = 4096;              // unanswered calls of the queue; further ones are answered kBusy at once
};

class UnaryQueue;

namespace internal {

// One call from being posted to its last event. Events and destruction happen on the queue's thread.
class UnaryCall : public std::enable_shared_from_this<UnaryCall> {
 public:
  explicit UnaryCall(UnaryQueue* queue) : queue_(queue) {}
  virtual ~UnaryCall() = default;

  // The call's own entry in the queue's list.
  std::list<std::shared_ptr<UnaryCall>>::iterator position;

  virtual void Post() = 0;
  // A posted call has arrived.
  virtual void Run() = 0;
  // Answers a call that will not be run.
  virtual void Refuse(const absl::Status& status) = 0;
  // After the last event: gives up gRPC's part, however long copies of `done` live.
  virtual void Release() = 0;
  // Shutdown: gives up gRPC's part unless an answer is under way. True when no event will come any more.
  virtual bool Drop() = 0;
  virtual std::shared_ptr<UnaryCall> MakeSuccessor() = 0;

  bool arrived = false;

 protected:
  UnaryQueue* const queue_;
};

}  // namespace internal

// One completion queue and its thread. Made by UnaryServer::AddQueue; methods are added before the server listens.
class UnaryQueue {
 public:
  ~UnaryQueue();
  UnaryQueue(const UnaryQueue&) = delete;
  UnaryQueue& operator=(const UnaryQueue&) = delete;

  // Serves a method of `service` (an AsyncService of generated code, which outlives the server). Add all methods of a
  // service: gRPC keeps calls of one without a handler waiting until their deadline.
  template <typename Service, typename Base, typename Request, typename Reply>
  void AddMethod(Service* service,
                 void (Base::*request_call)(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Reply>*,
                                            grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
                 std::type_identity_t<UnaryHandler<Request, Reply>> handler);

 private:
  friend class UnaryServer;
  template <typename Request, typename Reply>
  friend class UnaryMethod;
  template <typename Request, typename Reply>
  friend class TypedUnaryCall;

  UnaryQueue(std::string name, UnaryQueueOptions options, std::unique_ptr<grpc::ServerCompletionQueue> queue);

  void Start();
  // Only after the gRPC server was shut down: no call can arrive any more.
  void Drain();

  // On the queue's thread.
  void Run();
  void OnEvent(internal::UnaryCall* call, bool ok);
  void Post(std::shared_ptr<internal::UnaryCall> call);
  void Forget(internal::UnaryCall* call);
  void FinishDrainingIfQuiet();

  const std::string name_;
  const UnaryQueueOptions options_;
  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::vector<std::function<std::shared_ptr<internal::UnaryCall>()>> methods_;  // each makes a call to be posted
  std::thread thread_;

  // Of the queue's thread alone.
  std::list<std::shared_ptr<internal::UnaryCall>> calls_;
  int posted_ = 0;
  int unanswered_ = 0;
  bool draining_ = false;
  bool closed_ = false;
  grpc::Alarm drain_alarm_;
};

// A gRPC server of queues and, if wanted, other services. Not thread-safe; Shutdown may be called from another thread
// than the rest, but not from a handler.
class UnaryServer {
 public:
  explicit UnaryServer(Traffic traffic = Traffic::kControl);
  ~UnaryServer();  // Shutdown without grace
  UnaryServer(const UnaryServer&) = delete;
  UnaryServer& operator=(const UnaryServer&) = delete;

  // Owned by the server.
  UnaryQueue* AddQueue(std::string name, UnaryQueueOptions options);
  // Borrowed; outlives the server. Every service whose methods were added to a queue, and any others.
  void AddService(grpc::Service* service);

  // Starts to serve; `port` 0 takes a free one. Returns the port. Once per object.
  // Error: kUnavailable, naming the address.
  absl::StatusOr<uint16_t> Listen(std::string_view host, uint16_t port);

  // Accepts nothing new, waits up to `grace` for calls to be answered, cancels the rest, and joins the threads. Their
  // `done` may still be called later, to no effect. Idempotent.
  void Shutdown(std::chrono::milliseconds grace);

 private:
  grpc::ServerBuilder builder_;
  std::vector<std::unique_ptr<UnaryQueue>> queues_;
  std::unique_ptr<grpc::Server> server_;
  bool stopped_ = false;
};

// ---- templates --------------------------------------------------------------------------------------------------

template <typename Request, typename Reply>
class UnaryMethod {
 public:
  using PostCall = std::function<void(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Reply>*,
                                      grpc::ServerCompletionQueue*, void*)>;
  PostCall post;
  UnaryHandler<Request, Reply> handler;
};

template <typename Request, typename Reply>
class TypedUnaryCall final : public internal::UnaryCall {
 public:
  TypedUnaryCall(UnaryQueue* queue, std::shared_ptr<const UnaryMethod<Request, Reply>> method)
      : UnaryCall(queue), method_(std::move(method)), rpc_(std::make_unique<Rpc>()) {}

  void Post() override {
    method_->post(&rpc_->context, &rpc_->request, &rpc_->responder, queue_->queue_.get(),
                  static_cast<internal::UnaryCall*>(this));
  }

  void Run() override {
    // rpc_ stays: only this thread drops it.
    auto self = std::static_pointer_cast<TypedUnaryCall>(shared_from_this());
    // The last copy of `done` to go answers for a handler that lost its call.
    std::shared_ptr<TypedUnaryCall> answer(self.get(), [self](TypedUnaryCall* call) { call->AnswerIfForgotten(); });
    method_->handler(rpc_->request, HostOfPeer(rpc_->context.peer()),
                     [answer = std::move(answer)](absl::StatusOr<Reply> reply) { answer->Finish(std::move(reply)); });
  }

  void Refuse(const absl::Status& status) override { Finish(status); }

  void Release() override {
    MutexLock lock(&mutex_);
    rpc_.reset();
  }

  bool Drop() override {
    MutexLock lock(&mutex_);
    if (state_ != State::kOpen) return false;
    state_ = State::kDropped;
    rpc_.reset();
    return true;
  }

  std::shared_ptr<internal::UnaryCall> MakeSuccessor() override {
    return std::make_shared<TypedUnaryCall>(queue_, method_);
  }

 private:
  // gRPC's part of the call.
  struct Rpc {
    Rpc() : responder(&context) {}
    grpc::ServerContext context;
    Request request;
    grpc::ServerAsyncResponseWriter<Reply> responder;
  };
  enum class State { kOpen, kAnswered, kDropped };

  void Finish(absl::StatusOr<Reply> reply) {
    MutexLock lock(&mutex_);
    DOLMEN_CHECK(!answered_, "a call was answered twice");
    answered_ = true;
    FinishLocked(reply);
  }

  void AnswerIfForgotten() {
    MutexLock lock(&mutex_);
    if (answered_) return;
    answered_ = true;
    FinishLocked(MakeError(absl::StatusCode::kUnavailable, ErrorReason::kNone,
                           "the server dropped the call without an answer; retry"));
  }

  void FinishLocked(const absl::StatusOr<Reply>& reply) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (state_ != State::kOpen) return;  // dropped: the server has stopped
    state_ = State::kAnswered;
    void* const tag = static_cast<internal::UnaryCall*>(this);
    GiveToGrpc(tag);
    if (reply.ok()) {
      rpc_->responder.Finish(*reply, grpc::Status::OK, tag);
    } else {
      rpc_->responder.FinishWithError(ToGrpc(reply.status()), tag);
    }
  }

  const std::shared_ptr<const UnaryMethod<Request, Reply>> method_;
  // Held while gRPC starts to send (it never waits there), so that Drop cannot pull the call away meanwhile.
  Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kOpen;
  bool answered_ ABSL_GUARDED_BY(mutex_) = false;
  // Made at construction. Reset under the lock, on the queue's thread; used by that thread, and by the answering thread
  // under the lock while the call is open.
  std::unique_ptr<Rpc> rpc_;
};

template <typename Service, typename Base, typename Request, typename Reply>
void UnaryQueue::AddMethod(Service* service,
                           void (Base::*request_call)(grpc::ServerContext*, Request*,
                                                      grpc::ServerAsyncResponseWriter<Reply>*, grpc::CompletionQueue*,
                                                      grpc::ServerCompletionQueue*, void*),
                           std::type_identity_t<UnaryHandler<Request, Reply>> handler) {
  Base* const base = service;
  auto method = std::make_shared<UnaryMethod<Request, Reply>>();
  method->post = [base, request_call](grpc::ServerContext* context, Request* request,
                                      grpc::ServerAsyncResponseWriter<Reply>* responder,
                                      grpc::ServerCompletionQueue* queue, void* tag) {
    (base->*request_call)(context, request, responder, queue, queue, tag);
  };
  method->handler = std::move(handler);
  methods_.push_back([this, method = std::shared_ptr<const UnaryMethod<Request, Reply>>(std::move(method))] {
    return std::make_shared<TypedUnaryCall<Request, Reply>>(this, method);
  });
}

}  // namespace dolmen::rpc
