#include "common/rpc/unary_server.h"

#include <pthread.h>

#include "absl/strings/str_cat.h"
#include "grpcpp/security/server_credentials.h"

namespace dolmen::rpc {

std::string HostOfPeer(std::string_view peer) {
  if (!peer.starts_with("ipv4:") && !peer.starts_with("ipv6:")) return "localhost";
  peer.remove_prefix(5);
  const size_t port = peer.rfind(':');
  if (port == std::string_view::npos) return "localhost";
  peer = peer.substr(0, port);
  for (const std::string_view bracket : {"[", "%5B"}) {
    if (peer.starts_with(bracket)) peer.remove_prefix(bracket.size());
  }
  for (const std::string_view bracket : {"]", "%5D"}) {
    if (peer.ends_with(bracket)) peer.remove_suffix(bracket.size());
  }
  return std::string(peer);
}

UnaryQueue::UnaryQueue(std::string name, UnaryQueueOptions options, std::unique_ptr<grpc::ServerCompletionQueue> queue)
    : name_(std::move(name)), options_(options), queue_(std::move(queue)) {}

UnaryQueue::~UnaryQueue() {
  if (thread_.joinable()) {
    Drain();
  } else if (!closed_) {  // the server never listened
    queue_->Shutdown();
    void* tag;
    bool ok;
    while (queue_->Next(&tag, &ok)) {
    }
  }
}

void UnaryQueue::Start() {
  for (const auto& make_call : methods_) {
    for (int i = 0; i < options_.posted_calls_per_method; ++i) Post(make_call());
  }
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), name_.substr(0, 15).c_str());
}

void UnaryQueue::Drain() {
  drain_alarm_.Set(queue_.get(), std::chrono::system_clock::now(), &drain_alarm_);
  thread_.join();
}

void UnaryQueue::Run() {
  void* tag;
  bool ok;
  while (queue_->Next(&tag, &ok)) {
    TakeFromGrpc(tag);
    if (tag == &drain_alarm_) {
      draining_ = true;
    } else {
      OnEvent(static_cast<internal::UnaryCall*>(tag), ok);
    }
    if (draining_ && !closed_) FinishDrainingIfQuiet();
  }
}

void UnaryQueue::OnEvent(internal::UnaryCall* call, bool ok) {
  if (call->arrived) {  // its answer has left, or could not
    --unanswered_;
    call->Release();
    Forget(call);
    return;
  }
  --posted_;
  if (!ok || draining_) {  // the server is shutting down
    Forget(call);
    return;
  }
  call->arrived = true;
  Post(call->MakeSuccessor());
  if (++unanswered_ > options_.max_calls) {
    call->Refuse(MakeError(ErrorReason::kBusy, absl::StrCat("the server has ", options_.max_calls,
                                                            " unanswered calls (", name_, "); retry after a pause")));
  } else {
    call->Run();
  }
}

void UnaryQueue::Post(std::shared_ptr<internal::UnaryCall> call) {
  ++posted_;
  call->position = calls_.insert(calls_.end(), call);
  call->Post();
}

void UnaryQueue::Forget(internal::UnaryCall* call) { calls_.erase(call->position); }

// Closes the queue once that is safe. gRPC starts operations of its own on the queue when it hands over a call that had
// arrived before the shutdown, and aborts the process when the queue is closed by then; so first every posted call must
// have come back. Answers that are under way come back after the closing.
void UnaryQueue::FinishDrainingIfQuiet() {
  if (posted_ > 0) return;
  for (auto it = calls_.begin(); it != calls_.end();) {
    internal::UnaryCall& call = **it;
    ++it;  // Drop's true means: forget it
    if (call.Drop()) Forget(&call);
  }
  closed_ = true;
  queue_->Shutdown();
}

UnaryServer::UnaryServer(Traffic traffic) { ApplyServerArguments(&builder_, traffic); }

UnaryServer::~UnaryServer() { Shutdown(std::chrono::milliseconds(0)); }

UnaryQueue* UnaryServer::AddQueue(std::string name, UnaryQueueOptions options) {
  queues_.push_back(
      std::unique_ptr<UnaryQueue>(new UnaryQueue(std::move(name), options, builder_.AddCompletionQueue())));
  return queues_.back().get();
}

void UnaryServer::AddService(grpc::Service* service) { builder_.RegisterService(service); }

absl::StatusOr<uint16_t> UnaryServer::Listen(std::string_view host, uint16_t port) {
  DOLMEN_CHECK(server_ == nullptr, "Listen was called twice");
  int selected = 0;
  const std::string address = HostAndPort(host, port);
  builder_.AddListeningPort(address, grpc::InsecureServerCredentials(), &selected);
  server_ = builder_.BuildAndStart();
  if (server_ == nullptr || selected == 0) {
    return MakeError(absl::StatusCode::kUnavailable, ErrorReason::kIo,
                     absl::StrCat("cannot listen on ", address,
                                  ": the port is in use, or it is not an address of this machine; choose another"));
  }
  for (const auto& queue : queues_) queue->Start();
  return static_cast<uint16_t>(selected);
}

void UnaryServer::Shutdown(std::chrono::milliseconds grace) {
  if (stopped_) return;
  stopped_ = true;
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + grace);
  queues_.clear();  // drains and joins
  server_.reset();
}

}  // namespace dolmen::rpc
