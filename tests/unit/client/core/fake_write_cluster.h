// A namenode and datanodes that a FileWriter is run against, for a new file or one that has blocks already: they check
// every message, store what datanodes would store, and fail where they are told to. One thread, virtual time.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "client/core/file_writer.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dolmen::client {

inline protocol::ReplicaLocation TestLocation(int number) {
  protocol::ReplicaLocation location;
  location.datanode.uuid = DatanodeUuid(absl::StrCat("uuid-", number));
  location.datanode.host_name = absl::StrCat("dn", number);
  location.datanode.addresses = {{.network = "default", .host = absl::StrCat("dn", number), .port = 7066}};
  location.storage = StorageId(absl::StrCat("storage-", number));
  return location;
}

class FakeWriteCluster {
 public:
  // What a datanode does with the setup (packet -1) or a packet (0, 1, ... within its stream).
  enum class Fault { kRefuse, kBusy, kEndStream, kSilence, kShortAck, kBadOrder, kSomebodyElse };
  struct Fail {
    Fault fault;
    int hop = 0;
  };

  struct StoredBlock {
    protocol::Block block;
    std::vector<protocol::ReplicaLocation> locations;
    std::string bytes;  // what every datanode of the pipeline has
    bool finalized = false;
    bool abandoned = false;
    uint64_t synced = 0;
    uint64_t acknowledged = 0;
  };

  explicit FakeWriteCluster(uint64_t block_bytes, WriterSettings settings = {}, int datanodes = 5)
      : datanodes_(datanodes),
        block_bytes_(block_bytes),
        writer_({.path = "/f", .inode = InodeId(20000), .holder = "me", .block_bytes = block_bytes}, settings,
                Random(7)) {}

  // A file that was closed with these blocks. `reopen`: the last one is filled up.
  FakeWriteCluster(uint64_t block_bytes, const std::vector<std::string>& before, bool reopen,
                   WriterSettings settings = {}, int datanodes = 5)
      : datanodes_(datanodes),
        block_bytes_(block_bytes),
        blocks_(StoreBefore(before, reopen)),
        writer_(FileBefore(blocks_, block_bytes, reopen), settings, Random(7)),
        first_written_(before.size() - (reopen ? 1 : 0)) {}

  // ---- the application

  void Add(std::optional<BuiltPacket> packet) {
    if (!packet.has_value()) return;
    while (!writer_.HasRoom() && writer_.status().ok()) {
      ASSERT_TRUE(RunOne()) << "the window never opens";
    }
    Step(write_event::AddPacket{*std::move(packet)});
  }
  // Runs until the operation is answered.
  absl::Status Run(uint64_t operation) {
    while (!answers_.contains(operation)) {
      if (!RunOne()) return absl::InternalError("nothing is left to do, and no answer");
    }
    return answers_.at(operation);
  }
  absl::Status Flush() {
    Step(write_event::Flush{++operation_});
    return Run(operation_);
  }
  write_action::OperationDone Reopen() {
    Step(write_event::Reopen{++operation_});
    Run(operation_).IgnoreError();
    return {operation_, answers_.at(operation_), culprits_[operation_]};
  }
  absl::Status Close() {
    Step(write_event::Close{++operation_});
    return Run(operation_);
  }
  void Step(WriteEvent event) {
    for (WriteAction& action : writer_.Step(std::move(event), now_)) {
      std::visit([this](auto& one) { Do(one); }, action);
    }
  }
  // Delivers the next message; when there is none, lets time pass to the wake-up. False: neither.
  bool RunOne() {
    if (!pending_.empty()) {
      WriteEvent event = std::move(pending_.front());
      pending_.pop_front();
      Step(std::move(event));
      return true;
    }
    if (!wake_.has_value()) return false;
    now_ = std::max(now_, *wake_);
    wake_.reset();
    Step(write_event::Tick{});
    return true;
  }

  // ---- what is there

  // Bytes of the file: the blocks that were not abandoned, in order.
  std::string Contents() const {
    std::string all;
    for (const StoredBlock& block : blocks_) {
      if (!block.abandoned) all += block.bytes;
    }
    return all;
  }
  int Count(const std::string& call) const { return static_cast<int>(std::count(calls_.begin(), calls_.end(), call)); }

  std::function<std::optional<Fail>(uint64_t stream, int packet)> fail = [](uint64_t, int) { return std::nullopt; };
  // Answers instead of the namenode: by name and how many of that name came before.
  std::function<std::optional<absl::StatusOr<protocol::MutationReply>>(const std::string& call, int before)> answer =
      [](const std::string&, int) { return std::nullopt; };

  int datanodes_;
  const uint64_t block_bytes_;
  MonotonicTime now_{std::chrono::hours(1)};
  std::vector<StoredBlock> blocks_;
  FileWriter writer_;
  std::vector<std::string> calls_;
  std::set<DatanodeUuid> last_excluded_;
  std::vector<uint64_t> expected_bytes_;
  bool closed_ = false;
  size_t most_in_flight_ = 0;
  std::map<uint64_t, absl::Status> answers_;
  std::map<uint64_t, std::optional<DatanodeUuid>> culprits_;

  static constexpr GenerationStamp kStampBefore{900};

 private:
  static std::vector<StoredBlock> StoreBefore(const std::vector<std::string>& before, bool reopen) {
    std::vector<StoredBlock> blocks;
    for (const std::string& bytes : before) {
      StoredBlock stored;
      stored.block = {.id = BlockId((1 << 29) + 16 * blocks.size()), .stamp = kStampBefore, .length = bytes.size()};
      stored.locations = {TestLocation(1), TestLocation(2), TestLocation(3)};
      stored.bytes = bytes;
      stored.acknowledged = bytes.size();
      stored.finalized = true;
      blocks.push_back(std::move(stored));
    }
    if (reopen) blocks.back().block.stamp = GenerationStamp(1000);
    return blocks;
  }
  static WriterFile FileBefore(const std::vector<StoredBlock>& blocks, uint64_t block_bytes, bool reopen) {
    WriterFile file{.path = "/f", .inode = InodeId(20000), .holder = "me", .block_bytes = block_bytes};
    for (const StoredBlock& stored : blocks) file.length += stored.bytes.size();
    if (!reopen) return file;
    const StoredBlock& last = blocks.back();
    file.last = {.block = {.block = last.block,
                           .offset = file.length - last.bytes.size(),
                           .locations = last.locations,
                           .token = "token"},
                 .stamp_before = kStampBefore};
    return file;
  }

  struct Stream {
    size_t block = 0;
    uint64_t next_sequence = 0;
    bool closed = false;
    bool silent = false;
    size_t in_flight = 0;
  };

  void Do(write_action::CallNamenode& action) {
    static constexpr const char* kNames[] = {"mkdirs", "create", "addBlock",      "abandonBlock", "complete",
                                             "rename", "delete", "setAttributes", "fsync"};
    const std::string name = kNames[action.request.index()];
    const int before = Count(name);
    calls_.push_back(name);
    std::optional<absl::StatusOr<protocol::MutationReply>> scripted = answer(name, before);
    pending_.push_back(write_event::NamenodeAnswer{
        action.tag, scripted.has_value() ? *std::move(scripted)
                                         : std::visit([this](auto& one) { return Answer(one); }, action.request)});
  }
  absl::StatusOr<protocol::MutationReply> Answer(const protocol::AddBlockRequest& request) {
    EXPECT_FALSE(closed_);
    CheckPrevious(request.previous);
    last_excluded_ = {request.excluded.begin(), request.excluded.end()};
    StoredBlock stored;
    stored.block = {.id = BlockId((1 << 30) + 16 * blocks_.size()), .stamp = GenerationStamp(1001 + blocks_.size())};
    for (int i = 1; i <= datanodes_ && stored.locations.size() < 3; ++i) {
      if (!last_excluded_.contains(TestLocation(i).datanode.uuid)) stored.locations.push_back(TestLocation(i));
    }
    if (stored.locations.empty()) return MakeError(ErrorReason::kNoDatanodes, "all are excluded");
    blocks_.push_back(stored);
    return protocol::AddBlockReply{.block = {.block = stored.block, .locations = stored.locations, .token = "token"}};
  }
  absl::StatusOr<protocol::MutationReply> Answer(const protocol::AbandonBlockRequest& request) {
    EXPECT_EQ(request.block.id, blocks_.back().block.id);
    EXPECT_TRUE(blocks_.size() > first_written_ && blocks_.back().block.length == 0) << "it held bytes before";
    blocks_.back().abandoned = true;
    return protocol::AbandonBlockReply{};
  }
  absl::StatusOr<protocol::MutationReply> Answer(const protocol::CompleteRequest& request) {
    CheckPrevious(request.last);
    closed_ = true;
    return protocol::CompleteReply{.closed = true, .status = {.length = Contents().size()}};
  }
  absl::StatusOr<protocol::MutationReply> Answer(const protocol::FsyncRequest&) { return protocol::FsyncReply{}; }
  template <typename Other>
  absl::StatusOr<protocol::MutationReply> Answer(const Other&) {
    ADD_FAILURE() << "a writer does not ask for that";
    return absl::InternalError("");
  }
  void CheckPrevious(const std::optional<protocol::Block>& previous) {
    const StoredBlock* last = nullptr;  // of those the writer had in hand
    for (size_t i = first_written_; i < blocks_.size(); ++i) {
      if (!blocks_[i].abandoned) last = &blocks_[i];
    }
    ASSERT_EQ(previous.has_value(), last != nullptr);
    if (last == nullptr) return;
    EXPECT_EQ(previous->id, last->block.id);
    EXPECT_EQ(previous->stamp, last->block.stamp);
    EXPECT_EQ(previous->length, last->bytes.size());
    EXPECT_TRUE(last->finalized);
  }

  void Do(write_action::OpenStream& action) {
    ASSERT_FALSE(streams_.contains(action.stream));
    ASSERT_FALSE(blocks_.empty());
    StoredBlock& block = blocks_.back();
    EXPECT_EQ(action.setup.block, block.block);
    const bool reopened = blocks_.size() - 1 == first_written_ && block.finalized;
    EXPECT_EQ(action.setup.append_to, reopened ? std::optional(kStampBefore) : std::nullopt);
    block.finalized = false;
    EXPECT_EQ(action.target, block.locations.front());
    EXPECT_EQ(action.setup.downstream.size() + 1, block.locations.size());
    EXPECT_EQ(action.setup.token, "token");
    EXPECT_LE(action.setup.expected_bytes, block_bytes_);
    expected_bytes_.push_back(action.setup.expected_bytes);
    streams_[action.stream].block = blocks_.size() - 1;
    Respond(action.stream, -1, protocol::kSetupAck);
  }
  void Do(write_action::SendPacket& action) {
    Stream& stream = streams_.at(action.stream);
    ASSERT_FALSE(stream.closed);
    StoredBlock& block = blocks_[stream.block];
    const protocol::Packet& packet = action.packet;
    ASSERT_EQ(packet.sequence, stream.next_sequence++);
    ASSERT_FALSE(block.finalized) << "a packet after the last";
    ASSERT_EQ(packet.offset % 512, 0U);
    ASSERT_LE(packet.offset, block.bytes.size());
    ASSERT_GE(packet.EndOffset(), block.bytes.size());
    ASSERT_LE(packet.EndOffset(), block_bytes_);
    ASSERT_LE(packet.EndOffset(), expected_bytes_.back());
    ASSERT_LT(block.bytes.size() - packet.offset, 512U) << "only the partial chunk may come again";
    ASSERT_EQ(FirstBadChunk(packet.payload, packet.checksums), -1);
    ASSERT_LE(packet.visible_length, block.acknowledged);
    const std::string payload(packet.payload);
    const std::string overlap = block.bytes.substr(packet.offset);
    ASSERT_EQ(payload.substr(0, overlap.size()), overlap);
    block.bytes.replace(packet.offset, std::string::npos, payload);
    if (packet.sync) block.synced = block.bytes.size();
    most_in_flight_ = std::max(most_in_flight_, ++stream.in_flight);
    const std::optional<Fail> failure = fail(action.stream, static_cast<int>(packet.sequence));
    if (packet.last && !failure.has_value() && !stream.silent) block.finalized = true;
    Respond(action.stream, static_cast<int>(packet.sequence), packet.sequence);
    if (!failure.has_value() && !stream.silent) block.acknowledged = block.bytes.size();
  }
  void Respond(uint64_t id, int packet, uint64_t sequence) {
    Stream& stream = streams_.at(id);
    if (stream.silent) return;
    const StoredBlock& block = blocks_[stream.block];
    protocol::Ack ack;
    ack.sequence = sequence;
    for (const auto& location : block.locations)
      ack.hops.push_back({.datanode = location.datanode.uuid, .status = absl::OkStatus()});
    if (const std::optional<Fail> failure = fail(id, packet); failure.has_value()) {
      stream.silent = true;  // nothing good comes after a failure
      switch (failure->fault) {
        case Fault::kRefuse:
          ack.hops[failure->hop].status = MakeError(ErrorReason::kNoSpace, "the disk is full");
          break;
        case Fault::kBusy:
          ack.hops[failure->hop].status = MakeError(ErrorReason::kBusy, "too many streams");
          break;
        case Fault::kEndStream:
          pending_.push_back(write_event::StreamEnded{id, absl::UnavailableError("connection reset")});
          return;
        case Fault::kSilence:
          return;
        case Fault::kShortAck:
          ack.hops.pop_back();
          break;
        case Fault::kBadOrder:
          ack.sequence = sequence + 1;
          break;
        case Fault::kSomebodyElse:
          ack.hops[failure->hop].datanode = DatanodeUuid("uuid-of-another");
          break;
      }
    }
    if (packet >= 0) --stream.in_flight;
    pending_.push_back(write_event::AckArrived{id, std::move(ack)});
  }
  void Do(const write_action::CloseStream& action) {
    Stream& stream = streams_.at(action.stream);
    EXPECT_FALSE(stream.closed);
    stream.closed = true;
    EXPECT_EQ(action.cancel, !blocks_[stream.block].finalized);
    // What a real stream still says after it was closed must not matter.
    pending_.push_back(write_event::StreamEnded{action.stream, absl::CancelledError("closed")});
  }
  void Do(const write_action::WakeAt& action) { wake_ = action.at; }
  void Do(const write_action::OperationDone& action) {
    EXPECT_FALSE(answers_.contains(action.operation));
    answers_[action.operation] = action.status;
    culprits_[action.operation] = action.culprit;
  }

  const size_t first_written_ = 0;  // index of the first block that is the writer's
  uint64_t operation_ = 0;
  std::deque<WriteEvent> pending_;
  std::optional<MonotonicTime> wake_;
  std::map<uint64_t, Stream> streams_;
};

// A writer and the builder in front of it, as the output stream puts them together.
class Application {
 public:
  static constexpr uint32_t kPacketBytes = 1024;

  explicit Application(FakeWriteCluster* cluster, uint32_t packet_bytes = kPacketBytes, PacketStart start = {})
      : cluster_(cluster), builder_(cluster->block_bytes_, packet_bytes, &memory_, std::move(start)) {}

  void Write(std::string_view bytes) {
    written_ += bytes;
    while (!bytes.empty()) cluster_->Add(builder_.Append(&bytes));
  }
  absl::Status Flush(bool sync = false) {
    cluster_->Add(builder_.Flush(sync));
    return cluster_->Flush();
  }
  absl::Status Close() {
    cluster_->Add(builder_.Finish());
    return cluster_->Close();
  }
  const std::string& written() const { return written_; }
  uint64_t position() const { return builder_.position(); }

 private:
  FakeWriteCluster* cluster_;
  HeapPacketMemory memory_;
  PacketBuilder builder_;
  std::string written_;
};

}  // namespace dolmen::client
