#include "client/file_checksum.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "client/core/file_checksum.h"
#include "client/core/text.h"
#include "client/input_stream.h"
#include "client/transport_error.h"
#include "client/waiter.h"
#include "common/error.h"
#include "common/rpc/convert_data.h"
#include "proto/data_transfer.grpc.pb.h"

namespace dolmen::client {
namespace {

constexpr size_t kBlocksAtOnce = 8;      // asked for side by side (chosen)
constexpr uint64_t kBlocksPerPage = 64;  // located in one call (chosen)
constexpr int kRounds = 3;               // through all replicas of a block, each with new locations (chosen)
constexpr std::chrono::milliseconds kPause{500};

// One block: asks its replicas in order until one answers. Callbacks hold it.
class BlockQuestion : public std::enable_shared_from_this<BlockQuestion> {
 public:
  BlockQuestion(Runtime* runtime, protocol::LocatedBlock block) : runtime_(runtime), block_(std::move(block)) {}

  void Start() { AskNext(); }
  const protocol::LocatedBlock& block() const { return block_; }
  absl::StatusOr<protocol::BlockChecksumReply> Wait() { return answer_.Get(); }

 private:
  using Reply = absl::StatusOr<v1::BlockChecksumReply>;

  // By one thread at a time: each step begins when the one before has answered.
  void AskNext() {
    if (next_ == block_.locations.size()) {
      return answer_.Set(
          MakeError(ErrorReason::kBlockMissing,
                    absl::StrCat("Fail to get block MD5 for ", block_.block.id.ToString(), ": ",
                                 failures_.empty() ? "no datanode that has it is known" : failures_.c_str())));
    }
    const protocol::DatanodeInfo& datanode = block_.locations[next_++].datanode;
    runtime_->datanodes()->Connect(
        datanode, [self = shared_from_this(), &datanode](absl::StatusOr<std::shared_ptr<grpc::Channel>> channel) {
          if (!channel.ok()) return self->Failed(datanode, channel.status());
          self->Ask(datanode, *channel);
        });
  }

  void Ask(const protocol::DatanodeInfo& datanode, const std::shared_ptr<grpc::Channel>& channel) {
    const std::shared_ptr<v1::DataTransfer::Stub> stub = v1::DataTransfer::NewStub(channel);
    runtime_->namenode()->unary()->Call(
        stub.get(), &v1::DataTransfer::Stub::PrepareAsyncGetBlockChecksum,
        rpc::ToProto(protocol::BlockChecksumRequest{.block = block_.block, .token = block_.token}),
        {.timeout = runtime_->options().stream_timeout},
        std::function<void(Reply)>([self = shared_from_this(), &datanode, stub](const Reply& reply) {
          if (!reply.ok()) return self->Failed(datanode, FromTransport(reply.status()));
          absl::StatusOr<protocol::BlockChecksumReply> checksum = rpc::FromProto(*reply);
          if (!checksum.ok()) return self->Failed(datanode, checksum.status());
          self->answer_.Set(std::move(checksum));
        }));
  }

  void Failed(const protocol::DatanodeInfo& datanode, const absl::Status& why) {
    if (ReasonOf(why) == ErrorReason::kCancelled) return answer_.Set(why);  // the client is shutting down
    if (ReasonOf(why) == ErrorReason::kUnreachable) runtime_->datanodes()->Forget(datanode.uuid);
    absl::StrAppend(&failures_, failures_.empty() ? "" : "; ", AddressText(datanode), ": ", why.message());
    AskNext();
  }

  Runtime* const runtime_;
  const protocol::LocatedBlock block_;
  size_t next_ = 0;
  std::string failures_;
  Waiter<absl::StatusOr<protocol::BlockChecksumReply>> answer_;
};

// One use, one thread.
class ChecksumRun {
 public:
  ChecksumRun(Runtime* runtime, const std::string& path, OpenedFile file, uint64_t length)
      : runtime_(runtime), path_(path), file_(std::move(file)), length_(std::min(length, file_.length)) {}

  absl::StatusOr<FileChecksum> Run() {
    std::vector<protocol::LocatedBlock> blocks = CutTo(length_, std::move(file_.blocks));
    while (true) {
      for (protocol::LocatedBlock& block : blocks) {
        covered_ = block.offset + block.block.length;
        if (waiting_.size() == kBlocksAtOnce) DOLMEN_RETURN_IF_ERROR(TakeFirst());
        Begin(std::move(block));
      }
      if (covered_ >= length_) break;
      DOLMEN_ASSIGN_OR_RETURN(blocks, Locate(covered_, kBlocksPerPage * std::max<uint64_t>(BlockBytes(), 1)));
    }
    while (!waiting_.empty()) DOLMEN_RETURN_IF_ERROR(TakeFirst());
    return checksum_.Finish();
  }

 private:
  uint64_t BlockBytes() const { return file_.status.block_bytes; }

  void Begin(protocol::LocatedBlock block) {
    waiting_.push_back(std::make_shared<BlockQuestion>(runtime_, std::move(block)));
    waiting_.back()->Start();
  }

  absl::Status TakeFirst() {
    std::shared_ptr<BlockQuestion> question = std::move(waiting_.front());
    waiting_.pop_front();
    absl::StatusOr<protocol::BlockChecksumReply> answer = question->Wait();
    for (int round = 1; ReasonOf(answer.status()) == ErrorReason::kBlockMissing && round < kRounds; ++round) {
      if (!Pause()) break;
      const protocol::LocatedBlock& before = question->block();
      DOLMEN_ASSIGN_OR_RETURN(std::vector<protocol::LocatedBlock> again, Locate(before.offset, before.block.length));
      if (again.front().block.id != before.block.id) return Changed();
      question = std::make_shared<BlockQuestion>(runtime_, std::move(again.front()));
      question->Start();
      answer = question->Wait();
    }
    DOLMEN_RETURN_IF_ERROR(answer.status(), path_);
    return checksum_.Add(*answer);
  }

  // Blocks that overlap [offset, offset + length), of which the first begins at `offset`; at least one.
  absl::StatusOr<std::vector<protocol::LocatedBlock>> Locate(uint64_t offset, uint64_t length) {
    DOLMEN_ASSIGN_OR_RETURN(protocol::GetBlockLocationsReply reply,
                            runtime_->namenode()->QueryAndWait<protocol::GetBlockLocationsReply>(
                                protocol::GetBlockLocationsRequest{
                                    .path = path_, .offset = offset, .length = length, .inode = file_.status.inode},
                                absl::StrCat("checksum ", path_)));
    for (protocol::LocatedBlock& block : reply.blocks) {
      // The open last block reaches as far as it did when the file was opened.
      const bool open = reply.last_is_open && block.offset >= reply.status.length;
      if (open && block.offset < length_) block.block.length = length_ - block.offset;
    }
    std::vector<protocol::LocatedBlock> blocks = CutTo(length_, std::move(reply.blocks));
    if (blocks.empty() || blocks.front().offset != offset) return Changed();
    return blocks;
  }

  absl::Status Changed() const {
    return MakeError(ErrorReason::kIo, absl::StrCat("Blocklist for ", path_, " has changed!"));
  }

  // False when the client is shutting down.
  bool Pause() {
    const auto woken = std::make_shared<Waiter<bool>>();
    if (runtime_->loop()->RunAt(runtime_->clock().Now() + kPause, [woken] { woken->Set(true); }) == 0) return false;
    return woken->Get();
  }

  Runtime* const runtime_;
  const std::string path_;
  OpenedFile file_;
  const uint64_t length_;
  uint64_t covered_ = 0;  // bytes of the file whose blocks were asked for
  std::deque<std::shared_ptr<BlockQuestion>> waiting_;
  FileChecksumBuilder checksum_;
};

}  // namespace

absl::StatusOr<FileChecksum> GetFileChecksum(Runtime* runtime, const std::string& path, uint64_t length) {
  DOLMEN_ASSIGN_OR_RETURN(OpenedFile file, OpenForReading(runtime, path));
  return ChecksumRun(runtime, path, std::move(file), length).Run();
}

}  // namespace dolmen::client
