#include "datanode/core/replica_copy.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>

#include "common/crc32c.h"
#include "common/error.h"

namespace dolmen::datanode {
namespace {

protocol::CopyReplicaCommand Command(uint64_t length, size_t targets = 2) {
  protocol::CopyReplicaCommand command{
      .block = {.id = BlockId(1 << 30), .stamp = GenerationStamp(1001), .length = length}, .token = "t"};
  for (size_t i = 0; i < targets; ++i) {
    command.targets.push_back({.datanode = {.uuid = DatanodeUuid("dn" + std::to_string(i))}});
  }
  return command;
}

protocol::ReadChunk Chunk(uint64_t offset, uint64_t length) {
  protocol::ReadChunk chunk{.offset = offset, .payload = absl::Cord(std::string(length, static_cast<char>(offset)))};
  AppendChunkChecksums(chunk.payload, &chunk.checksums);
  return chunk;
}

// Runs the machine against a source that reads well and targets that acknowledge everything; `change` may spoil the
// n-th event.
struct CopyRun {
  explicit CopyRun(uint64_t length, CopyOptions options = {.packet_bytes = 1024}) : copy(Command(length), options) {}

  void Go() {
    std::deque<CopyEvent> events{copy_event::Start{}};
    while (!events.empty() && steps < 1000) {
      CopyEvent event = std::move(events.front());
      events.pop_front();
      if (change) change(steps, &event);
      ++steps;
      for (CopyAction& action : copy.Step(std::move(event), MonotonicTime{})) {
        if (std::get_if<copy_action::OpenSource>(&action)) {
          events.push_back(copy_event::SourceOpened{copy.command().block.length});
        } else if (auto* connect = std::get_if<copy_action::ConnectPipeline>(&action)) {
          setup = connect->setup;
          events.push_back(copy_event::AckArrived{{.sequence = protocol::kSetupAck, .hops = {{}, {}}}});
        } else if (auto* read = std::get_if<copy_action::ReadSource>(&action)) {
          EXPECT_FALSE(finished.has_value());
          events.push_back(copy_event::ChunkRead{Chunk(read->offset, read->length)});
        } else if (auto* send = std::get_if<copy_action::SendPacket>(&action)) {
          packets.push_back(send->packet);
          if (acknowledge)
            events.push_back(copy_event::AckArrived{{.sequence = send->packet.sequence, .hops = {{}, {}}}});
        } else if (auto* close = std::get_if<copy_action::ClosePipeline>(&action)) {
          cancelled = close->cancel;
        } else if (std::get_if<copy_action::ReportCorrupt>(&action)) {
          corrupt = true;
        } else if (auto* end = std::get_if<copy_action::Finished>(&action)) {
          EXPECT_FALSE(finished.has_value());
          finished = end->status;
        }
      }
    }
  }

  ReplicaCopy copy;
  std::function<void(int, CopyEvent*)> change;
  int steps = 0;
  bool acknowledge = true;
  protocol::WriteSetup setup;
  std::vector<protocol::Packet> packets;
  std::optional<bool> cancelled;
  bool corrupt = false;
  std::optional<absl::Status> finished;
};

TEST(ReplicaCopyTest, SendsTheWholeReplicaToATemporaryPipeline) {
  for (const uint64_t length : {0, 1, 1024, 1025, 5000}) {
    CopyRun run(length);
    run.Go();
    ASSERT_TRUE(run.finished.has_value()) << length;
    EXPECT_TRUE(run.finished->ok()) << *run.finished;
    EXPECT_TRUE(run.setup.is_copy);
    EXPECT_EQ(run.setup.expected_bytes, length);
    EXPECT_EQ(run.setup.downstream.size(), 1u);
    uint64_t next = 0;
    for (const auto& packet : run.packets) {
      EXPECT_EQ(packet.offset, next);
      next = packet.EndOffset();
      EXPECT_EQ(packet.last, next == length);
      EXPECT_EQ(FirstBadChunk(packet.payload, packet.checksums), -1);
    }
    EXPECT_EQ(next, length);
    EXPECT_EQ(run.cancelled, false);
    EXPECT_TRUE(run.copy.Done());
  }
}

TEST(ReplicaCopyTest, ACorruptSourceIsReportedAndNothingOfItIsSent) {  // F-083
  CopyRun run(5000);
  run.change = [](int, CopyEvent* event) {
    if (auto* read = std::get_if<copy_event::ChunkRead>(event); read && read->chunk->offset == 2048) {
      read->chunk->checksums[0] ^= 1;
    }
  };
  run.Go();
  EXPECT_TRUE(run.corrupt);
  EXPECT_EQ(ReasonOf(*run.finished), ErrorReason::kChecksum);
  EXPECT_EQ(run.packets.size(), 2u);
  EXPECT_EQ(run.cancelled, true);
}

TEST(ReplicaCopyTest, EveryFailedStepEndsTheCopyWithOneAnswer) {  // F-025
  CopyRun good(3000);
  good.Go();
  for (int at = 0; at < good.steps; ++at) {
    CopyRun run(3000);
    run.change = [at](int step, CopyEvent* event) {
      if (step != at) return;
      const absl::Status error = MakeError(ErrorReason::kIo, "broken");
      if (auto* opened = std::get_if<copy_event::SourceOpened>(event)) opened->length = error;
      if (auto* read = std::get_if<copy_event::ChunkRead>(event)) read->chunk = error;
      if (auto* ack = std::get_if<copy_event::AckArrived>(event)) ack->ack.hops[1].status = error;
    };
    run.Go();
    ASSERT_TRUE(run.finished.has_value()) << at;
    if (at > 0) {
      EXPECT_EQ(ReasonOf(*run.finished), ErrorReason::kIo) << at;
    }
    EXPECT_FALSE(run.corrupt);
    EXPECT_TRUE(run.copy.Done());
  }
}

TEST(ReplicaCopyTest, TheWindowBoundsWhatIsInFlightAndSilenceEndsTheCopy) {
  CopyRun run(100'000, {.window_packets = 3, .packet_bytes = 1024});
  run.acknowledge = false;
  run.Go();
  EXPECT_EQ(run.packets.size(), 3u);
  ASSERT_TRUE(run.copy.NextDeadline().has_value());
  const auto actions = run.copy.Step(copy_event::Tick{}, *run.copy.NextDeadline());
  ASSERT_EQ(actions.size(), 2u);
  EXPECT_EQ(ReasonOf(std::get<copy_action::Finished>(actions[1]).status), ErrorReason::kUnreachable);
}

TEST(ReplicaCopyTest, AReplicaOfAnotherLengthIsNotCopied) {
  CopyRun run(3000);
  run.change = [](int, CopyEvent* event) {
    if (auto* opened = std::get_if<copy_event::SourceOpened>(event)) opened->length = 2999;
  };
  run.Go();
  EXPECT_EQ(ReasonOf(*run.finished), ErrorReason::kReplicaNotFound);
}

}  // namespace
}  // namespace dolmen::datanode
