// Appends through a pipeline, and recoveries that end its streams.
#include "tests/unit/datanode/core/hop_chain.h"

namespace dolmen::datanode {
namespace {

using namespace std::chrono_literals;

WriteSetup MakeAppend(size_t hops, uint64_t length) {
  WriteSetup setup = MakeSetup(hops);
  setup.block.length = length;
  setup.append_to = GenerationStamp(1000);
  return setup;
}

TEST(PipelineHopAppendTest, AnAppendGoesOnInThePartialChunk) {
  for (const uint64_t length : {0, 700, 1024}) {
    Chain chain(3);
    for (size_t i = 0; i < 3; ++i) chain.disk(i).bytes = Bytes(length);
    chain.Send(MakeAppend(3, length));
    ASSERT_EQ(chain.acks().size(), 1u);
    ASSERT_TRUE(chain.acks()[0].ok());
    EXPECT_EQ(chain.hop(0).visible_length(), length);
    chain.Send(MakePacket(0, length, length + 100));
    chain.Send(MakePacket(1, length + 100, length + 2000));
    Packet last = MakePacket(2, length + 2000, length + 2000);
    last.last = true;
    chain.Send(last);
    ASSERT_TRUE(chain.finished().has_value());
    EXPECT_TRUE(chain.finished()->ok()) << *chain.finished();
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(chain.disk(i).bytes, Bytes(length + 2000));
      EXPECT_TRUE(chain.disk(i).finalized);
    }
    EXPECT_EQ(chain.reports()[0].block.length, length + 2000);
  }
}

TEST(PipelineHopAppendTest, WhatWasDurableBeforeStaysSo) {
  WriteSetup setup = MakeAppend(2, 700);
  setup.sync_on_close = false;
  Chain chain(2);
  for (size_t i = 0; i < 2; ++i) chain.disk(i).bytes = Bytes(700);
  chain.Send(setup);
  Packet last = MakePacket(0, 700, 900);
  last.last = true;
  chain.Send(last);
  ASSERT_TRUE(chain.finished().has_value() && chain.finished()->ok());
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(chain.disk(i).durable);
}

TEST(PipelineHopAppendTest, AnAppendThatChangesOrLeavesOutBytesIsRefused) {
  std::string other = Bytes(800).substr(512);
  other[0] ^= 1;
  Packet changed{.offset = 512};
  AppendChunkChecksums(std::string_view(other), &changed.checksums);
  changed.payload = absl::Cord(other);
  for (const Packet& packet : {changed, MakePacket(0, 0, 800), MakePacket(0, 1024, 1100), MakePacket(0, 512, 600)}) {
    Chain chain(1);
    chain.disk(0).bytes = Bytes(700);
    chain.Send(MakeAppend(1, 700));
    chain.Send(packet);
    ExpectCulprit(chain, 0, ErrorReason::kIllegalArgument);
    EXPECT_EQ(chain.disk(0).bytes, Bytes(700));
    EXPECT_FALSE(chain.disk(0).discarded);
  }
}

TEST(PipelineHopAppendTest, AnAppendThatOneHopRefusesIsLeftToRecoveryByTheOthers) {
  for (size_t culprit = 0; culprit < 3; ++culprit) {
    Chain chain(3);
    for (size_t i = 0; i < 3; ++i) chain.disk(i).bytes = Bytes(700);
    chain.disk(culprit).open_status = MakeError(ErrorReason::kStaleGenerationStamp, "another stamp");
    chain.Send(MakeAppend(3, 700));
    ExpectCulprit(chain, culprit, ErrorReason::kStaleGenerationStamp);
    size_t reopened = 0;
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_FALSE(chain.disk(i).open || chain.disk(i).discarded) << i;
      EXPECT_TRUE(chain.hop(i).Done()) << i;
      reopened += chain.disk(i).ever_open ? 1 : 0;
    }
    ASSERT_EQ(chain.reports().size(), reopened);
    for (const auto& report : chain.reports()) {
      EXPECT_EQ(report.state, protocol::ReplicaState::kBeingWritten);
      EXPECT_EQ(report.block.length, 700u);
    }
  }
}

TEST(PipelineHopAppendTest, AppendsThatMakeNoSenseAreRefusedBeforeTheDiskIsTouched) {
  WriteSetup copy = MakeSetup(1, /*is_copy=*/true);
  copy.append_to = GenerationStamp(1000);
  WriteSetup same = MakeAppend(1, 700);
  same.append_to = same.block.stamp;
  WriteSetup full = MakeAppend(1, (1 << 20) + 1);
  for (const WriteSetup& setup : {copy, same, full}) {
    Chain chain(1);
    chain.Send(setup);
    ExpectCulprit(chain, 0, ErrorReason::kIllegalArgument);
    EXPECT_FALSE(chain.disk(0).ever_open);
  }
}

hop_event::BlockFrozen Frozen(uint64_t recovery = 2000, BlockId block = BlockId(1 << 30)) {
  return {block, GenerationStamp(recovery), MakeError(ErrorReason::kRecoveryInProgress, "recovery 2000 has taken it")};
}

TEST(PipelineHopAppendTest, ARecoveryEndsTheStreamAndIsNamed) {  // C-10
  for (size_t hop = 0; hop < 3; ++hop) {
    for (const uint64_t length : {0, 900}) {
      SCOPED_TRACE(testing::Message() << "hop " << hop << " after " << length);
      Chain chain(3);
      chain.Send(MakeSetup(3));
      if (length > 0) chain.Send(MakePacket(0, 0, length));
      chain.Step(hop, Frozen());
      ExpectCulprit(chain, hop, ErrorReason::kRecoveryInProgress);
      EXPECT_NE(std::string(chain.finished()->message()).find("recovery 2000"), std::string::npos);
      EXPECT_FALSE(chain.disk(hop).open || chain.disk(hop).discarded);
      for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(chain.hop(i).Done()) << i;
      // The recovery reports this hop's replica; the others report theirs if they keep them.
      EXPECT_EQ(chain.reports().size(), length > 0 ? 2u : 0u);
    }
  }
}

TEST(PipelineHopAppendTest, ARecoveryThatIsNoticedByAWriteFirstIsTheSame) {
  Chain chain(1);
  chain.Send(MakeSetup(1));
  chain.Send(MakePacket(0, 0, 900));
  chain.disk(0).write_status = MakeError(ErrorReason::kRecoveryInProgress, "recovery 2000 has taken it");
  chain.Send(MakePacket(1, 900, 1000));
  ExpectCulprit(chain, 0, ErrorReason::kRecoveryInProgress);
  chain.Step(0, Frozen());
  EXPECT_FALSE(chain.disk(0).discarded);
  EXPECT_TRUE(chain.reports().empty());
}

TEST(PipelineHopAppendTest, ARecoveryOfSomethingElseOrTooLateChangesNothing) {
  Chain chain(2);
  chain.Step(0, Frozen());  // before the setup
  chain.Send(MakeSetup(2));
  chain.Step(0, Frozen(1001));
  chain.Step(1, Frozen(2000, BlockId(1 << 29)));
  chain.WriteAll(1000);
  ASSERT_TRUE(chain.finished().has_value());
  EXPECT_TRUE(chain.finished()->ok());
  chain.Step(0, Frozen());
  EXPECT_EQ(chain.reports().size(), 2u);

  Chain copy(1);
  copy.Send(MakeSetup(1, /*is_copy=*/true));
  copy.Step(0, Frozen());
  EXPECT_FALSE(copy.finished().has_value());
}

TEST(PipelineHopAppendTest, ARecoveryThatComesWhileTheReplicaIsBeingOpenedEndsTheSetup) {
  for (const bool append : {false, true}) {
    HopOptions options{.self = Uuid(0)};
    PipelineHop hop(options);
    TokenKeys keys;
    keys.Add(kKey);
    hop.Step(hop_event::SetupReceived{append ? MakeAppend(1, 700) : MakeSetup(1), keys, kWall}, {});
    auto actions = hop.Step(Frozen(), {});
    ASSERT_EQ(actions.size(), 2u);
    EXPECT_EQ(ReasonOf(std::get<hop_action::FinishUpstream>(actions[1]).status), ErrorReason::kRecoveryInProgress);
    EXPECT_FALSE(hop.Done());
    actions = hop.Step(hop_event::LocalOpened{StorageId("s"), std::string(188, 'x')}, {});
    ASSERT_EQ(actions.size(), 1u);
    EXPECT_FALSE(std::get<hop_action::CloseLocal>(actions[0]).discard);
    EXPECT_TRUE(hop.Done());
  }
}

}  // namespace
}  // namespace dolmen::datanode
