// Real datanodes in this process on free ports, with a namenode that does what the test says.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/access_token.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/mutex.h"
#include "common/posix_file_system.h"
#include "common/rpc/channel_arguments.h"
#include "common/rpc/convert_datanode.h"
#include "common/rpc/status_grpc.h"
#include "common/rpc/unary_server.h"
#include "datanode/datanode_server.h"
#include "datanode/service/pipeline_stream.h"
#include "proto/data_transfer.grpc.pb.h"
#include "proto/datanode_namenode.grpc.pb.h"
#include "tests/support/eventually.h"
#include "tests/support/temp_dir.h"

namespace dolmen::datanode {

// Answers registrations, heartbeats and reports; remembers what was reported; hands out commands. Thread-safe.
class FakeNamenode {
 public:
  FakeNamenode() {
    rpc::UnaryQueue* queue = server_.AddQueue("fake", {});
    queue->AddMethod(&service_, &v1::DatanodeNamenode::AsyncService::RequestRegister,
                     [this](const v1::RegisterRequest& request, std::string, rpc::UnaryDone<v1::RegisterReply> done) {
                       MutexLock lock(&mutex_);
                       ++registrations_;
                       protocol::RegisterReply reply{.namenode = identity_, .session = 100 + registrations_};
                       reply.token_key_id = key_.id;
                       reply.token_key_secret = key_.secret;
                       reply.heartbeat_interval_ms = 20;
                       reply.full_report_interval_ms = 3'600'000;
                       reply.wall = wall_;
                       nodes_[request.info().uuid()] = *rpc::FromProto(request);
                       done(rpc::ToProto(reply));
                     });
    queue->AddMethod(&service_, &v1::DatanodeNamenode::AsyncService::RequestHeartbeat,
                     [this](const v1::HeartbeatRequest& request, std::string, rpc::UnaryDone<v1::HeartbeatReply> done) {
                       MutexLock lock(&mutex_);
                       protocol::HeartbeatReply reply{.namenode = identity_};
                       reply.commands.swap(commands_[request.datanode()]);
                       done(rpc::ToProto(reply));
                     });
    queue->AddMethod(
        &service_, &v1::DatanodeNamenode::AsyncService::RequestIncrementalReport,
        [this](const v1::IncrementalReportRequest& request, std::string, rpc::UnaryDone<v1::ReportReply> done) {
          MutexLock lock(&mutex_);
          const auto report = rpc::FromProto(request);
          for (const auto& entry : report->entries) {
            states_[{request.datanode(), entry.replica.block.id}] = entry.replica;
          }
          done(rpc::ToProto(protocol::ReportReply{.namenode = identity_}));
        });
    queue->AddMethod(&service_, &v1::DatanodeNamenode::AsyncService::RequestFullReport,
                     [this](const v1::FullReportSlice& request, std::string, rpc::UnaryDone<v1::ReportReply> done) {
                       MutexLock lock(&mutex_);
                       const auto slice = rpc::FromProto(request);
                       for (const auto& replica : slice->replicas) {
                         states_[{request.datanode(), replica.block.id}] = replica;
                       }
                       done(rpc::ToProto(protocol::ReportReply{.namenode = identity_}));
                     });
    server_.AddService(&service_);
    port_ = *server_.Listen("127.0.0.1", 0);
  }
  ~FakeNamenode() { server_.Shutdown(std::chrono::milliseconds(0)); }

  uint16_t port() const { return port_; }
  const TokenKey& key() const { return key_; }
  void SetIdentity(protocol::NamenodeIdentity identity) {
    MutexLock lock(&mutex_);
    identity_ = std::move(identity);
  }
  // What it says its clock is.
  void SetWall(WallTime wall) {
    MutexLock lock(&mutex_);
    wall_ = wall;
  }
  void Order(const DatanodeUuid& datanode, protocol::DatanodeCommand command) {
    MutexLock lock(&mutex_);
    commands_[datanode.value()].push_back(std::move(command));
  }
  std::optional<protocol::ReportedReplica> Reported(const DatanodeUuid& datanode, BlockId block) const {
    MutexLock lock(&mutex_);
    const auto found = states_.find({datanode.value(), block});
    if (found == states_.end()) return std::nullopt;
    return found->second;
  }
  void Forget() {
    MutexLock lock(&mutex_);
    states_.clear();
  }
  protocol::DatanodeInfo InfoOf(const DatanodeUuid& datanode) const {
    MutexLock lock(&mutex_);
    return nodes_.at(datanode.value()).info;
  }
  uint64_t registrations() const {
    MutexLock lock(&mutex_);
    return registrations_;
  }

 private:
  const TokenKey key_{.id = 4, .secret = std::string(32, 'k')};
  v1::DatanodeNamenode::AsyncService service_;
  mutable Mutex mutex_;
  protocol::NamenodeIdentity identity_ ABSL_GUARDED_BY(mutex_){
      .cluster = ClusterId("CID-1"), .epoch = Epoch(1), .incarnation = "a"};
  WallTime wall_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, protocol::RegisterRequest> nodes_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<protocol::DatanodeCommand>> commands_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::string, BlockId>, protocol::ReportedReplica> states_ ABSL_GUARDED_BY(mutex_);
  uint64_t registrations_ ABSL_GUARDED_BY(mutex_) = 0;
  rpc::UnaryServer server_;
  uint16_t port_ = 0;
};

class DatanodeFixture : public ::testing::Test {
 protected:
  void SetUp() override { namenode_ = std::make_unique<FakeNamenode>(); }
  void TearDown() override {
    channels_.Close();
    for (auto& server : servers_) {
      if (server != nullptr) {
        EXPECT_TRUE(server->Stop());
      }
    }
    servers_.clear();
  }

  DatanodeOptions Options(size_t i) const {
    DatanodeOptions options;
    const std::string directory = root_ + "/dn" + std::to_string(i);
    options.store.directories = {{directory + "/a"}, {directory + "/b"}};
    options.namenode_host = "127.0.0.1";
    options.namenode_port = namenode_->port();
    return options;
  }
  void Start(size_t i) { StartWith(i, Options(i)); }
  void StartWith(size_t i, DatanodeOptions options) {
    if (servers_.size() <= i) servers_.resize(i + 1);
    auto started = DatanodeServer::Start(fs_.get(), &clock_, std::move(options), [this](const absl::Status& why) {
      MutexLock lock(&mutex_);
      fatal_ = why;
    });
    ASSERT_TRUE(started.ok()) << started.status();
    servers_[i] = *std::move(started);
  }
  void StartRegistered(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      Start(i);
      ASSERT_TRUE(WaitRegistered(i));
    }
  }
  bool WaitRegistered(size_t i) {
    return Eventually([&] { return servers_[i]->registered() && !servers_[i]->node().keys().empty(); });
  }
  void Stop(size_t i) {
    ASSERT_TRUE(servers_[i]->Stop());
    servers_[i].reset();
  }
  DatanodeUuid Uuid(size_t i) { return servers_[i]->store().identity().datanode; }
  protocol::ReplicaLocation Location(size_t i) { return {.datanode = namenode_->InfoOf(Uuid(i))}; }
  absl::Status fatal() {
    MutexLock lock(&mutex_);
    return fatal_;
  }

  static protocol::Block MakeBlock(uint64_t n, uint64_t length = 0) {
    return {.id = BlockId(kFirstBlockId.value() + n * kBlockIdStep), .stamp = GenerationStamp(1001), .length = length};
  }
  static std::string Bytes(uint64_t length, uint64_t seed = 1) {
    std::string bytes(length, '\0');
    uint64_t state = seed * 977 + 1;
    for (char& byte : bytes) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      byte = static_cast<char>(state >> 56);
    }
    return bytes;
  }
  std::string Token(BlockId block, uint8_t accesses = 7) {
    return MintToken(namenode_->key(),
                     {.user = "u", .block = block, .accesses = accesses, .expires = {clock_.WallNow().ms + 3'600'000}});
  }
  protocol::WriteSetup Setup(const protocol::Block& block, const std::vector<size_t>& pipeline) {
    protocol::WriteSetup setup{.block = block, .token = Token(block.id), .expected_bytes = 64 << 20};
    for (size_t i = 1; i < pipeline.size(); ++i) setup.downstream.push_back(Location(pipeline[i]));
    return setup;
  }

  // A writing client, by hand.
  class Writer {
   public:
    Writer(DatanodeFixture* fixture, const protocol::ReplicaLocation& first, const protocol::WriteSetup& setup)
        : fixture_(fixture), state_(std::make_shared<State>()) {
      stream_ = PipelineStream::Open(&fixture->channels_, first, setup, std::chrono::seconds(5), fixture->clock_.Now(),
                                     {.ack =
                                          [state = state_](protocol::Ack ack) {
                                            MutexLock lock(&state->mutex);
                                            state->acks.push_back(std::move(ack));
                                          },
                                      .ended =
                                          [state = state_](absl::Status status) {
                                            MutexLock lock(&state->mutex);
                                            state->ended = std::move(status);
                                          }});
    }
    ~Writer() { stream_->Cancel(); }

    void Send(protocol::Packet packet) { stream_->Send(packet); }
    // Bytes [from, to) of the content as the next packet.
    void Send(const std::string& content, uint64_t from, uint64_t to, bool last = false, bool sync = false) {
      protocol::Packet packet{
          .sequence = next_++, .offset = from - from % kBytesPerChecksum, .last = last, .sync = sync};
      const std::string bytes = content.substr(packet.offset, to - packet.offset);
      if (to > from) {
        AppendChunkChecksums(std::string_view(bytes), &packet.checksums);
        packet.payload = absl::Cord(bytes);
      } else {
        packet.offset = from;
      }
      stream_->Send(packet);
      if (last) stream_->CloseSending();
    }
    // All of it, keeping to a window of 8 packets.
    void SendAll(const std::string& content, uint64_t packet_bytes = 1 << 20) {
      for (uint64_t at = 0; at < content.size(); at += packet_bytes) {
        ASSERT_TRUE(WaitAcks(next_ < 8 ? 1 : next_ - 6));
        Send(content, at, std::min<uint64_t>(content.size(), at + packet_bytes));
      }
      Send(content, content.size(), content.size(), /*last=*/true);
    }
    // True when this many acks (the setup's counts) came, all OK.
    bool WaitAcks(size_t count) {
      const bool came = Eventually([&] {
        fixture_->channels_.Poll(fixture_->clock_.Now());
        MutexLock lock(&state_->mutex);
        return state_->acks.size() >= count || state_->ended.has_value();
      });
      MutexLock lock(&state_->mutex);
      if (!came || state_->acks.size() < count) return false;
      for (const protocol::Ack& ack : state_->acks) {
        if (!ack.ok()) return false;
      }
      return true;
    }
    absl::Status WaitEnd() {
      const bool came = Eventually([&] {
        fixture_->channels_.Poll(fixture_->clock_.Now());
        MutexLock lock(&state_->mutex);
        return state_->ended.has_value();
      });
      MutexLock lock(&state_->mutex);
      return came ? *state_->ended : absl::DeadlineExceededError("the stream did not end");
    }
    std::vector<protocol::Ack> acks() {
      MutexLock lock(&state_->mutex);
      return state_->acks;
    }
    uint64_t sent() const { return next_; }

   private:
    struct State {
      Mutex mutex;
      std::vector<protocol::Ack> acks ABSL_GUARDED_BY(mutex);
      std::optional<absl::Status> ended ABSL_GUARDED_BY(mutex);
    };
    DatanodeFixture* const fixture_;
    const std::shared_ptr<State> state_;
    std::shared_ptr<PipelineStream> stream_;
    uint64_t next_ = 0;
  };
  friend class Writer;

  absl::Status Write(const protocol::Block& block, const std::vector<size_t>& pipeline, const std::string& content) {
    Writer writer(this, Location(pipeline[0]), Setup(block, pipeline));
    writer.SendAll(content);
    return writer.WaitEnd();
  }

  std::unique_ptr<v1::DataTransfer::Stub> Stub(size_t i) {
    return v1::DataTransfer::NewStub(rpc::MakeDataChannel("127.0.0.1", servers_[i]->port()));
  }
  // By the generated client: what is on the wire is ordinary protobuf. Checks checksums and order.
  absl::StatusOr<std::string> Read(size_t i, const protocol::Block& block, uint64_t offset, uint64_t length,
                                   std::string token = "-") {
    const auto stub = Stub(i);
    grpc::ClientContext context;
    v1::ReadBlockRequest request;
    request.mutable_block()->set_id(block.id.value());
    request.mutable_block()->set_stamp(block.stamp.value());
    request.mutable_block()->set_length(block.length);
    request.set_offset(offset);
    request.set_length(length);
    request.set_token(token == "-" ? Token(block.id) : token);
    const auto reader = stub->ReadBlock(&context, request);
    v1::ReadFrame frame;
    std::string bytes;
    std::optional<uint64_t> next;
    while (reader->Read(&frame)) {
      EXPECT_EQ(frame.offset() % kBytesPerChecksum, 0u);
      if (next.has_value()) {
        EXPECT_EQ(frame.offset(), *next);
      }
      next = frame.offset() + frame.payload().size();
      EXPECT_EQ(FirstBadChunk(std::string_view(frame.payload()), frame.checksums()), -1);
      const uint64_t skip = offset > frame.offset() ? offset - frame.offset() : 0;
      if (skip < frame.payload().size()) bytes.append(frame.payload().substr(skip));
    }
    const grpc::Status status = reader->Finish();
    if (!status.ok()) return rpc::FromGrpc(status);
    bytes.resize(std::min<uint64_t>(bytes.size(), length));
    return bytes;
  }
  // Nothing is under way and nothing is held.
  bool Quiet(size_t i) {
    return Eventually([&] {
      return servers_[i]->node().live_streams() == 0 && servers_[i]->node().ActiveStreams() == 0 &&
             servers_[i]->store().open_writers() == 0;
    });
  }

  const TempDir directory_;
  const std::string root_ = directory_.path();
  const std::unique_ptr<FileSystem> fs_ = MakePosixFileSystem();
  SystemClock clock_;
  std::unique_ptr<FakeNamenode> namenode_;
  PeerChannels channels_;
  std::vector<std::unique_ptr<DatanodeServer>> servers_;
  Mutex mutex_;
  absl::Status fatal_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dolmen::datanode
