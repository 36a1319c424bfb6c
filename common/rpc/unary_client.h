// Asynchronous unary calls: any number of stubs and channels over one completion queue with one thread.
//
//   UnaryClient client("rpc");
//   UnaryCallHandle handle = client.Call(stub.get(), &ClientNamenode::Stub::PrepareAsyncMkdirs, request,
//                                        {.timeout = std::chrono::seconds(5)},
//                                        [](absl::StatusOr<MkdirsReply> reply) { ... });
//   handle.Cancel();
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/error.h"
#include "common/mutex.h"
#include "common/rpc/handoff.h"
#include "common/rpc/status_grpc.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/support/async_unary_call.h"

namespace dolmen::rpc {

struct UnaryCallOptions {
  std::chrono::milliseconds timeout{60'000};  // then kDeadlineExceeded
  // True: while there is no connection, keep trying until the timeout. False: fail with kUnavailable when an attempt
  // to connect has failed.
  bool wait_for_ready = false;
};

namespace internal {

class ClientCall {
 public:
  virtual ~ClientCall() = default;
  // The answer, or the failure, has arrived: runs the callback.
  virtual void Finish() = 0;

  grpc::ClientContext context;
  std::list<std::shared_ptr<ClientCall>>::iterator position;  // in the client's list
};

template <typename Reply>
class TypedClientCall final : public ClientCall {
 public:
  explicit TypedClientCall(std::function<void(absl::StatusOr<Reply>)> callback) : callback_(std::move(callback)) {}

  void Finish() override {
    // The callback, and what it holds, goes away with this call's turn, however long handles live.
    const auto callback = std::exchange(callback_, nullptr);
    if (status_.ok()) {
      callback(std::move(reply_));
    } else {
      callback(FromGrpc(status_));
    }
  }

  // Instead of starting it.
  void Refuse() {
    std::exchange(callback_, nullptr)(MakeError(ErrorReason::kCancelled, "the client is shutting down"));
  }

  std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> reader;

  void Start() {
    ClientCall* const tag = this;
    GiveToGrpc(tag);
    reader->StartCall();
    reader->Finish(&reply_, &status_, tag);
  }

 private:
  std::function<void(absl::StatusOr<Reply>)> callback_;
  Reply reply_;
  grpc::Status status_;
};

}  // namespace internal

// Names one call for cancelling it. Copyable; may outlive the call and the client. Thread-safe.
class UnaryCallHandle {
 public:
  UnaryCallHandle() = default;
  // The callback then gets kCancelled, unless the answer was faster. No effect on a finished call.
  void Cancel() const {
    if (const std::shared_ptr<internal::ClientCall> call = call_.lock()) call->context.TryCancel();
  }

 private:
  friend class UnaryClient;
  explicit UnaryCallHandle(const std::shared_ptr<internal::ClientCall>& call) : call_(call) {}
  std::weak_ptr<internal::ClientCall> call_;
};

// Thread-safe.
class UnaryClient {
 public:
  explicit UnaryClient(std::string thread_name);
  ~UnaryClient();  // Shutdown
  UnaryClient(const UnaryClient&) = delete;
  UnaryClient& operator=(const UnaryClient&) = delete;

  // Sends `request` by `prepare`, a PrepareAsync... member of the generated stub; `stub` must live until the callback.
  // `callback` runs exactly once, on the client's thread, and must not block. After Shutdown began it runs with
  // kCancelled on the calling thread, before Call returns.
  template <typename Stub, typename Request, typename Reply>
  UnaryCallHandle Call(Stub* stub,
                       std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> (Stub::*prepare)(grpc::ClientContext*,
                                                                                                const Request&,
                                                                                                grpc::CompletionQueue*),
                       const Request& request, const UnaryCallOptions& options,
                       std::type_identity_t<std::function<void(absl::StatusOr<Reply>)>> callback) {
    auto call = std::make_shared<internal::TypedClientCall<Reply>>(std::move(callback));
    call->context.set_deadline(std::chrono::system_clock::now() + options.timeout);
    call->context.set_wait_for_ready(options.wait_for_ready);
    if (!Enter(call)) {
      call->Refuse();
      return UnaryCallHandle();
    }
    call->reader = (stub->*prepare)(&call->context, request, &queue_);
    call->Start();
    return UnaryCallHandle(call);
  }

  // Cancels what is under way, waits until all callbacks have run, joins the thread. Idempotent. Not from a callback.
  void Shutdown();

 private:
  // False when the client is shutting down.
  bool Enter(const std::shared_ptr<internal::ClientCall>& call);
  void Leave(internal::ClientCall* call);
  void Run();

  grpc::CompletionQueue queue_;
  Mutex mutex_;
  CondVar all_left_;
  std::list<std::shared_ptr<internal::ClientCall>> calls_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace dolmen::rpc
