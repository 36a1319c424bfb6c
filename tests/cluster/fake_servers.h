// A namenode and datanodes as small as a client's tests need: real gRPC servers on loopback, everything in memory, no
// pipeline (the first datanode stores for all hops). They remember what was asked and misbehave on request.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/mutex.h"
#include "common/rpc/channel_arguments.h"
#include "common/rpc/convert_client.h"
#include "common/rpc/convert_data.h"
#include "common/rpc/convert_types.h"
#include "common/rpc/relay.h"
#include "common/rpc/status_grpc.h"
#include "grpcpp/server_builder.h"
#include "proto/client_namenode.grpc.pb.h"
#include "proto/data_transfer.grpc.pb.h"

namespace dolmen::testing {

// All replicas of all datanodes: they share one memory.
class FakeDisk {
 public:
  struct Replica {
    std::string bytes;
    bool finalized = false;
    bool flipped = false;  // its first byte does not match its checksum
  };
  using Key = std::pair<std::string, uint64_t>;  // datanode, block
  Mutex mutex;
  std::map<Key, Replica> replicas ABSL_GUARDED_BY(mutex);
};

class FakeDatanode final : public v1::DataTransfer::Service {
 public:
  // `port` 0: a free one.
  FakeDatanode(std::string uuid, FakeDisk* disk, int port = 0) : uuid_(std::move(uuid)), disk_(disk) {
    grpc::ServerBuilder builder;
    rpc::ApplyServerArguments(&builder, rpc::Traffic::kData);
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeDatanode() override { Stop(); }
  void Stop() {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
    server_ = nullptr;
  }

  protocol::ReplicaLocation Location() const {
    protocol::ReplicaLocation location;
    location.datanode = {.uuid = DatanodeUuid(uuid_),
                         .host_name = uuid_,
                         .addresses = extra_addresses_,
                         .rack = "/default-rack",
                         .http_port = 1};
    location.datanode.addresses.push_back(
        {.network = "default", .host = "127.0.0.1", .port = static_cast<uint16_t>(hidden ? 1 : port_)});
    location.storage = StorageId("storage-of-" + uuid_);
    return location;
  }
  // Advertised before the real one.
  void AddAddress(protocol::Address address) { extra_addresses_.push_back(std::move(address)); }

  int port() const { return port_; }

  std::atomic<bool> hidden = false;  // advertises an address where nobody is
  // Those it passes calls on to.
  void Reach(std::vector<FakeDatanode*> datanodes) {
    MutexLock lock(&disk_->mutex);
    reaches_ = std::move(datanodes);
  }
  std::atomic<bool> keeps_its_name = false;  // GetLocalInfo waits until it is false
  std::atomic<int> relayed = 0;
  std::atomic<int> writes = 0;
  std::atomic<int> reads = 0;
  std::atomic<int> reopened = 0;            // setups of replicas that were there
  std::atomic<int> refuse_setups = 0;       // so many are refused with kNoSpace
  std::atomic<int> break_write_after = -1;  // packets, then the stream breaks

  grpc::Status WriteBlock(grpc::ServerContext* context,
                          grpc::ServerReaderWriter<v1::AckFrame, v1::WriteFrame>* stream) override {
    return Meant(*context, [&](FakeDatanode* datanode) { return datanode->Write(stream); });
  }
  grpc::Status ReadBlock(grpc::ServerContext* context, const v1::ReadBlockRequest* request,
                         grpc::ServerWriter<v1::ReadFrame>* writer) override {
    return Meant(*context, [&](FakeDatanode* datanode) { return datanode->Read(request, writer); });
  }
  grpc::Status GetLocalInfo(grpc::ServerContext* context, const v1::LocalInfoRequest*,
                            v1::LocalInfoReply* reply) override {
    keeps_its_name.wait(true);
    return Meant(*context, [&](FakeDatanode* datanode) {
      reply->set_datanode(datanode->uuid_);
      return grpc::Status::OK;
    });
  }
  grpc::Status GetVisibleLength(grpc::ServerContext* context, const v1::VisibleLengthRequest* request,
                                v1::VisibleLengthReply* reply) override {
    return Meant(*context, [&](FakeDatanode* datanode) { return datanode->VisibleLength(request, reply); });
  }

 private:
  // `serve` with the datanode that is meant, itself or one it reaches.
  template <typename Serve>
  grpc::Status Meant(const grpc::ServerContext& context, Serve serve) {
    if (!rpc::IsRelayed(context)) return serve(this);
    ++relayed;
    const absl::StatusOr<protocol::DatanodeInfo> target = rpc::RelayTarget(context);
    if (!target.ok()) return rpc::ToGrpc(target.status());
    std::vector<FakeDatanode*> reaches;
    {
      MutexLock lock(&disk_->mutex);
      reaches = reaches_;
    }
    for (FakeDatanode* datanode : reaches) {
      if (datanode->uuid_ == target->uuid.value()) return serve(datanode);
    }
    return rpc::ToGrpc(MakeError(ErrorReason::kUnreachable, "not reached from here"));
  }

  grpc::Status Write(grpc::ServerReaderWriter<v1::AckFrame, v1::WriteFrame>* stream) {
    ++writes;
    v1::WriteFrame frame;
    if (!stream->Read(&frame)) return grpc::Status::OK;
    const absl::StatusOr<protocol::WriteSetup> setup = rpc::FromProto(frame.setup());
    if (!setup.ok()) return rpc::ToGrpc(setup.status());
    std::vector<std::string> hops = {uuid_};
    for (const protocol::ReplicaLocation& hop : setup->downstream) hops.push_back(hop.datanode.uuid.value());
    protocol::Ack ack{.sequence = protocol::kSetupAck};
    for (const std::string& hop : hops) ack.hops.push_back({.datanode = DatanodeUuid(hop)});
    if (setup->append_to.has_value()) ack.hops[0].status = Reopen(*setup);
    if (refuse_setups > 0) {
      --refuse_setups;
      ack.hops[0].status = MakeError(ErrorReason::kNoSpace, "the disk is full");
    }
    if (!ack.ok()) {
      stream->Write(rpc::ToProto(ack));
      return grpc::Status::OK;
    }
    stream->Write(rpc::ToProto(ack));
    for (int packets = 0; stream->Read(&frame); ++packets) {
      if (break_write_after >= 0 && packets >= break_write_after)
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "going away");
      const v1::Packet& packet = frame.packet();
      ack.sequence = packet.sequence();
      ack.hops[0].status = Store(hops, setup->block.id.value(), packet);
      if (!stream->Write(rpc::ToProto(ack))) break;
    }
    return grpc::Status::OK;
  }

  grpc::Status Read(const v1::ReadBlockRequest* request, grpc::ServerWriter<v1::ReadFrame>* writer) {
    ++reads;
    std::string bytes;
    bool flipped = false;
    {
      MutexLock lock(&disk_->mutex);
      const auto found = disk_->replicas.find({uuid_, request->block().id()});
      if (found == disk_->replicas.end())
        return rpc::ToGrpc(MakeError(ErrorReason::kReplicaNotFound, "no such replica"));
      bytes = found->second.bytes;
      flipped = found->second.flipped;
    }
    const uint64_t end = std::min<uint64_t>(bytes.size(), (request->offset() + request->length() + 511) / 512 * 512);
    constexpr uint64_t kPiece = 256 << 10;
    for (uint64_t offset = request->offset() / 512 * 512; offset < end;) {
      std::string piece = bytes.substr(offset, std::min(kPiece, end - offset));
      v1::ReadFrame frame;
      frame.set_offset(offset);
      frame.set_replica_length(bytes.size());
      AppendChunkChecksums(piece, frame.mutable_checksums());
      if (flipped && offset == 0) piece[0] ^= 1;
      offset += piece.size();
      frame.set_payload(std::move(piece));
      if (!writer->Write(frame)) break;
    }
    return grpc::Status::OK;
  }

  grpc::Status VisibleLength(const v1::VisibleLengthRequest* request, v1::VisibleLengthReply* reply) {
    const absl::StatusOr<protocol::VisibleLengthRequest> asked = rpc::FromProto(*request);
    if (!asked.ok()) return rpc::ToGrpc(asked.status());
    MutexLock lock(&disk_->mutex);
    const auto found = disk_->replicas.find({uuid_, request->block().id()});
    if (found == disk_->replicas.end()) return rpc::ToGrpc(MakeError(ErrorReason::kReplicaNotFound, "no such replica"));
    reply->set_length(found->second.bytes.size());
    return grpc::Status::OK;
  }

  absl::Status Reopen(const protocol::WriteSetup& setup) {
    ++reopened;
    if (*setup.append_to >= setup.block.stamp) return MakeError(ErrorReason::kStaleGenerationStamp, "an old stamp");
    MutexLock lock(&disk_->mutex);
    const FakeDisk::Replica& replica = disk_->replicas[{uuid_, setup.block.id.value()}];
    if (replica.bytes.size() == setup.block.length) return absl::OkStatus();
    return MakeError(ErrorReason::kIo,
                     absl::StrCat("the replica has ", replica.bytes.size(), " bytes and not ", setup.block.length));
  }
  absl::Status Store(const std::vector<std::string>& hops, uint64_t block, const v1::Packet& packet) {
    if (FirstBadChunk(packet.payload(), packet.checksums()) != -1)
      return MakeError(ErrorReason::kChecksum, "bad chunk");
    MutexLock lock(&disk_->mutex);
    for (const std::string& hop : hops) {
      FakeDisk::Replica& replica = disk_->replicas[{hop, block}];
      if (packet.offset() > replica.bytes.size()) return MakeError(ErrorReason::kIo, "a gap");
      replica.bytes.replace(packet.offset(), std::string::npos, packet.payload());
      replica.finalized = packet.last();
    }
    return absl::OkStatus();
  }

  const std::string uuid_;
  FakeDisk* const disk_;
  std::vector<protocol::Address> extra_addresses_;
  std::vector<FakeDatanode*> reaches_;  // guarded by the disk's mutex
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class FakeNamenode final : public v1::ClientNamenode::Service {
 public:
  FakeNamenode() { Start(0); }
  ~FakeNamenode() override { Stop(); }
  void Start(int port) {
    grpc::ServerBuilder builder;
    rpc::ApplyServerArguments(&builder);
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  void Stop() {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
    server_ = nullptr;
  }
  int port() const { return port_; }
  std::string Uri() const { return absl::StrCat("dolmen://127.0.0.1:", port_); }

  std::vector<FakeDatanode*> datanodes;
  std::atomic<int> lose_answers = 0;  // so many mutations are executed and then not answered
  std::atomic<int> executed = 0;      // mutations, repetitions not counted
  std::atomic<int> renewals = 0;
  std::atomic<int> reports = 0;
  std::atomic<int> recoveries = 0;
  std::atomic<int64_t> soft_limit_ms = 60'000;
  Mutex mutex;
  std::set<std::string> users ABSL_GUARDED_BY(mutex);

  grpc::Status Create(grpc::ServerContext*, const v1::CreateRequest* request, v1::CreateReply* reply) override {
    return Once(request->header(), reply,
                [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) -> absl::StatusOr<protocol::CreateReply> {
                  if (files_.contains(request->path()))
                    return MakeError(ErrorReason::kFileAlreadyExists, request->path() + " already exists");
                  File& file = files_[request->path()];
                  file.inode = next_inode_++;
                  file.block_bytes = request->block_bytes();
                  return protocol::CreateReply{Status(file)};
                });
  }
  grpc::Status AddBlock(grpc::ServerContext*, const v1::AddBlockRequest* request, v1::AddBlockReply* reply) override {
    return Once(request->header(), reply,
                [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) -> absl::StatusOr<protocol::AddBlockReply> {
                  File& file = files_.at(request->path());
                  if (request->has_previous()) file.blocks.back().block.length = request->previous().length();
                  protocol::LocatedBlock block;
                  block.block = {.id = BlockId(next_block_ += 16), .stamp = GenerationStamp(1001)};
                  block.token = "token";
                  for (const protocol::LocatedBlock& one : file.blocks) block.offset += one.block.length;
                  const std::set<std::string> excluded(request->excluded().begin(), request->excluded().end());
                  for (FakeDatanode* datanode : datanodes) {
                    const protocol::ReplicaLocation location = datanode->Location();
                    if (!excluded.contains(location.datanode.uuid.value())) block.locations.push_back(location);
                  }
                  if (block.locations.empty()) return MakeError(ErrorReason::kNoDatanodes, "no datanode is left");
                  file.blocks.push_back(block);
                  return protocol::AddBlockReply{block};
                });
  }
  grpc::Status AbandonBlock(grpc::ServerContext*, const v1::AbandonBlockRequest* request,
                            v1::AbandonBlockReply* reply) override {
    return Once(request->header(), reply,
                [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) -> absl::StatusOr<protocol::AbandonBlockReply> {
                  File& file = files_.at(request->path());
                  if (!file.blocks.empty() && file.blocks.back().block.id.value() == request->block().id())
                    file.blocks.pop_back();
                  return protocol::AbandonBlockReply{};
                });
  }
  grpc::Status Complete(grpc::ServerContext*, const v1::CompleteRequest* request, v1::CompleteReply* reply) override {
    return Once(request->header(), reply,
                [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) -> absl::StatusOr<protocol::CompleteReply> {
                  File& file = files_.at(request->path());
                  if (request->has_last()) file.blocks.back().block.length = request->last().length();
                  file.open = false;
                  return protocol::CompleteReply{.closed = true, .status = Status(file)};
                });
  }
  grpc::Status Fsync(grpc::ServerContext*, const v1::FsyncRequest* request, v1::FsyncReply* reply) override {
    return Once(request->header(), reply,
                []() -> absl::StatusOr<protocol::FsyncReply> { return protocol::FsyncReply{}; });
  }
  // Recoveries end one question later.
  grpc::Status Append(grpc::ServerContext*, const v1::AppendRequest* request, v1::AppendReply* reply) override {
    return Once(request->header(), reply,
                [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) -> absl::StatusOr<protocol::AppendReply> {
                  const auto found = files_.find(request->path());
                  if (found == files_.end())
                    return MakeError(ErrorReason::kFileNotFound, "File does not exist: " + request->path());
                  File& file = found->second;
                  if (file.open) return MakeError(ErrorReason::kAlreadyBeingCreated, "somebody writes it");
                  protocol::AppendReply answer;
                  const bool has_room = !file.blocks.empty() && file.blocks.back().block.length < file.block_bytes;
                  if (has_room && !request->new_block()) {
                    protocol::LocatedBlock& last = file.blocks.back();
                    last.locations.clear();
                    const std::set<std::string> excluded(request->excluded().begin(), request->excluded().end());
                    for (FakeDatanode* datanode : datanodes) {
                      const protocol::ReplicaLocation location = datanode->Location();
                      if (!excluded.contains(location.datanode.uuid.value())) last.locations.push_back(location);
                    }
                    if (last.locations.empty()) return MakeError(ErrorReason::kNotReplicatedYet, "no replica is left");
                    answer.last_stamp = last.block.stamp;
                    last.block.stamp = GenerationStamp(++next_stamp_);
                    answer.last = last;
                  }
                  file.open = true;
                  answer.status = Status(file);
                  return answer;
                });
  }
  grpc::Status RecoverLease(grpc::ServerContext*, const v1::RecoverLeaseRequest* request,
                            v1::RecoverLeaseReply* reply) override {
    return Once(request->header(), reply,
                [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) -> absl::StatusOr<protocol::RecoverLeaseReply> {
                  ++recoveries;
                  File& file = files_.at(request->path());
                  file.recovering = file.open;
                  file.blocks.back().block.stamp = GenerationStamp(++next_stamp_);
                  return protocol::RecoverLeaseReply{.closed = !file.open};
                });
  }
  grpc::Status Delete(grpc::ServerContext*, const v1::DeleteRequest* request, v1::DeleteReply* reply) override {
    return Once(request->header(), reply,
                [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) -> absl::StatusOr<protocol::DeleteReply> {
                  return protocol::DeleteReply{files_.erase(request->path()) > 0};
                });
  }
  grpc::Status GetBlockLocations(grpc::ServerContext*, const v1::GetBlockLocationsRequest* request,
                                 v1::GetBlockLocationsReply* reply) override {
    MutexLock lock(&mutex);
    const auto found = files_.find(request->path());
    if (found == files_.end() || (request->has_inode() && request->inode() != found->second.inode)) {
      return rpc::ToGrpc(MakeError(ErrorReason::kFileNotFound, "File does not exist: " + request->path()));
    }
    const File& file = found->second;
    protocol::GetBlockLocationsReply answer{
        .status = Status(file), .last_is_open = file.open, .open_offset = Status(file).length};
    for (const protocol::LocatedBlock& block : file.blocks) {
      const uint64_t end = block.offset + block.block.length;
      if ((end > request->offset() || block.block.length == 0) && block.offset < request->length())
        answer.blocks.push_back(block);
    }
    *reply = rpc::ToProto(answer);
    return grpc::Status::OK;
  }
  grpc::Status GetFileInfo(grpc::ServerContext*, const v1::GetFileInfoRequest* request,
                           v1::GetFileInfoReply* reply) override {
    MutexLock lock(&mutex);
    users.insert(request->header().user());
    protocol::GetFileInfoReply answer;
    if (const auto found = files_.find(request->path()); found != files_.end()) {
      File& file = found->second;
      if (file.recovering && !file.asked_since) {
        file.asked_since = true;
      } else if (file.recovering) {
        file.open = file.recovering = file.asked_since = false;
      }
      answer.status = Status(file);
    }
    *reply = rpc::ToProto(answer);
    return grpc::Status::OK;
  }
  grpc::Status GetServerDefaults(grpc::ServerContext*, const v1::GetServerDefaultsRequest*,
                                 v1::GetServerDefaultsReply* reply) override {
    *reply = rpc::ToProto(protocol::GetServerDefaultsReply{.cluster = ClusterId("CID-1"),
                                                           .block_bytes = 1 << 20,
                                                           .replication = 3,
                                                           .bytes_per_checksum = 512,
                                                           .packet_bytes = 1 << 20,
                                                           .lease_soft_limit_ms = soft_limit_ms,
                                                           .version = "test"});
    return grpc::Status::OK;
  }
  grpc::Status RenewLease(grpc::ServerContext*, const v1::RenewLeaseRequest*, v1::RenewLeaseReply*) override {
    ++renewals;
    return grpc::Status::OK;
  }
  grpc::Status GetDatanodeReport(grpc::ServerContext*, const v1::GetDatanodeReportRequest*,
                                 v1::GetDatanodeReportReply* reply) override {
    protocol::GetDatanodeReportReply answer;
    for (FakeDatanode* datanode : datanodes) answer.datanodes.push_back({.info = datanode->Location().datanode});
    *reply = rpc::ToProto(answer);
    return grpc::Status::OK;
  }
  grpc::Status ReportBadReplica(grpc::ServerContext*, const v1::ReportBadReplicaRequest*,
                                v1::ReportBadReplicaReply*) override {
    ++reports;
    return grpc::Status::OK;
  }

  size_t OpenFiles() {
    MutexLock lock(&mutex);
    size_t open = 0;
    for (const auto& [path, file] : files_) open += file.open ? 1 : 0;
    return open;
  }

 private:
  struct File {
    uint64_t inode = 0;
    uint64_t block_bytes = 0;
    bool open = true;
    bool recovering = false;
    bool asked_since = false;
    std::vector<protocol::LocatedBlock> blocks;
  };

  static protocol::FileStatus Status(const File& file) {
    protocol::FileStatus status{.inode = InodeId(file.inode),
                                .replication = 3,
                                .block_bytes = file.block_bytes,
                                .under_construction = file.open};
    for (const protocol::LocatedBlock& block : file.blocks) status.length += block.block.length;
    return status;
  }

  // Executes once per call id; repetitions get the first answer.
  template <typename Reply, typename Execute>
  grpc::Status Once(const v1::CallHeader& header, Reply* reply, Execute execute) {
    MutexLock lock(&mutex);
    const auto key = std::pair(header.client_id(), header.call_id());
    if (header.client_id().size() != 16 || header.call_id() == 0)
      return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no call id");
    if (const auto known = answers_.find(key); known != answers_.end()) {
      if (header.attempt() == 0) return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "a repetition must say so");
      if (!known->second.second.empty() || known->second.first.ok()) reply->ParseFromString(known->second.second);
      return known->second.first;
    }
    ++executed;
    auto answer = execute();
    if (answer.ok()) *reply = rpc::ToProto(*answer);
    const grpc::Status status = rpc::ToGrpc(answer.status());
    answers_[key] = {status, reply->SerializeAsString()};
    if (lose_answers > 0) {
      --lose_answers;
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed");
    }
    return status;
  }

  std::map<std::string, File> files_ ABSL_GUARDED_BY(mutex);
  std::map<std::pair<std::string, uint64_t>, std::pair<grpc::Status, std::string>> answers_ ABSL_GUARDED_BY(mutex);
  uint64_t next_inode_ ABSL_GUARDED_BY(mutex) = 20'000;
  uint64_t next_stamp_ ABSL_GUARDED_BY(mutex) = 2000;
  uint64_t next_block_ ABSL_GUARDED_BY(mutex) = 1 << 30;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace dolmen::testing
