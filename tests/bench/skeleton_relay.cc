#include "tests/bench/skeleton_relay.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/mutex.h"
#include "common/rpc/channel_arguments.h"
#include "common/rpc/frames.h"
#include "common/rpc/status_grpc.h"
#include "grpcpp/impl/codegen/method_handler.h"
#include "grpcpp/impl/codegen/rpc_service_method.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/support/sync_stream.h"
#include "tests/bench/relay_file.h"

namespace dolmen::bench {
namespace {

constexpr char kWrite[] = "/dolmen.bench.Relay/Write";
constexpr char kRead[] = "/dolmen.bench.Relay/Read";
constexpr char kFileHeader[] = "file";  // metadata: which one
constexpr uint64_t kPacketBytes = protocol::kMaxPacketBytes;
constexpr size_t kQueuedPackets = 8;     // a hop's, not written yet (limits.md)
constexpr uint64_t kWindowPackets = 16;  // as our client's
constexpr int kHops = 3;

using ServerStream = grpc::ServerReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;
using ClientStream = grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;

std::unique_ptr<ClientStream> OpenStream(grpc::ChannelInterface* channel, const char* method,
                                         grpc::ClientContext* context) {
  const grpc::internal::RpcMethod rpc(method, grpc::internal::RpcMethod::BIDI_STREAMING);
  return std::unique_ptr<ClientStream>(
      grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(channel, rpc, context));
}

grpc::ByteBuffer AckOf(uint64_t sequence) { return rpc::EncodeAck({.sequence = sequence}); }

// What a thread counts up to and others wait for.
class Progress {
 public:
  void Add() {
    MutexLock lock(&mutex_);
    ++count_;
    changed_.SignalAll();
  }
  void End() {
    MutexLock lock(&mutex_);
    ended_ = true;
    changed_.SignalAll();
  }
  // False when it ended below `count`.
  bool WaitFor(uint64_t count) {
    MutexLock lock(&mutex_);
    while (count_ < count && !ended_) changed_.Wait(&mutex_);
    return count_ >= count;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  uint64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

// A bounded queue between the thread that receives and the one that writes.
class PacketQueue {
 public:
  void Push(protocol::Packet packet) {
    MutexLock lock(&mutex_);
    while (packets_.size() >= kQueuedPackets) changed_.Wait(&mutex_);
    packets_.push_back(std::move(packet));
    changed_.SignalAll();
  }
  void Close() {
    MutexLock lock(&mutex_);
    closed_ = true;
    changed_.SignalAll();
  }
  // Nothing: closed and empty.
  std::optional<protocol::Packet> Pop() {
    MutexLock lock(&mutex_);
    while (packets_.empty() && !closed_) changed_.Wait(&mutex_);
    if (packets_.empty()) return std::nullopt;
    protocol::Packet packet = std::move(packets_.front());
    packets_.pop_front();
    changed_.SignalAll();
    return packet;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<protocol::Packet> packets_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

class Hop final : public grpc::Service {
 public:
  Hop(std::string directory, int next_port, bool direct) : directory_(std::move(directory)), direct_(direct) {
    if (next_port != 0) next_ = rpc::MakeDataChannel("127.0.0.1", static_cast<uint16_t>(next_port));
    Add(kWrite, &Hop::Write);
    Add(kRead, &Hop::Read);
  }

 private:
  using Method = grpc::Status (Hop::*)(grpc::ServerContext*, ServerStream*);
  void Add(const char* name, Method method) {
    AddMethod(new grpc::internal::RpcServiceMethod(
        name, grpc::internal::RpcMethod::BIDI_STREAMING,
        new grpc::internal::BidiStreamingHandler<Hop, grpc::ByteBuffer, grpc::ByteBuffer>(
            [method](Hop* hop, grpc::ServerContext* context, ServerStream* stream) {
              return (hop->*method)(context, stream);
            },
            this)));
  }
  static std::string FileOf(const grpc::ServerContext& context) {
    const auto found = context.client_metadata().find(kFileHeader);
    if (found == context.client_metadata().end()) return "unnamed";
    return std::string(found->second.data(), found->second.size());
  }

  // One block: receives on this thread, writes on another, acks on a third.
  grpc::Status Write(grpc::ServerContext* context, ServerStream* stream) {
    const std::string name = FileOf(*context);
    absl::StatusOr<std::unique_ptr<RelayFile>> file = RelayFile::Create(directory_ + "/" + name, direct_);
    if (!file.ok()) return rpc::ToGrpc(file.status());
    grpc::ClientContext next_context;
    std::unique_ptr<ClientStream> next;
    if (next_ != nullptr) {
      next_context.AddMetadata(kFileHeader, name);
      next = OpenStream(next_.get(), kWrite, &next_context);
    }
    PacketQueue queue;
    Progress written;
    absl::Status disk;
    std::thread writer([&] {
      while (std::optional<protocol::Packet> packet = queue.Pop()) {
        if (disk.ok()) disk = (*file)->Append(packet->payload, packet->checksums);
        written.Add();
      }
      if (disk.ok()) disk = (*file)->Sync();  // beside the other hops' syncs
      written.End();
    });
    std::thread acks([&] {
      grpc::ByteBuffer buffer;
      for (uint64_t sequence = 0;; ++sequence) {
        if (next != nullptr && !next->Read(&buffer)) return;
        if (!written.WaitFor(sequence + 1)) return;
        if (!stream->Write(AckOf(sequence))) return;
      }
    });
    absl::Status received;
    grpc::ByteBuffer buffer;
    while (received.ok() && stream->Read(&buffer)) received = Receive(buffer, next.get(), &queue);
    if (next != nullptr) next->WritesDone();
    queue.Close();
    writer.join();
    acks.join();
    if (next != nullptr) {
      const grpc::Status behind = next->Finish();
      if (!behind.ok()) return behind;
    }
    return rpc::ToGrpc(received.ok() ? disk : received);
  }

  static absl::Status Receive(const grpc::ByteBuffer& buffer, ClientStream* next, PacketQueue* queue) {
    auto frame = rpc::DecodeWriteFrame(buffer);
    if (!frame.ok()) return frame.status();
    auto* packet = std::get_if<protocol::Packet>(&*frame);
    if (packet == nullptr || FirstBadChunk(packet->payload, packet->checksums) >= 0)
      return MakeError(ErrorReason::kChecksum, "a packet arrived damaged");
    if (next != nullptr && !next->Write(buffer)) return MakeError(ErrorReason::kPipelineFailed, "the next hop is gone");
    queue->Push(std::move(*packet));
    return absl::OkStatus();
  }

  grpc::Status Read(grpc::ServerContext* context, ServerStream* stream) {
    return rpc::ToGrpc(
        SendFile(directory_ + "/" + FileOf(*context), kPacketBytes,
                 [&](const protocol::ReadChunk& chunk) { return stream->Write(rpc::EncodeReadChunk(chunk)); }));
  }

  const std::string directory_;
  const bool direct_;
  std::shared_ptr<grpc::Channel> next_;
};

std::string BlockName(uint64_t index) { return absl::StrCat("block", index); }

absl::Status WriteBlock(grpc::ChannelInterface* channel, uint64_t index, const std::string& pattern, uint64_t bytes) {
  grpc::ClientContext context;
  context.AddMetadata(kFileHeader, BlockName(index));
  const std::unique_ptr<ClientStream> stream = OpenStream(channel, kWrite, &context);
  Progress acked;
  std::thread acks([&] {
    grpc::ByteBuffer buffer;
    while (stream->Read(&buffer)) acked.Add();
    acked.End();
  });
  bool open = true;
  uint64_t sequence = 0;
  for (uint64_t offset = 0; open && offset < bytes; ++sequence) {
    if (sequence >= kWindowPackets) open = acked.WaitFor(sequence - kWindowPackets + 1);
    const std::string_view data(pattern.data(), std::min<uint64_t>(pattern.size(), bytes - offset));
    protocol::Packet packet{.sequence = sequence, .offset = offset};
    AppendChunkChecksums(data, &packet.checksums);
    packet.payload = absl::MakeCordFromExternal(ToAbsl(data), [] {});  // `pattern` outlives the stream
    open = open && stream->Write(rpc::EncodePacket(packet));
    offset += data.size();
  }
  stream->WritesDone();
  acks.join();
  absl::Status ended = rpc::FromGrpc(stream->Finish());
  if (ended.ok() && !acked.WaitFor(sequence)) ended = MakeError(ErrorReason::kIo, "the relay left packets unanswered");
  return ended;
}

absl::Status ReadBlock(grpc::ChannelInterface* channel, uint64_t index, uint64_t bytes) {
  grpc::ClientContext context;
  context.AddMetadata(kFileHeader, BlockName(index));
  const std::unique_ptr<ClientStream> stream = OpenStream(channel, kRead, &context);
  stream->WritesDone();
  uint64_t received = 0;
  absl::Status good;
  grpc::ByteBuffer buffer;
  while (stream->Read(&buffer)) {
    absl::StatusOr<protocol::ReadChunk> chunk = rpc::DecodeReadChunk(std::move(buffer));
    if (!chunk.ok()) {
      good = chunk.status();
    } else if (FirstBadChunk(chunk->payload, chunk->checksums) >= 0) {
      good = MakeError(ErrorReason::kChecksum, "a chunk arrived damaged");
    } else {
      received += chunk->payload.size();
    }
  }
  if (absl::Status ended = rpc::FromGrpc(stream->Finish()); !ended.ok()) return ended;
  if (good.ok() && received != bytes)
    good = MakeError(ErrorReason::kIo, absl::StrCat("read ", received, " bytes instead of ", bytes));
  return good;
}

}  // namespace

absl::Status ServeRelaySkeleton(const std::string& directory, const std::string& port_file, int next_port,
                                bool direct) {
  std::filesystem::create_directories(directory + "/data");
  Hop hop(directory + "/data", next_port, direct);
  grpc::ServerBuilder builder;
  rpc::ApplyServerArguments(&builder, rpc::Traffic::kData);
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&hop);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) return MakeError(ErrorReason::kIo, "the relay cannot listen");
  DOLMEN_RETURN_IF_ERROR(TellPort(port_file, port));
  server->Wait();
  return MakeError(ErrorReason::kStopped, "the relay's server ended");
}

absl::StatusOr<std::unique_ptr<RelaySkeleton>> RelaySkeleton::Start(const std::string& directory, bool direct) {
  auto relay = std::make_unique<RelaySkeleton>();
  relay->directory_ = directory;
  int next_port = 0;
  for (int i = 0; i < kHops; ++i) {
    const std::string own = absl::StrCat(directory, "/hop", i);
    std::filesystem::create_directories(own);
    DOLMEN_ASSIGN_OR_RETURN(
        std::unique_ptr<SkeletonProcess> hop,
        SkeletonProcess::Start(kServeRelay, own, {absl::StrCat(next_port), direct ? kRelayDirect : kRelayCached}));
    next_port = hop->port();
    relay->hops_.push_back(std::move(hop));
  }
  return relay;
}

absl::Status RelaySkeleton::Write(const std::string& pattern, uint64_t bytes, uint64_t block_bytes) {
  const std::shared_ptr<grpc::Channel> channel = rpc::MakeDataChannel("127.0.0.1", hops_.back()->port());
  for (uint64_t index = 0; index * block_bytes < bytes; ++index) {
    DOLMEN_RETURN_IF_ERROR(
        WriteBlock(channel.get(), index, pattern, std::min(block_bytes, bytes - index * block_bytes)));
  }
  return absl::OkStatus();
}

absl::Status RelaySkeleton::Read(uint64_t bytes, uint64_t block_bytes) {
  const std::shared_ptr<grpc::Channel> channel = rpc::MakeDataChannel("127.0.0.1", hops_.back()->port());
  for (uint64_t index = 0; index * block_bytes < bytes; ++index)
    DOLMEN_RETURN_IF_ERROR(ReadBlock(channel.get(), index, std::min(block_bytes, bytes - index * block_bytes)));
  return absl::OkStatus();
}

void RelaySkeleton::Clear() {
  for (int i = 0; i < kHops; ++i)
    for (const auto& entry : std::filesystem::directory_iterator(absl::StrCat(directory_, "/hop", i, "/data")))
      std::filesystem::remove(entry.path());
}

std::vector<pid_t> RelaySkeleton::processes() const {
  std::vector<pid_t> all;
  for (const auto& hop : hops_) all.push_back(hop->pid());
  return all;
}

}  // namespace dolmen::bench
