// Every message between datanodes and the namenode, and the small ones of the data path, both ways; what is refused.
#include "common/rpc/convert_datanode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "common/error.h"
#include "common/rpc/convert_data.h"
#include "common/rpc/shape.h"

namespace dolmen::rpc {
namespace {

using ::testing::HasSubstr;

protocol::Block SomeBlock(uint64_t number = 0) {
  return {BlockId((1 << 30) + number * kBlockIdStep), GenerationStamp(1001 + number), 4711};
}

protocol::ReplicaLocation SomeLocation() {
  return {{DatanodeUuid("dn-1"), "dn1.example", {{"default", "::1", 7066}}, "/default-rack", 9864},
          StorageId("DS-1"),
          protocol::StorageType::kRamDisk};
}

protocol::StorageReport SomeStorage() { return {StorageId("DS-9"), protocol::StorageType::kSsd, true, 100, 30, 60, 5}; }

protocol::NamenodeIdentity SomeNamenode() { return {ClusterId("CID-1"), Epoch(7), std::string("\0\x01in", 4)}; }

template <typename Plain>
void ExpectSurvives(const Plain& before) {
  const auto wire = ToProto(before);
  std::decay_t<decltype(wire)> parsed;
  ASSERT_TRUE(parsed.ParseFromString(wire.SerializeAsString()));
  const absl::StatusOr<Plain> after = FromProto(parsed);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_TRUE(*after == before);
}

template <typename Proto>
void ExpectRefused(Proto wire, std::function<void(Proto*)> damage, const std::string& what) {
  const absl::Status intact = FromProto(wire).status();
  EXPECT_TRUE(intact.ok()) << intact;
  damage(&wire);
  const absl::Status refused = FromProto(wire).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << what;
  EXPECT_THAT(std::string(MessageOf(refused)), HasSubstr(what));
}

protocol::FullReportSlice SomeSlice() {
  return {.datanode = DatanodeUuid("dn-1"),
          .session = 4,
          .storage = StorageId("DS-1"),
          .round = 2,
          .slice_index = 5,
          .is_last = true,
          .first_id = SomeBlock(0).id,
          .last_id = BlockId(kIdLimit - 1),
          .replicas = {{SomeBlock(0), protocol::ReplicaState::kFinalized},
                       {SomeBlock(1), protocol::ReplicaState::kBeingWritten}}};
}

TEST(ConvertDatanodeTest, EveryMessageSurvivesARoundTrip) {
  protocol::RegisterRequest registration{.protocol_version = 3,
                                         .cluster = ClusterId("CID-1"),
                                         .info = SomeLocation().datanode,
                                         .storages = {SomeStorage(), SomeStorage()},
                                         .highest_epoch = Epoch(6),
                                         .highest_incarnation = "inc",
                                         .seen = {SomeBlock().id, GenerationStamp(1002)},
                                         .bound = {SomeBlock(7).id, GenerationStamp(2002)}};
  ExpectSurvives(registration);
  registration.cluster.reset();
  ExpectSurvives(registration);
  ExpectSurvives(protocol::RegisterReply{SomeNamenode(), 9, 2, std::string(32, '\xee'), 3000, 3'600'000, WallTime{77}});
  ExpectSurvives(protocol::HeartbeatRequest{DatanodeUuid("dn-1"), 9, {SomeStorage()}, 3, 1});
  ExpectSurvives(protocol::HeartbeatReply{
      SomeNamenode(),
      true,
      {protocol::DeleteReplicasCommand{StorageId("DS-1"), {SomeBlock(0), SomeBlock(1)}},
       protocol::CopyReplicaCommand{SomeBlock(), {SomeLocation(), SomeLocation()}, std::string("\0t", 2)},
       protocol::VerifyReplicaCommand{StorageId("DS-2"), SomeBlock()}, protocol::SendFullReportCommand(),
       protocol::FreezeReplicaCommand{StorageId("DS-3"), SomeBlock(1).id, GenerationStamp(2001)},
       protocol::FinishRecoveryCommand{StorageId("DS-3"), SomeBlock(1)},
       protocol::CopyPrefixCommand{StorageId("DS-4"), SomeBlock(2), SomeBlock(3)}}});
  protocol::IncrementalReportRequest incremental{.datanode = DatanodeUuid("dn-1"), .session = 9};
  for (int state = 1; state <= 5; ++state) {
    incremental.entries.push_back({StorageId("DS-1"), {SomeBlock(), static_cast<protocol::ReplicaState>(state)}});
  }
  incremental.entries.push_back(
      {StorageId("DS-1"), {SomeBlock(), protocol::ReplicaState::kBeingWritten, GenerationStamp(2001), true}});
  ExpectSurvives(incremental);
  ExpectSurvives(SomeSlice());
  ExpectSurvives(protocol::ReportReply{SomeNamenode(), true});
}

TEST(ConvertDatanodeTest, MessagesOfTheWrongShapeAreRefused) {
  using Register = v1::RegisterRequest;
  const Register registration = ToProto(protocol::RegisterRequest{.info = SomeLocation().datanode});
  ExpectRefused<Register>(
      registration, [](Register* r) { r->mutable_info()->clear_uuid(); }, "info: uuid: is empty");
  ExpectRefused<Register>(
      registration, [](Register* r) { r->clear_info(); }, "info: uuid");
  ExpectRefused<Register>(
      registration, [](Register* r) { r->set_cluster(""); }, "cluster");
  ExpectRefused<Register>(
      registration, [](Register* r) { r->set_seen_block(kIdLimit); }, "seen_block");
  ExpectRefused<Register>(
      registration, [](Register* r) { r->set_stamp_bound(kIdLimit); }, "stamp_bound");
  ExpectRefused<Register>(
      registration,
      [](Register* r) {
        for (size_t i = 0; i <= kMaxStorages; ++i) r->add_storages();
      },
      "storages: 257");

  using Heartbeat = v1::HeartbeatRequest;
  const Heartbeat heartbeat = ToProto(protocol::HeartbeatRequest{DatanodeUuid("dn-1"), 9, {SomeStorage()}});
  ExpectRefused<Heartbeat>(
      heartbeat, [](Heartbeat* r) { r->clear_datanode(); }, "datanode: is empty");
  ExpectRefused<Heartbeat>(
      heartbeat, [](Heartbeat* r) { r->mutable_storages(0)->clear_id(); }, "storages[0]: id");
  ExpectRefused<Heartbeat>(
      heartbeat, [](Heartbeat* r) { r->mutable_storages(0)->clear_type(); }, "type: 0");
  ExpectRefused<Heartbeat>(
      heartbeat, [](Heartbeat* r) { r->mutable_storages(0)->set_capacity_bytes(UINT64_MAX); }, "capacity_bytes");

  using Answer = v1::HeartbeatReply;
  const Answer answer = ToProto(protocol::HeartbeatReply{.namenode = SomeNamenode()});
  ExpectRefused<Answer>(
      answer, [](Answer* r) { r->clear_namenode(); }, "namenode: cluster");
  ExpectRefused<Answer>(
      answer, [](Answer* r) { r->mutable_namenode()->clear_epoch(); }, "namenode: epoch");
  ExpectRefused<Answer>(
      answer, [](Answer* r) { r->mutable_namenode()->clear_incarnation(); }, "incarnation");
  ExpectRefused<Answer>(
      answer, [](Answer* r) { r->add_commands(); }, "commands[0]: command");
  ExpectRefused<Answer>(
      answer, [](Answer* r) { r->add_commands()->mutable_copy_replica(); }, "commands[0]: copy_replica: block: id");
  ExpectRefused<Answer>(
      answer, [](Answer* r) { r->add_commands()->mutable_delete_replicas(); }, "storage");
  ExpectRefused<Answer>(
      answer, [](Answer* r) { r->add_commands()->mutable_freeze_replica(); }, "freeze_replica: storage");
  ExpectRefused<Answer>(
      answer,
      [](Answer* r) {
        v1::FreezeReplicaCommand* freeze = r->add_commands()->mutable_freeze_replica();
        freeze->set_storage("DS-1");
        freeze->set_block(1);
      },
      "freeze_replica: recovery");
  ExpectRefused<Answer>(
      answer, [](Answer* r) { r->add_commands()->mutable_finish_recovery()->set_storage("DS-1"); },
      "finish_recovery: block: id");
  ExpectRefused<Answer>(
      answer, [](Answer* r) { r->add_commands()->mutable_copy_prefix()->set_storage("DS-1"); },
      "copy_prefix: source: id");

  using Incremental = v1::IncrementalReportRequest;
  const Incremental incremental = ToProto(protocol::IncrementalReportRequest{
      DatanodeUuid("dn-1"), 1, {{StorageId("DS-1"), {SomeBlock(), protocol::ReplicaState::kDeleted}}}});
  ExpectRefused<Incremental>(
      incremental, [](Incremental* r) { r->mutable_entries(0)->mutable_replica()->clear_state(); },
      "entries[0]: replica: state: 0");
  ExpectRefused<Incremental>(
      incremental, [](Incremental* r) { r->mutable_entries(0)->clear_storage(); }, "storage");
  ExpectRefused<Incremental>(
      incremental, [](Incremental* r) { r->mutable_entries(0)->mutable_replica()->set_frozen_by(0); }, "frozen_by");
  ExpectRefused<Incremental>(
      incremental,
      [](Incremental* r) {
        for (size_t i = 0; i < kMaxReportedReplicas; ++i) *r->add_entries() = r->entries(0);
      },
      "entries: 1001");
}

TEST(ConvertDatanodeTest, SlicesOutOfOrderOrRangeAreRefused) {
  using Slice = v1::FullReportSlice;
  const Slice slice = ToProto(SomeSlice());
  ExpectRefused<Slice>(
      slice, [](Slice* s) { s->set_first_id(SomeBlock(1).id.value()); }, "entry 0");
  ExpectRefused<Slice>(
      slice, [](Slice* s) { s->set_last_id(SomeBlock(0).id.value()); }, "entry 1");
  ExpectRefused<Slice>(
      slice, [](Slice* s) { s->mutable_replicas()->SwapElements(0, 1); }, "entry 1");
  ExpectRefused<Slice>(
      slice, [](Slice* s) { *s->mutable_replicas(1) = s->replicas(0); }, "entry 1");
  ExpectRefused<Slice>(
      slice, [](Slice* s) { s->set_last_id(kIdLimit); }, "last_id");
  ExpectRefused<Slice>(
      slice, [](Slice* s) { s->set_last_id(1); }, "first_id");
}

TEST(ConvertDatanodeTest, ErrorsNeverShowKeysOrTokens) {
  const std::string secret(300, 'S');
  v1::RegisterReply reply = ToProto(protocol::RegisterReply{.namenode = SomeNamenode()});
  reply.set_token_key_secret(secret);
  const absl::Status refused = FromProto(reply).status();
  EXPECT_FALSE(refused.ok());
  EXPECT_EQ(MessageOf(refused).find("SSS"), std::string_view::npos);
}

TEST(ConvertDataTest, MessagesOfTheDataPathSurviveARoundTrip) {
  ExpectSurvives(protocol::WriteSetup{.block = SomeBlock(),
                                      .storage = StorageId("DS-1"),
                                      .downstream = {SomeLocation()},
                                      .token = std::string("\0\xff", 2),
                                      .client_name = "c",
                                      .is_copy = true,
                                      .sync_on_close = false,
                                      .expected_bytes = 1 << 27});
  ExpectSurvives(protocol::WriteSetup{.block = SomeBlock(), .append_to = GenerationStamp(1000)});
  ExpectSurvives(protocol::ReadRequest{SomeBlock(), 512, 1 << 20, "token", "c"});
  ExpectSurvives(protocol::VisibleLengthRequest{SomeBlock(), "token"});
  ExpectSurvives(protocol::VisibleLengthReply{12345});
  ExpectSurvives(protocol::BlockChecksumRequest{SomeBlock(), "token"});
  ExpectSurvives(protocol::BlockChecksumReply{512, 77, "0123456789abcdef"});
}

TEST(ConvertDataTest, AcksKeepTheCulpritAndItsReason) {
  protocol::Ack before{.sequence = protocol::kSetupAck, .storage = StorageId("DS-3")};
  before.hops.push_back({DatanodeUuid("dn-1"), absl::OkStatus(), 17});
  before.hops.push_back({DatanodeUuid("dn-2"), MakeError(ErrorReason::kNoSpace, "volume full"), 0});
  const absl::StatusOr<protocol::Ack> after = FromProto(ToProto(before));
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->sequence, protocol::kSetupAck);
  EXPECT_EQ(after->storage, StorageId("DS-3"));
  ASSERT_EQ(after->hops.size(), 2u);
  EXPECT_TRUE(after->hops[0].status.ok());
  EXPECT_EQ(after->hops[0].service_micros, 17u);
  EXPECT_EQ(after->hops[1].datanode, DatanodeUuid("dn-2"));
  EXPECT_EQ(after->hops[1].status, before.hops[1].status);
  EXPECT_FALSE(after->ok());
}

TEST(ConvertDataTest, AnAckWithAnUnknownCodeIsNotOk) {
  v1::AckFrame ack;
  ack.add_hops()->set_datanode("dn-1");
  ack.mutable_hops(0)->set_code(300);
  const absl::StatusOr<protocol::Ack> after = FromProto(ack);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->hops[0].status.code(), absl::StatusCode::kUnknown);
}

TEST(ConvertDataTest, MessagesOfTheDataPathOfTheWrongShapeAreRefused) {
  using Read = v1::ReadBlockRequest;
  const Read read = ToProto(protocol::ReadRequest{SomeBlock(), 512, 1 << 20, "token", "c"});
  ExpectRefused<Read>(
      read, [](Read* r) { r->clear_block(); }, "block: id");
  ExpectRefused<Read>(
      read, [](Read* r) { r->set_offset(kIdLimit); }, "offset");
  ExpectRefused<Read>(
      read, [](Read* r) { r->set_length(UINT64_MAX); }, "length");
  ExpectRefused<Read>(
      read, [](Read* r) { r->set_length(kIdLimit - 1); }, "offset + length");
  ExpectRefused<Read>(
      read, [](Read* r) { r->set_token(std::string(kMaxTokenBytes + 1, 't')); }, "token: 4097");

  using Setup = v1::WriteSetup;
  const Setup setup = ToProto(protocol::WriteSetup{.block = SomeBlock()});
  ExpectRefused<Setup>(
      setup, [](Setup* s) { s->set_expected_bytes(UINT64_MAX); }, "expected_bytes");
  ExpectRefused<Setup>(
      setup, [](Setup* s) { s->add_downstream(); }, "downstream[0]: datanode: uuid");
  ExpectRefused<Setup>(
      setup, [](Setup* s) { s->set_append_to(0); }, "append_to");

  using Ack = v1::AckFrame;
  ExpectRefused<Ack>(
      Ack(), [](Ack* a) { a->add_hops(); }, "hops[0]: datanode");
}

}  // namespace
}  // namespace dolmen::rpc
