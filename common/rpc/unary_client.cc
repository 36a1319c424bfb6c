#include "common/rpc/unary_client.h"

#include <pthread.h>

#include "common/check.h"

namespace dolmen::rpc {

UnaryClient::UnaryClient(std::string thread_name) : thread_([this] { Run(); }) {
  pthread_setname_np(thread_.native_handle(), thread_name.substr(0, 15).c_str());
}

UnaryClient::~UnaryClient() { Shutdown(); }

bool UnaryClient::Enter(const std::shared_ptr<internal::ClientCall>& call) {
  MutexLock lock(&mutex_);
  if (stopping_) return false;
  call->position = calls_.insert(calls_.end(), call);
  return true;
}

void UnaryClient::Leave(internal::ClientCall* call) {
  std::shared_ptr<internal::ClientCall> last;  // let go outside of the lock
  MutexLock lock(&mutex_);
  last = *call->position;
  calls_.erase(call->position);
  if (calls_.empty()) all_left_.SignalAll();
}

void UnaryClient::Run() {
  void* tag;
  bool ok;
  while (queue_.Next(&tag, &ok)) {  // of a unary call's end, always ok
    TakeFromGrpc(tag);
    auto* call = static_cast<internal::ClientCall*>(tag);
    call->Finish();
    Leave(call);
  }
}

void UnaryClient::Shutdown() {
  DOLMEN_CHECK(std::this_thread::get_id() != thread_.get_id(), "UnaryClient::Shutdown was called from a callback");
  {
    MutexLock lock(&mutex_);
    if (!stopping_) {
      stopping_ = true;
      // A call that has entered but not started yet is cancelled as it starts.
      for (const auto& call : calls_) call->context.TryCancel();
    }
    // Nothing may be started on a queue after its shutdown: wait for every call that has entered.
    while (!calls_.empty()) all_left_.Wait(&mutex_);
  }
  if (!thread_.joinable()) return;
  queue_.Shutdown();
  thread_.join();
}

}  // namespace dolmen::rpc
