// Keeps a fixed number of unary calls to a namenode (or a skeleton that speaks its protocol) outstanding: generated
// stubs over one completion queue, driven by the calling thread. Leaner than the client library on purpose: the client
// must not be what is measured, and both sides get the same one.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/protocol/client_namenode.h"
#include "common/rpc/status_grpc.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/support/async_unary_call.h"
#include "proto/client_namenode.grpc.pb.h"
#include "tests/bench/machine.h"

namespace dolmen::bench {

// One thread only.
class RpcDriver {
 public:
  using Stub = v1::ClientNamenode::Stub;

  // Each connection is a client of its own for the namenode. `seed` makes their ids.
  RpcDriver(uint16_t port, int connections, uint64_t seed);
  ~RpcDriver();
  RpcDriver(const RpcDriver&) = delete;
  RpcDriver& operator=(const RpcDriver&) = delete;

  template <typename Request, typename Reply>
  using Prepare = std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> (Stub::*)(grpc::ClientContext*,
                                                                                    const Request&,
                                                                                    grpc::CompletionQueue*);
  struct Load {
    uint64_t count = 0;        // calls in all
    uint32_t outstanding = 1;  // over all connections
    std::chrono::milliseconds call_timeout{60'000};
    const std::function<bool()> stop = {};  // asked before each call: true ends the run early
  };
  struct Outcome {
    absl::Status status;  // the first failure; nothing is sent after it
    uint64_t answered = 0;
    double seconds = 0;
  };
  // Sends calls number 0, 1, ...: `fill(number, request)` makes each, all but the header. `on_reply(number, reply)` for
  // each answer, in the order they come.
  template <typename Request, typename Reply>
  Outcome Run(Prepare<Request, Reply> prepare, const Load& load,
              std::type_identity_t<std::function<void(uint64_t, Request*)>> fill,
              std::type_identity_t<std::function<void(uint64_t, const Reply&)>> on_reply = {});

  // Run of one call.
  template <typename Request, typename Reply>
  absl::Status CallOnce(Prepare<Request, Reply> prepare, std::type_identity_t<std::function<void(Request*)>> fill,
                        Reply* reply, std::chrono::milliseconds timeout = std::chrono::milliseconds(60'000)) {
    return Run<Request, Reply>(
               prepare, {.count = 1, .call_timeout = timeout}, [&](uint64_t, Request* request) { fill(request); },
               [&](uint64_t, const Reply& answer) { *reply = answer; })
        .status;
  }

 private:
  struct Connection {
    std::unique_ptr<Stub> stub;
    std::string client_id;
    uint64_t next_call_id = 1;
    std::set<uint64_t> open;  // call ids without an answer
  };
  template <typename Request, typename Reply>
  struct Slot {
    Connection* connection = nullptr;
    uint64_t number = 0;
    uint64_t call_id = 0;
    std::optional<grpc::ClientContext> context;
    Request request;
    Reply reply;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> reader;
  };
  void FillHeader(Connection* connection, uint64_t* call_id, v1::CallHeader* header) const;

  const std::string user_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

// ---- templates --------------------------------------------------------------------------------------------------

template <typename Request, typename Reply>
RpcDriver::Outcome RpcDriver::Run(Prepare<Request, Reply> prepare, const Load& load,
                                  std::type_identity_t<std::function<void(uint64_t, Request*)>> fill,
                                  std::type_identity_t<std::function<void(uint64_t, const Reply&)>> on_reply) {
  using OneSlot = Slot<Request, Reply>;
  Outcome outcome;
  uint64_t sent = 0;
  const auto send = [&](OneSlot* slot) {
    slot->number = sent++;
    slot->context.emplace();
    slot->context->set_deadline(std::chrono::system_clock::now() + load.call_timeout);
    fill(slot->number, &slot->request);
    FillHeader(slot->connection, &slot->call_id, slot->request.mutable_header());
    slot->reader = (slot->connection->stub.get()->*prepare)(&*slot->context, slot->request, &queue_);
    slot->reader->StartCall();
    slot->reader->Finish(&slot->reply, &slot->status, slot);
  };
  const auto may_send = [&] { return outcome.status.ok() && sent < load.count && !(load.stop && load.stop()); };

  std::vector<std::unique_ptr<OneSlot>> slots;
  const Stopwatch watch;
  uint64_t outstanding = 0;
  while (outstanding < load.outstanding && may_send()) {
    slots.push_back(std::make_unique<OneSlot>());
    slots.back()->connection = connections_[outstanding % connections_.size()].get();
    send(slots.back().get());
    ++outstanding;
  }
  void* tag;
  bool ok;
  while (outstanding > 0 && queue_.Next(&tag, &ok)) {
    auto* slot = static_cast<OneSlot*>(tag);
    slot->connection->open.erase(slot->call_id);
    if (slot->status.ok()) {
      ++outcome.answered;
      if (on_reply) on_reply(slot->number, slot->reply);
    } else if (outcome.status.ok()) {
      outcome.status = rpc::FromGrpc(slot->status);
    }
    if (may_send()) {
      send(slot);
    } else {
      --outstanding;
    }
  }
  outcome.seconds = watch.Elapsed();
  return outcome;
}

}  // namespace dolmen::bench
