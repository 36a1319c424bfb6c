// Hops of a write pipeline in a row, without threads or sockets.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/crc32c.h"
#include "common/error.h"
#include "datanode/core/pipeline_hop.h"

namespace dolmen::datanode {

using protocol::Ack;
using protocol::Packet;
using protocol::WriteSetup;

inline const TokenKey kKey{.id = 1, .secret = std::string(32, 'k')};
inline constexpr WallTime kWall{1'700'000'000'000};

inline DatanodeUuid Uuid(size_t hop) { return DatanodeUuid("dn" + std::to_string(hop)); }
inline std::string Bytes(uint64_t length) {
  std::string bytes(length, '\0');
  for (uint64_t i = 0; i < length; ++i) bytes[i] = static_cast<char>(i * 31 + i / 512);
  return bytes;
}

inline Packet MakePacket(uint64_t sequence, uint64_t from, uint64_t to) {
  Packet packet{.sequence = sequence, .offset = from - from % 512};
  const std::string bytes = Bytes(to).substr(packet.offset);
  if (to > from) {
    AppendChunkChecksums(std::string_view(bytes), &packet.checksums);
    packet.payload = absl::Cord(bytes);
  } else {
    packet.offset = from;
  }
  return packet;
}

inline WriteSetup MakeSetup(size_t hops, bool is_copy = false) {
  WriteSetup setup{
      .block = {.id = BlockId(1 << 30), .stamp = GenerationStamp(1001)}, .is_copy = is_copy, .expected_bytes = 1 << 20};
  setup.token = MintToken(kKey, {.user = "u",
                                 .block = setup.block.id,
                                 .accesses = static_cast<uint8_t>(is_copy ? BlockAccess::kCopy : BlockAccess::kWrite),
                                 .expires = {kWall.ms + 1000}});
  for (size_t i = 1; i < hops; ++i) {
    setup.downstream.push_back({.datanode = {.uuid = Uuid(i), .addresses = {{"default", "host", 1}}}});
  }
  return setup;
}

// The disk of one hop: keeps what was written, fails where told.
struct FakeDisk {
  bool open = false;
  bool ever_open = false;
  bool discarded = false;
  bool finalized = false;
  bool durable = false;
  std::string bytes;
  uint64_t synced = 0;
  uint64_t visible = 0;
  absl::Status open_status, write_status, finalize_status;
  bool silent = false;  // answers nothing
};

// Hops in a row, with every message delivered at once and in order, or lost where a link is cut.
class Chain {
 public:
  explicit Chain(size_t hops, HopOptions options = {}) : disks_(hops), cut_(hops + 1, false) {
    keys_.Add(kKey);
    for (size_t i = 0; i < hops; ++i) {
      options.self = Uuid(i);
      hops_.emplace_back(options);
    }
  }

  FakeDisk& disk(size_t i) { return disks_[i]; }
  PipelineHop& hop(size_t i) { return hops_[i]; }
  const std::vector<Ack>& acks() const { return acks_; }
  const std::optional<absl::Status>& finished() const { return finished_; }
  const std::vector<protocol::ReportedReplica>& reports() const { return reports_; }
  // Nothing goes over the link before this hop any more (0: the client's).
  void Cut(size_t before) { cut_[before] = true; }

  void Send(WriteSetup setup) { Step(0, hop_event::SetupReceived{std::move(setup), keys_, kWall}); }
  void Send(Packet packet) { Step(0, hop_event::PacketReceived{std::move(packet)}); }
  void EndUpstream(absl::Status status = absl::OkStatus()) { Step(0, hop_event::UpstreamEnded{std::move(status)}); }
  // Streams without error from 0 to `length` in packets of 1000 bytes, then closes.
  void WriteAll(uint64_t length) {
    uint64_t sequence = 0;
    for (uint64_t at = 0; at < length; at += 1000) Send(MakePacket(sequence++, at, std::min(length, at + 1000)));
    Packet last = MakePacket(sequence, length, length);
    last.last = true;
    Send(std::move(last));
  }
  // Lets time pass to the next deadline of any hop; false when none waits.
  bool PassTime() {
    std::optional<MonotonicTime> next;
    for (const PipelineHop& hop : hops_) {
      const auto at = hop.NextDeadline();
      if (at.has_value() && (!next.has_value() || *at < *next)) next = at;
    }
    if (!next.has_value()) return false;
    now_ = std::max(now_, *next);
    for (size_t i = 0; i < hops_.size(); ++i) Step(i, hop_event::Tick{});
    return true;
  }

  void Step(size_t i, HopEvent event) {
    for (HopAction& action : hops_[i].Step(std::move(event), now_)) {
      std::visit([&](auto& one) { Do(i, one); }, action);
    }
    if (running_) return;
    running_ = true;
    while (!queue_.empty()) {
      auto next = std::move(queue_.front());
      queue_.pop_front();
      next();
    }
    running_ = false;
  }

 private:
  void Later(size_t i, HopEvent event) {
    queue_.push_back([this, i, event = std::move(event)] { Step(i, event); });
  }
  void Do(size_t i, hop_action::OpenLocal& open) {
    FakeDisk& disk = disks_[i];
    EXPECT_FALSE(disk.open);
    if (disk.silent) return;
    disk.open = disk.ever_open = disk.open_status.ok();
    if (!disk.open_status.ok()) return Later(i, hop_event::LocalOpened{disk.open_status});
    if (open.append_to.has_value()) {
      EXPECT_EQ(disk.bytes.size(), open.block.length);
    }
    Later(i, hop_event::LocalOpened{open.storage.is_none() ? StorageId("s") : open.storage,
                                    disk.bytes.substr(disk.bytes.size() - disk.bytes.size() % 512)});
  }
  void Do(size_t i, hop_action::ConnectDownstream& connect) {
    EXPECT_EQ(connect.target.datanode.uuid, Uuid(i + 1));
    if (!cut_[i + 1]) Later(i + 1, hop_event::SetupReceived{connect.setup, keys_, kWall});
  }
  void Do(size_t i, hop_action::SendDownstream& send) {
    if (!cut_[i + 1]) Later(i + 1, hop_event::PacketReceived{send.packet});
  }
  void Do(size_t i, hop_action::CloseDownstream& close) {
    if (cut_[i + 1]) return;
    Later(i + 1,
          hop_event::UpstreamEnded{close.cancel ? MakeError(ErrorReason::kCancelled, "cancelled") : absl::OkStatus()});
    if (close.cancel) cut_[i + 1] = true;
  }
  void Do(size_t i, hop_action::WriteLocal& write) {
    FakeDisk& disk = disks_[i];
    EXPECT_TRUE(disk.open);
    if (disk.silent) return;
    if (disk.write_status.ok()) {
      disk.bytes.resize(std::max<size_t>(disk.bytes.size(), write.packet.offset));
      disk.bytes.replace(write.packet.offset, std::string::npos, std::string(write.packet.payload));
      if (write.packet.sync) disk.synced = disk.bytes.size();
    }
    Later(i, hop_event::LocalWritten{write.packet.sequence, disk.write_status, 7});
  }
  void Do(size_t i, hop_action::SetVisible& set) {
    EXPECT_GT(set.length, disks_[i].visible);
    EXPECT_LE(set.length, disks_[i].bytes.size());
    disks_[i].visible = set.length;
  }
  void Do(size_t i, hop_action::FinalizeLocal& finalize) {
    FakeDisk& disk = disks_[i];
    EXPECT_TRUE(disk.open);
    disk.open = false;
    if (disk.silent) return;
    const absl::Status status = disk.write_status.ok() ? disk.finalize_status : disk.write_status;
    disk.finalized = status.ok();
    disk.durable = finalize.durable;
    Later(i, hop_event::LocalFinalized{status});
  }
  void Do(size_t i, hop_action::CloseLocal& close) {
    EXPECT_TRUE(disks_[i].open);
    disks_[i].open = false;
    disks_[i].discarded = close.discard;
  }
  void Do(size_t i, hop_action::SendUpstream& send) {
    if (i == 0) {
      acks_.push_back(send.ack);
    } else if (!cut_[i]) {
      Later(i - 1, hop_event::DownstreamAck{send.ack});
    }
  }
  void Do(size_t i, hop_action::FinishUpstream& finish) {
    if (i == 0) {
      EXPECT_FALSE(finished_.has_value());
      finished_ = finish.status;
    } else if (!cut_[i]) {
      Later(i - 1, hop_event::DownstreamEnded{finish.status});
    }
  }
  void Do(size_t, hop_action::ReportReplica& report) { reports_.push_back(report.replica); }

  std::vector<PipelineHop> hops_;
  std::vector<FakeDisk> disks_;
  std::vector<bool> cut_;
  TokenKeys keys_;
  MonotonicTime now_{};
  std::deque<std::function<void()>> queue_;
  bool running_ = false;
  std::vector<Ack> acks_;
  std::optional<absl::Status> finished_;
  std::vector<protocol::ReportedReplica> reports_;
};

// The one failed hop of the last ack.
inline void ExpectCulprit(const Chain& chain, size_t hop, ErrorReason reason) {
  ASSERT_FALSE(chain.acks().empty());
  const Ack& ack = chain.acks().back();
  ASSERT_FALSE(ack.ok());
  for (size_t i = 0; i < ack.hops.size(); ++i) {
    if (ack.hops[i].status.ok()) continue;
    EXPECT_EQ(ack.hops[i].datanode, Uuid(hop));
    EXPECT_EQ(i, hop);
    EXPECT_EQ(ReasonOf(ack.hops[i].status), reason) << ack.hops[i].status;
    break;
  }
  ASSERT_TRUE(chain.finished().has_value());
  EXPECT_EQ(ReasonOf(*chain.finished()), reason) << *chain.finished();
}

}  // namespace dolmen::datanode
