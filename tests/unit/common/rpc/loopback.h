// A loopback server and the calls the tests of the RPC helpers make on it: GetFileInfo for clients, Heartbeat for
// datanodes, both with handlers given by the test.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/mutex.h"
#include "common/rpc/channel_arguments.h"
#include "common/rpc/unary_client.h"
#include "common/rpc/unary_server.h"
#include "proto/client_namenode.grpc.pb.h"
#include "proto/datanode_namenode.grpc.pb.h"
#include "tests/support/eventually.h"

namespace dolmen::rpc {

using InfoRequest = v1::GetFileInfoRequest;
using InfoReply = v1::GetFileInfoReply;
using InfoDone = UnaryDone<InfoReply>;
using InfoResult = absl::StatusOr<InfoReply>;

// Collects values from other threads.
template <typename T>
class Mailbox {
 public:
  void Put(T value) {
    MutexLock lock(&mutex_);
    values_.push_back(std::move(value));
    changed_.SignalAll();
  }
  // Everything, once at least `count` are there; fails the test after 20 s.
  std::vector<T> TakeAtLeast(size_t count) {
    MutexLock lock(&mutex_);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (values_.size() < count) {
      if (!changed_.WaitFor(&mutex_, end - std::chrono::steady_clock::now()) && values_.size() < count &&
          std::chrono::steady_clock::now() >= end) {
        ADD_FAILURE() << "only " << values_.size() << " of " << count << " arrived";
        break;
      }
    }
    return std::exchange(values_, {});
  }
  T TakeOne() {
    std::vector<T> all = TakeAtLeast(1);
    EXPECT_EQ(all.size(), 1u);
    return std::move(all.at(0));
  }
  size_t size() {
    MutexLock lock(&mutex_);
    return values_.size();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<T> values_ ABSL_GUARDED_BY(mutex_);
};

inline InfoReply Named(const std::string& name) {
  InfoReply reply;
  reply.mutable_status()->set_name(name);
  return reply;
}

class LoopbackServer {
 public:
  explicit LoopbackServer(UnaryHandler<InfoRequest, InfoReply> on_info, UnaryQueueOptions options = {},
                          uint16_t port = 0) {
    server_.AddService(&clients_);
    server_.AddService(&datanodes_);
    server_.AddQueue("clients", options)
        ->AddMethod(&clients_, &v1::ClientNamenode::AsyncService::RequestGetFileInfo, std::move(on_info));
    server_.AddQueue("datanodes", options)
        ->AddMethod(&datanodes_, &v1::DatanodeNamenode::AsyncService::RequestHeartbeat,
                    [](const v1::HeartbeatRequest&, std::string, UnaryDone<v1::HeartbeatReply> done) {
                      done(v1::HeartbeatReply());
                    });
    const absl::StatusOr<uint16_t> listening = server_.Listen("127.0.0.1", port);
    EXPECT_TRUE(listening.ok()) << listening.status();
    port_ = listening.value_or(0);
  }

  uint16_t port() const { return port_; }
  UnaryServer& server() { return server_; }
  void Shutdown(std::chrono::milliseconds grace = std::chrono::milliseconds(0)) { server_.Shutdown(grace); }

 private:
  v1::ClientNamenode::AsyncService clients_;
  v1::DatanodeNamenode::AsyncService datanodes_;
  UnaryServer server_;
  uint16_t port_ = 0;
};

// Answers with the path as the name.
inline void Echo(const InfoRequest& request, std::string, InfoDone done) { done(Named(request.path())); }

class LoopbackClient {
 public:
  explicit LoopbackClient(uint16_t port)
      : channel_(MakeControlChannel("127.0.0.1", port)),
        info_(v1::ClientNamenode::NewStub(channel_)),
        datanode_(v1::DatanodeNamenode::NewStub(channel_)),
        client_("test-client") {}

  UnaryCallHandle Info(const std::string& path, std::function<void(InfoResult)> callback,
                       UnaryCallOptions options = {.timeout = std::chrono::seconds(10)}) {
    InfoRequest request;
    request.set_path(path);
    return client_.Call(info_.get(), &v1::ClientNamenode::Stub::PrepareAsyncGetFileInfo, request, options,
                        std::move(callback));
  }

  // Waits for the answer.
  InfoResult InfoNow(const std::string& path, UnaryCallOptions options = {.timeout = std::chrono::seconds(10)}) {
    Mailbox<InfoResult> answers;
    Info(
        path, [&answers](InfoResult result) { answers.Put(std::move(result)); }, options);
    return answers.TakeOne();
  }

  absl::Status HeartbeatNow() {
    Mailbox<absl::Status> answers;
    client_.Call(datanode_.get(), &v1::DatanodeNamenode::Stub::PrepareAsyncHeartbeat, v1::HeartbeatRequest(),
                 {.timeout = std::chrono::seconds(10)},
                 [&answers](absl::StatusOr<v1::HeartbeatReply> reply) { answers.Put(reply.status()); });
    return answers.TakeOne();
  }

  UnaryClient& client() { return client_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ClientNamenode::Stub> info_;
  std::unique_ptr<v1::DatanodeNamenode::Stub> datanode_;
  UnaryClient client_;  // first to go: its calls use the stubs
};

}  // namespace dolmen::rpc
