// Every message of the client's protocol, both ways, and what is refused.
#include "common/rpc/convert_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "common/error.h"
#include "common/rpc/convert_types.h"
#include "common/rpc/shape.h"

namespace dolmen::rpc {
namespace {

using ::testing::HasSubstr;

protocol::Block SomeBlock() { return {BlockId(1 << 30), GenerationStamp(1001), 4711}; }

protocol::DatanodeInfo SomeDatanode() {
  return {.uuid = DatanodeUuid("3f0c0c7e-0000-4000-8000-000000000001"),
          .host_name = "dn1.example",
          .addresses = {{"default", "10.0.0.1", 7066}, {"docker", "172.17.0.2", 65535}},
          .rack = "/rack7",
          .http_port = 9864};
}

protocol::ReplicaLocation SomeLocation() {
  return {SomeDatanode(), StorageId("DS-1"), protocol::StorageType::kArchive};
}

protocol::LocatedBlock SomeLocatedBlock() {
  return {.block = SomeBlock(),
          .offset = 128 << 20,
          .corrupt = true,
          .locations = {SomeLocation(), SomeLocation()},
          .token = std::string("\0\xff token", 8)};
}

protocol::FileStatus SomeStatus() {
  return {.inode = InodeId(16386),
          .is_directory = true,
          .name = "na\xC3\xAFve",
          .length = 77,
          .permission = 01755,
          .owner = "ann",
          .group = "staff",
          .modified = {1'700'000'000'001},
          .accessed = {-1},
          .replication = 512,
          .block_bytes = 1 << 20,
          .child_count = 9,
          .under_construction = true};
}

protocol::StorageReport SomeStorage() {
  return {.id = StorageId("DS-9"),
          .type = protocol::StorageType::kSsd,
          .failed = true,
          .capacity_bytes = 100,
          .used_bytes = 30,
          .remaining_bytes = 60,
          .block_count = 5};
}

// Through ToProto, the bytes, and FromProto.
template <typename Plain>
absl::StatusOr<Plain> RoundTrip(const Plain& before) {
  const auto wire = ToProto(before);
  std::decay_t<decltype(wire)> parsed;
  EXPECT_TRUE(parsed.ParseFromString(wire.SerializeAsString()));
  return FromProto(parsed);
}

template <typename Plain>
void ExpectSurvives(const Plain& before) {
  const absl::StatusOr<Plain> after = RoundTrip(before);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_TRUE(*after == before);
}

// Changing `before` by `damage` makes it unacceptable, and the error holds `what`.
template <typename Proto>
void ExpectRefused(Proto wire, std::function<void(Proto*)> damage, const std::string& what) {
  const absl::Status intact = FromProto(wire).status();
  EXPECT_TRUE(intact.ok()) << intact;
  damage(&wire);
  const absl::Status refused = FromProto(wire).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << what;
  EXPECT_THAT(std::string(MessageOf(refused)), HasSubstr(what));
}

TEST(ConvertClientTest, MutationRequestsSurviveARoundTrip) {
  ExpectSurvives(protocol::MkdirsRequest{.path = "/a/\xC3\xA4", .permission = 01700, .create_parents = false});
  ExpectSurvives(protocol::CreateRequest{.path = "/a/b",
                                         .permission = 0600,
                                         .overwrite = true,
                                         .create_parents = false,
                                         .replication = 7,
                                         .block_bytes = 64 << 10,
                                         .holder = "client-1"});
  ExpectSurvives(protocol::AddBlockRequest{.path = "/f",
                                           .inode = InodeId(20000),
                                           .holder = "h",
                                           .previous = SomeBlock(),
                                           .excluded = {DatanodeUuid("u1"), DatanodeUuid("u2")}});
  ExpectSurvives(protocol::AddBlockRequest{.path = "/f", .inode = InodeId(20000), .holder = "h"});
  ExpectSurvives(protocol::AbandonBlockRequest{"/f", InodeId(20000), "h", SomeBlock()});
  ExpectSurvives(protocol::CompleteRequest{"/f", InodeId(20000), "h", SomeBlock()});
  ExpectSurvives(protocol::CompleteRequest{"/f", InodeId(20000), "h", std::nullopt});
  ExpectSurvives(protocol::RenameRequest{"/a", "/b", protocol::RenameKind::kOverwrite});
  ExpectSurvives(protocol::DeleteRequest{"/a", true});
  ExpectSurvives(protocol::SetAttributesRequest{"/a", 0777, "ann", "staff", WallTime{5}, WallTime{0}});
  ExpectSurvives(protocol::SetAttributesRequest{.path = "/a", .permission = 0});
  ExpectSurvives(protocol::FsyncRequest{"/f", InodeId(20000), "h"});
  ExpectSurvives(protocol::ConcatRequest{"/d/a", {"/d/b", "/d/\xC3\xA4"}});
  ExpectSurvives(protocol::ConcatRequest{.target = "/d/a"});
  ExpectSurvives(protocol::SetReplicationRequest{"/f", 7});
  ExpectSurvives(protocol::AppendRequest{"/f", "h", true, {DatanodeUuid("u1"), DatanodeUuid("u2")}});
  ExpectSurvives(protocol::AppendRequest{.path = "/f", .holder = "h"});
  ExpectSurvives(protocol::TruncateRequest{"/f", 12});
  ExpectSurvives(protocol::RecoverLeaseRequest{"/f", "client-7"});
}

TEST(ConvertClientTest, MutationRepliesSurviveARoundTrip) {
  ExpectSurvives(protocol::MkdirsReply());
  ExpectSurvives(protocol::CreateReply{SomeStatus()});
  ExpectSurvives(protocol::AddBlockReply{SomeLocatedBlock()});
  ExpectSurvives(protocol::AbandonBlockReply());
  ExpectSurvives(protocol::CompleteReply{true, SomeStatus()});
  ExpectSurvives(protocol::CompleteReply());
  ExpectSurvives(protocol::RenameReply{true});
  ExpectSurvives(protocol::DeleteReply{true});
  ExpectSurvives(protocol::SetAttributesReply());
  ExpectSurvives(protocol::FsyncReply());
  ExpectSurvives(protocol::ConcatReply());
  ExpectSurvives(protocol::SetReplicationReply{true});
  ExpectSurvives(protocol::AppendReply{SomeStatus(), SomeLocatedBlock(), GenerationStamp(1001)});
  ExpectSurvives(protocol::AppendReply{.status = SomeStatus()});
  ExpectSurvives(protocol::TruncateReply{true});
  ExpectSurvives(protocol::RecoverLeaseReply{true});
}

TEST(ConvertClientTest, QueriesSurviveARoundTrip) {
  ExpectSurvives(protocol::RenewLeaseRequest{"h"});
  ExpectSurvives(protocol::SetSafeModeRequest{protocol::SafeModeAction::kLeave});
  ExpectSurvives(protocol::ReportBadReplicaRequest{SomeBlock(), DatanodeUuid("u"), StorageId("s")});
  ExpectSurvives(protocol::GetFileInfoRequest{"/"});
  ExpectSurvives(protocol::GetListingRequest{"/d", "last", 17});
  ExpectSurvives(protocol::GetBlockLocationsRequest{"/f", 1, 2, InodeId(16385)});
  ExpectSurvives(protocol::GetBlockLocationsRequest{.path = "/f"});
  ExpectSurvives(protocol::GetFsStatsRequest());
  ExpectSurvives(protocol::GetDatanodeReportRequest());
  ExpectSurvives(protocol::GetServerDefaultsRequest());
  ExpectSurvives(protocol::GetContentSummaryRequest{"/d"});
  ExpectSurvives(protocol::IsFileClosedRequest{"/f"});
  ExpectSurvives(protocol::ListOpenFilesRequest{"/d", InodeId(16400), 7});
  ExpectSurvives(protocol::ListOpenFilesRequest());
  ExpectSurvives(protocol::CheckFilesRequest{.path = "/d"});
  ExpectSurvives(protocol::CheckFilesRequest{"/d", "/d/e/f", InodeId(20000), 7, 10, 20});
}

TEST(ConvertClientTest, QueryRepliesSurviveARoundTrip) {
  ExpectSurvives(protocol::RenewLeaseReply());
  ExpectSurvives(protocol::SetSafeModeReply{true});
  ExpectSurvives(protocol::ReportBadReplicaReply());
  ExpectSurvives(protocol::GetFileInfoReply{SomeStatus()});
  ExpectSurvives(protocol::GetFileInfoReply());
  ExpectSurvives(protocol::GetListingReply{true, {SomeStatus(), SomeStatus()}, true});
  ExpectSurvives(protocol::GetBlockLocationsReply{SomeStatus(), {SomeLocatedBlock(), SomeLocatedBlock()}, true, 77});
  ExpectSurvives(protocol::GetFsStatsReply{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, true, "two blocks are missing"});
  protocol::DatanodeReportEntry entry{.info = SomeDatanode(),
                                      .liveness = protocol::DatanodeLiveness::kDead,
                                      .storages = {SomeStorage()},
                                      .active_streams = 3,
                                      .last_heartbeat_age_ms = 900'000};
  protocol::DatanodeReportEntry reported = entry;
  reported.last_full_report_age_ms = 0;
  ExpectSurvives(protocol::GetDatanodeReportReply{{entry, reported}});
  ExpectSurvives(protocol::GetServerDefaultsReply{ClusterId("CID-1"), 1 << 27, 3, 512, 1 << 20, 60'000, "0.1.0"});
  ExpectSurvives(protocol::GetContentSummaryReply{UINT64_MAX, 2, 3, 4});
  ExpectSurvives(protocol::IsFileClosedReply{true});
  ExpectSurvives(protocol::ListOpenFilesReply{
      {{InodeId(16386), "/d/" + std::string(40'000, 'x'), "h", "10.0.0.1"}}, InodeId(16400), true});
  ExpectSurvives(protocol::ListOpenFilesReply());
  ExpectSurvives(protocol::CheckFilesReply());
  const protocol::CheckedBlock checked{SomeBlock(), true, 3, 1, 2, {{0, protocol::ReplicaCondition::kStale}}};
  ExpectSurvives(
      protocol::CheckFilesReply{true,
                                "BP-1",
                                SomeLocatedBlock().locations,
                                {{"/d", SomeStatus(), 0, {}, false}, {"/d/f", SomeStatus(), 4, {checked}, true}},
                                true});
}

TEST(ConvertClientTest, HeadersSurviveARoundTrip) {
  const CallHeader before{"ann", {std::string("0123456789abcde\0", 16), 12, 3, 11, 4500}};
  v1::CallHeader wire;
  ToProto(before, &wire);
  const absl::StatusOr<CallHeader> after = FromProto(wire);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_TRUE(*after == before);

  v1::ReplyHeader reply;
  ToProto(CommitNumber(99), &reply);
  EXPECT_EQ(*FromProto(reply), CommitNumber(99));
}

TEST(ConvertClientTest, HeadersOfTheWrongShapeAreRefused) {
  v1::CallHeader wire;
  ToProto(CallHeader{"ann", {std::string(16, 'x'), 12, 3, 11, 4500}}, &wire);
  using H = v1::CallHeader*;
  ExpectRefused<v1::CallHeader>(
      wire, [](H h) { h->clear_user(); }, "user");
  ExpectRefused<v1::CallHeader>(
      wire, [](H h) { h->set_client_id("short"); }, "client_id: has 5 bytes");
  ExpectRefused<v1::CallHeader>(
      wire, [](H h) { h->set_first_unanswered(13); }, "first_unanswered: 13");
  ExpectRefused<v1::CallHeader>(
      wire, [](H h) { h->set_age_ms(-1); }, "age_ms: -1");
}

TEST(ConvertClientTest, OnlyCallsThatChangeNothingGoWithoutACallId) {
  const CallHeader query{"ann", {}};
  v1::CallHeader wire;
  ToProto(query, &wire);
  EXPECT_TRUE(FromProto(wire).ok());
  EXPECT_EQ(CheckMutating(query).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CheckMutating({"ann", {.client_id = std::string(16, 'x')}}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(CheckMutating({"ann", {.client_id = std::string(16, 'x'), .call_id = 1}}).ok());
}

TEST(ConvertClientTest, PathsOfTheWrongShapeAreRefused) {
  const v1::MkdirsRequest wire = ToProto(protocol::MkdirsRequest{.path = "/a"});
  const auto expect_refused = [&wire](const std::string& path, const std::string& what) {
    ExpectRefused<v1::MkdirsRequest>(
        wire, [&path](v1::MkdirsRequest* r) { r->set_path(path); }, what);
  };
  expect_refused("", "path: is empty");
  expect_refused("a/b", "path: \"a/b\" is not absolute");
  expect_refused(std::string("/a\0b", 4), "NUL");
  expect_refused("/\xff", "UTF-8");
  expect_refused("/\xC0\xAF", "UTF-8");          // overlong slash
  expect_refused("/\xED\xA0\x80", "UTF-8");      // surrogate
  expect_refused("/\xF4\x90\x80\x80", "UTF-8");  // beyond U+10FFFF
  expect_refused("/" + std::string(kMaxPathBytes, 'x'), "32001 bytes");
}

TEST(ConvertClientTest, ErrorsQuoteOnlyTheBeginningOfAValue) {
  v1::MkdirsRequest wire;
  wire.set_path("x" + std::string(20'000, 'y'));
  const absl::Status refused = FromProto(wire).status();
  EXPECT_LT(refused.message().size(), 300u);
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kInvalidPath);
}

TEST(ConvertClientTest, RequestsOfTheWrongShapeAreRefused) {
  const v1::CreateRequest create = ToProto(protocol::CreateRequest{.path = "/a", .holder = "h"});
  using Create = v1::CreateRequest;
  ExpectRefused<Create>(
      create, [](Create* r) { r->set_permission(02000); }, "permission: 1024");
  ExpectRefused<Create>(
      create, [](Create* r) { r->set_replication(65536); }, "replication: 65536");
  ExpectRefused<Create>(
      create, [](Create* r) { r->set_block_bytes(kIdLimit); }, "block_bytes: 9223372036854775808");
  ExpectRefused<Create>(
      create, [](Create* r) { r->clear_holder(); }, "holder");

  const v1::AddBlockRequest add =
      ToProto(protocol::AddBlockRequest{.path = "/a", .inode = InodeId(16386), .holder = "h", .previous = SomeBlock()});
  using Add = v1::AddBlockRequest;
  ExpectRefused<Add>(
      add, [](Add* r) { r->clear_inode(); }, "inode: 0 is missing");
  ExpectRefused<Add>(
      add, [](Add* r) { r->set_inode(UINT64_MAX); }, "inode: 18446744073709551615");
  ExpectRefused<Add>(
      add, [](Add* r) { r->mutable_previous()->clear_id(); }, "previous: id");
  ExpectRefused<Add>(
      add, [](Add* r) { r->mutable_previous()->clear_stamp(); }, "previous: stamp");
  ExpectRefused<Add>(
      add, [](Add* r) { r->mutable_previous()->set_length(kIdLimit); }, "previous: length");
  ExpectRefused<Add>(
      add, [](Add* r) { r->add_excluded(""); }, "excluded");
  ExpectRefused<Add>(
      add,
      [](Add* r) {
        for (size_t i = 0; i <= kMaxExcluded; ++i) r->add_excluded("u");
      },
      "excluded: 1001");

  const v1::RenameRequest rename = ToProto(protocol::RenameRequest{"/a", "/b"});
  using Rename = v1::RenameRequest;
  ExpectRefused<Rename>(
      rename, [](Rename* r) { r->clear_kind(); }, "kind: 0");
  ExpectRefused<Rename>(
      rename, [](Rename* r) { r->set_kind(static_cast<v1::RenameKind>(4)); }, "kind: 4");
  ExpectRefused<Rename>(
      rename, [](Rename* r) { r->clear_destination(); }, "destination");

  const v1::GetListingRequest list = ToProto(protocol::GetListingRequest{.path = "/"});
  using List = v1::GetListingRequest;
  ExpectRefused<List>(
      list, [](List* r) { r->set_limit(0); }, "limit: 0");
  ExpectRefused<List>(
      list, [](List* r) { r->set_limit(1001); }, "limit: 1001");
  ExpectRefused<List>(
      list, [](List* r) { r->set_start_after("a/b"); }, "start_after");

  const v1::CheckFilesRequest check = ToProto(protocol::CheckFilesRequest{.path = "/"});
  using Check = v1::CheckFilesRequest;
  ExpectRefused<Check>(
      check, [](Check* r) { r->set_entry_limit(1001); }, "entry_limit: 1001");
  ExpectRefused<Check>(
      check, [](Check* r) { r->set_block_limit(0); }, "block_limit: 0");
  ExpectRefused<Check>(
      check, [](Check* r) { r->set_after("a"); }, "after");

  using Attributes = v1::SetAttributesRequest;
  const Attributes attributes = ToProto(protocol::SetAttributesRequest{.path = "/"});
  ExpectRefused<Attributes>(
      attributes, [](Attributes* r) { r->set_owner(""); }, "owner: is empty");
  ExpectRefused<Attributes>(
      attributes, [](Attributes* r) { r->set_permission(1 << 16); }, "permission: 65536");

  using Concat = v1::ConcatRequest;
  const Concat concat = ToProto(protocol::ConcatRequest{"/d/a", {"/d/b"}});
  ExpectRefused<Concat>(
      concat, [](Concat* r) { r->clear_target(); }, "target");
  ExpectRefused<Concat>(
      concat, [](Concat* r) { r->add_sources("b"); }, "sources");
  ExpectRefused<Concat>(
      concat,
      [](Concat* r) {
        for (size_t i = 0; i < kMaxConcatSources; ++i) r->add_sources("/d/c");
      },
      "sources: 10001");

  using Replication = v1::SetReplicationRequest;
  ExpectRefused<Replication>(
      ToProto(protocol::SetReplicationRequest{"/f", 1}), [](Replication* r) { r->set_replication(65536); },
      "replication: 65536");

  using OpenFiles = v1::ListOpenFilesRequest;
  const OpenFiles open_files = ToProto(protocol::ListOpenFilesRequest());
  ExpectRefused<OpenFiles>(
      open_files, [](OpenFiles* r) { r->set_limit(0); }, "limit: 0");
  ExpectRefused<OpenFiles>(
      open_files, [](OpenFiles* r) { r->set_after(kIdLimit); }, "after");

  using SafeMode = v1::SetSafeModeRequest;
  const SafeMode safe_mode = ToProto(protocol::SetSafeModeRequest());
  ExpectRefused<SafeMode>(
      safe_mode, [](SafeMode* r) { r->clear_action(); }, "action: 0");

  using Bad = v1::ReportBadReplicaRequest;
  const Bad bad = ToProto(protocol::ReportBadReplicaRequest{SomeBlock(), DatanodeUuid("u"), StorageId("s")});
  ExpectRefused<Bad>(
      bad, [](Bad* r) { r->clear_block(); }, "block: id");
  ExpectRefused<Bad>(
      bad, [](Bad* r) { r->clear_datanode(); }, "datanode");

  using Locations = v1::GetBlockLocationsRequest;
  const Locations locations = ToProto(protocol::GetBlockLocationsRequest{.path = "/f"});
  ExpectRefused<Locations>(
      locations, [](Locations* r) { r->set_offset(kIdLimit); }, "offset");
  ExpectRefused<Locations>(
      locations, [](Locations* r) { r->set_inode(0); }, "inode");
}

TEST(ConvertClientTest, RepliesOfTheWrongShapeAreRefused) {
  using Listing = v1::GetListingReply;
  const Listing listing = ToProto(protocol::GetListingReply{true, {SomeStatus(), SomeStatus()}, false});
  ExpectRefused<Listing>(
      listing, [](Listing* r) { r->mutable_entries(1)->clear_inode(); }, "entries[1]: inode");
  ExpectRefused<Listing>(
      listing, [](Listing* r) { r->mutable_entries(0)->set_replication(70'000); }, "entries[0]: replication: 70000");
  ExpectRefused<Listing>(
      listing,
      [](Listing* r) {
        for (size_t i = 0; i < kMaxListingEntries; ++i) *r->add_entries() = r->entries(0);
      },
      "entries: 1002");

  using AddReply = v1::AddBlockReply;
  const AddReply add = ToProto(protocol::AddBlockReply{SomeLocatedBlock()});
  const auto datanode = [](AddReply* r) { return r->mutable_block()->mutable_locations(1)->mutable_datanode(); };
  ExpectRefused<AddReply>(
      add, [&](AddReply* r) { datanode(r)->clear_uuid(); }, "block: locations[1]: datanode: uuid");
  ExpectRefused<AddReply>(
      add, [&](AddReply* r) { datanode(r)->clear_addresses(); }, "addresses");
  ExpectRefused<AddReply>(
      add, [&](AddReply* r) { datanode(r)->mutable_addresses(0)->set_port(0); }, "port: 0");
  ExpectRefused<AddReply>(
      add, [&](AddReply* r) { datanode(r)->mutable_addresses(0)->set_port(65536); }, "port");
  ExpectRefused<AddReply>(
      add, [&](AddReply* r) { datanode(r)->mutable_addresses(0)->clear_host(); }, "host");
  ExpectRefused<AddReply>(
      add, [&](AddReply* r) { datanode(r)->set_http_port(65536); }, "http_port");
  ExpectRefused<AddReply>(
      add, [](AddReply* r) { r->mutable_block()->mutable_locations(0)->set_type(static_cast<v1::StorageType>(5)); },
      "type: 5");
  ExpectRefused<AddReply>(
      add, [](AddReply* r) { r->mutable_block()->set_token(std::string(5000, 't')); }, "token");

  using Complete = v1::CompleteReply;
  const Complete closed = ToProto(protocol::CompleteReply{true, SomeStatus()});
  ExpectRefused<Complete>(
      closed, [](Complete* r) { r->clear_status(); }, "status: inode");

  using Defaults = v1::GetServerDefaultsReply;
  const Defaults defaults = ToProto(protocol::GetServerDefaultsReply{.cluster = ClusterId("CID-1")});
  ExpectRefused<Defaults>(
      defaults, [](Defaults* r) { r->clear_cluster(); }, "cluster");
  ExpectRefused<Defaults>(
      defaults, [](Defaults* r) { r->clear_checksum_type(); }, "checksum_type: 0");

  using OpenFiles = v1::ListOpenFilesReply;
  const OpenFiles open_files =
      ToProto(protocol::ListOpenFilesReply{{{InodeId(16386), "/f", "h", "host"}}, InodeId(16386), false});
  ExpectRefused<OpenFiles>(
      open_files, [](OpenFiles* r) { r->mutable_files(0)->clear_inode(); }, "files[0]: inode");
  ExpectRefused<OpenFiles>(
      open_files, [](OpenFiles* r) { r->mutable_files(0)->set_path(std::string((1 << 20) + 1, 'x')); },
      "files[0]: path");
}

}  // namespace
}  // namespace dolmen::rpc
