#include "namenode/core/records.h"

#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "build_paths.h"
#include "common/error.h"
#include "common/random.h"
#include "gtest/gtest.h"
#include "namenode/core/commit_header.h"
#include "namenode/core/operation.h"

namespace dolmen::namenode {
namespace {

namespace p = ::dolmen::protocol;

// One record type, seen as bytes only.
struct Codec {
  std::string name;
  std::function<std::string(Random&)> random_bytes;                     // of a random record
  std::function<absl::StatusOr<std::string>(std::string_view)> recode;  // Encode(Decode(x))
};

std::string RandomText(Random& random) { return random.Bytes(random.OneIn(20) ? 300 : random.Uniform(12)); }
uint64_t RandomNumber(Random& random) { return random.Next() >> random.Uniform(64); }
WallTime RandomTime(Random& random) {
  return WallTime{static_cast<int64_t>(RandomNumber(random)) * (random.OneIn(2) ? 1 : -1)};
}
Extensions RandomExtensions(Random& random) {
  Extensions extensions;
  for (uint64_t i = random.OneIn(2) ? random.Uniform(4) : 0; i > 0; --i)
    extensions.Set(RandomNumber(random), RandomText(random));
  return extensions;
}

InodeRecord RandomInode(Random& random) {
  InodeRecord r;
  r.id = InodeId(RandomNumber(random));
  r.is_directory = random.OneIn(2);
  r.permission = static_cast<uint16_t>(RandomNumber(random));
  r.owner = RandomText(random);
  r.group = RandomText(random);
  r.modified = RandomTime(random);
  r.accessed = RandomTime(random);
  r.changed_at = CommitNumber(RandomNumber(random));
  if (r.is_directory) {
    r.child_count = RandomNumber(random);
  } else {
    r.redundancy.replicas = static_cast<uint32_t>(RandomNumber(random));
    r.block_bytes = RandomNumber(random);
    r.length = RandomNumber(random);
    r.block_count = RandomNumber(random);
    r.under_construction = random.OneIn(2);
  }
  r.extensions = RandomExtensions(random);
  return r;
}

ParentLink RandomParentLink(Random& random) {
  return {.parent = InodeId(RandomNumber(random)), .name = RandomText(random)};
}

BlockRecord RandomBlock(Random& random) {
  return {.inode = InodeId(RandomNumber(random)),
          .index = RandomNumber(random),
          .stamp = GenerationStamp(RandomNumber(random)),
          .length = RandomNumber(random),
          .state = random.OneIn(2) ? BlockState::kCommitted : BlockState::kUnderConstruction,
          .replicas_wanted = static_cast<uint32_t>(RandomNumber(random)),
          .changed_at = CommitNumber(RandomNumber(random)),
          .extensions = RandomExtensions(random)};
}

OpenRecord RandomOpen(Random& random) {
  OpenRecord r{.holder = RandomText(random), .client_host = RandomText(random)};
  for (uint64_t i = random.Uniform(4); i > 0; --i)
    r.last_pipeline.push_back({DatanodeUuid(RandomText(random)), StorageId(RandomText(random))});
  if (random.OneIn(3)) r.stamp_before_append = GenerationStamp(RandomNumber(random));
  if (random.OneIn(3)) r.recovery = GenerationStamp(RandomNumber(random));
  if (random.OneIn(3)) {
    r.truncation = OpenRecord::Truncation{.copy = BlockId(RandomNumber(random)), .length = RandomNumber(random)};
  }
  r.extensions = RandomExtensions(random);
  for (uint64_t tag = 1; tag <= 3; ++tag) r.extensions.Erase(tag);  // those of the fields above
  return r;
}

DetachedRecord RandomDetached(Random& random) {
  return {.inode = RandomInode(random), .deleted_at = RandomTime(random), .extensions = RandomExtensions(random)};
}

TotalsRecord RandomTotals(Random& random) {
  TotalsRecord r{.files = RandomNumber(random), .directories = RandomNumber(random), .bytes = RandomNumber(random)};
  for (uint64_t i = random.Uniform(4); i > 0; --i)
    r.replicated_bytes[static_cast<p::StorageType>(random.Between(1, 4))] = RandomNumber(random);
  r.extensions = RandomExtensions(random);
  return r;
}

p::FileStatus RandomFileStatus(Random& random) {
  return {.inode = InodeId(RandomNumber(random)),
          .is_directory = random.OneIn(2),
          .name = RandomText(random),
          .length = RandomNumber(random),
          .permission = static_cast<uint16_t>(RandomNumber(random)),
          .owner = RandomText(random),
          .group = RandomText(random),
          .modified = RandomTime(random),
          .accessed = RandomTime(random),
          .replication = static_cast<uint16_t>(RandomNumber(random)),
          .block_bytes = RandomNumber(random),
          .child_count = static_cast<uint32_t>(RandomNumber(random)),
          .under_construction = random.OneIn(2)};
}

p::LocatedBlock RandomLocatedBlock(Random& random) {
  p::LocatedBlock located{
      .block = {BlockId(RandomNumber(random)), GenerationStamp(RandomNumber(random)), RandomNumber(random)},
      .offset = RandomNumber(random),
      .corrupt = random.OneIn(2)};
  for (uint64_t i = random.Uniform(4); i > 0; --i) {
    p::ReplicaLocation location;
    location.datanode.uuid = DatanodeUuid(RandomText(random));
    location.datanode.host_name = RandomText(random);
    for (uint64_t a = random.Uniform(3); a > 0; --a)
      location.datanode.addresses.push_back(
          {RandomText(random), RandomText(random), static_cast<uint16_t>(random.Next())});
    location.datanode.rack = RandomText(random);
    location.datanode.http_port = static_cast<uint16_t>(random.Next());
    location.storage = StorageId(RandomText(random));
    location.type = static_cast<p::StorageType>(random.Between(1, 4));
    located.locations.push_back(std::move(location));
  }
  located.token = RandomText(random);
  return located;
}

Answer RandomAnswer(Random& random) {
  switch (random.Uniform(16)) {
    case 0:
      return p::MutationReply(p::MkdirsReply{});
    case 1:
      return p::MutationReply(p::CreateReply{RandomFileStatus(random)});
    case 2:
      return p::MutationReply(p::AddBlockReply{RandomLocatedBlock(random)});
    case 3:
      return p::MutationReply(p::AbandonBlockReply{});
    case 4:
      return p::MutationReply(p::CompleteReply{random.OneIn(2), RandomFileStatus(random)});
    case 5:
      return p::MutationReply(p::RenameReply{random.OneIn(2)});
    case 6:
      return p::MutationReply(p::DeleteReply{random.OneIn(2)});
    case 7:
      return p::MutationReply(p::SetAttributesReply{});
    case 8:
      return p::MutationReply(p::FsyncReply{});
    case 9:
      return p::MutationReply(p::ConcatReply{});
    case 10:
      return p::MutationReply(p::SetReplicationReply{random.OneIn(2)});
    case 11:
      return p::MutationReply(p::AppendReply{.status = RandomFileStatus(random)});
    case 12:
      return p::MutationReply(p::AppendReply{.status = RandomFileStatus(random),
                                             .last = RandomLocatedBlock(random),
                                             .last_stamp = GenerationStamp(RandomNumber(random))});
    case 13:
      return p::MutationReply(p::TruncateReply{random.OneIn(2)});
    case 14:
      return p::MutationReply(p::RecoverLeaseReply{random.OneIn(2)});
    default:
      return MakeError(static_cast<absl::StatusCode>(random.Between(1, 16)),
                       static_cast<ErrorReason>(random.Between(0, 32)), RandomText(random));
  }
}

SessionRecord RandomSession(Random& random) {
  SessionRecord r{.forgotten_below = RandomNumber(random), .last_used = RandomTime(random)};
  std::set<uint64_t> calls;
  for (uint64_t i = random.Uniform(4); i > 0; --i) calls.insert(RandomNumber(random));
  for (uint64_t call : calls) r.answers.push_back({call, random.Next(), EncodeAnswer(RandomAnswer(random))});
  r.extensions = RandomExtensions(random);
  return r;
}

NamespaceInfo RandomNamespace(Random& random) {
  return {.layout_version = static_cast<uint32_t>(RandomNumber(random)),
          .cluster = ClusterId(RandomText(random)),
          .namespace_id = RandomNumber(random),
          .block_pool = RandomText(random),
          .formatted_at = RandomTime(random),
          .superuser = RandomText(random),
          .supergroup = RandomText(random)};
}

Counters RandomCounters(Random& random) {
  return {.epoch = Epoch(RandomNumber(random)),
          .next_inode = InodeId(RandomNumber(random)),
          .next_block = BlockId(RandomNumber(random)),
          .next_stamp = GenerationStamp(RandomNumber(random)),
          .last_commit_time = RandomTime(random),
          .block_count = RandomNumber(random),
          .committed_block_count = RandomNumber(random)};
}

CommitHeader RandomCommitHeader(Random& random) {
  return {.number = CommitNumber(RandomNumber(random)),
          .epoch = Epoch(RandomNumber(random)),
          .time = RandomTime(random),
          .digest = random.Next()};
}

// Checks that what was encoded comes back equal, too.
template <typename Record, typename Encode, typename Decode, typename MakeRandom>
Codec MakeCodec(std::string name, Encode encode, Decode decode, MakeRandom make_random) {
  return {.name = name,
          .random_bytes =
              [=](Random& random) {
                const Record record = make_random(random);
                const std::string bytes = encode(record);
                const auto back = decode(bytes);
                EXPECT_TRUE(back.ok() && *back == record) << name << ": " << back.status();
                return bytes;
              },
          .recode = [=](std::string_view bytes) -> absl::StatusOr<std::string> {
            DOLMEN_ASSIGN_OR_RETURN(const Record record, decode(bytes));
            return encode(record);
          }};
}

std::vector<Codec> AllCodecs() {
  return {MakeCodec<InodeRecord>("inode", EncodeInode, DecodeInode, RandomInode),
          MakeCodec<ParentLink>("parent_link", EncodeParentLink, DecodeParentLink, RandomParentLink),
          MakeCodec<BlockRecord>("block", EncodeBlock, DecodeBlock, RandomBlock),
          MakeCodec<OpenRecord>("open", EncodeOpen, DecodeOpen, RandomOpen),
          MakeCodec<DetachedRecord>("detached", EncodeDetached, DecodeDetached, RandomDetached),
          MakeCodec<TotalsRecord>("totals", EncodeTotals, DecodeTotals, RandomTotals),
          MakeCodec<SessionRecord>("session", EncodeSession, DecodeSession, RandomSession),
          MakeCodec<NamespaceInfo>("namespace", EncodeNamespaceInfo, DecodeNamespaceInfo, RandomNamespace),
          MakeCodec<Counters>("counters", EncodeCounters, DecodeCounters, RandomCounters),
          MakeCodec<CommitHeader>("commit", EncodeCommitHeader, DecodeCommitHeader, RandomCommitHeader),
          MakeCodec<Answer>("answer", EncodeAnswer, DecodeAnswer, RandomAnswer)};
}

// Whatever is accepted encodes to the same bytes again.
void ExpectCanonical(const Codec& codec, std::string_view bytes) {
  const absl::StatusOr<std::string> again = codec.recode(bytes);
  if (again.ok()) {
    EXPECT_EQ(*again, bytes) << codec.name;
  } else {
    EXPECT_EQ(ReasonOf(again.status()), ErrorReason::kDamaged) << codec.name << ": " << again.status();
  }
}

TEST(RecordsTest, RecordsComeBackAsTheyWere) {
  for (const Codec& codec : AllCodecs()) {
    Random random(1);
    for (int i = 0; i < 500; ++i) ExpectCanonical(codec, codec.random_bytes(random));
  }
}

TEST(RecordsTest, ChangedBytesAreRefusedOrEncodeToThemselves) {
  for (const Codec& codec : AllCodecs()) {
    Random random(2);
    for (int i = 0; i < 3000; ++i) {
      std::string bytes = codec.random_bytes(random);
      for (uint64_t changes = random.Between(1, 3); changes > 0 && !bytes.empty(); --changes) {
        const size_t at = random.Uniform(bytes.size());
        switch (random.Uniform(3)) {
          case 0:
            bytes[at] = static_cast<char>(random.OneIn(2) ? random.Uniform(4) : random.Next());
            break;
          case 1:
            bytes.insert(at, random.Bytes(1));
            break;
          default:
            bytes.erase(at, 1);
        }
      }
      ExpectCanonical(codec, bytes);
    }
  }
}

TEST(RecordsTest, CutOrLengthenedRecordsAreRefused) {
  for (const Codec& codec : AllCodecs()) {
    Random random(3);
    const std::string bytes = codec.random_bytes(random);
    for (size_t size = 0; size < bytes.size(); ++size)
      EXPECT_FALSE(codec.recode(bytes.substr(0, size)).ok()) << codec.name << " cut to " << size;
    EXPECT_FALSE(codec.recode(bytes + '\0').ok()) << codec.name;
  }
}

TEST(RecordsTest, ANewerVersionIsRefusedByName) {
  for (const Codec& codec : AllCodecs()) {
    Random random(4);
    std::string bytes = codec.random_bytes(random);
    bytes[0] = 3;
    const absl::StatusOr<std::string> refused = codec.recode(bytes);
    ASSERT_FALSE(refused.ok()) << codec.name;
    EXPECT_NE(MessageOf(refused.status()).find("version 3"), std::string_view::npos) << refused.status();
  }
}

TEST(RecordsTest, UnknownExtensionsSurviveAnOlderProgram) {
  InodeRecord record;
  record.id = InodeId(20000);
  record.extensions.Set(77, "from the future");
  InodeRecord read = *DecodeInode(EncodeInode(record));
  read.length = 5;
  const InodeRecord again = *DecodeInode(EncodeInode(read));
  ASSERT_NE(again.extensions.Find(77), nullptr);
  EXPECT_EQ(*again.extensions.Find(77), "from the future");
}

TEST(RecordsTest, ACountBeyondTheBytesAllocatesNothing) {
  std::string open = EncodeOpen({});
  open.pop_back();  // extensions
  open.pop_back();  // count of targets
  AppendVarint(&open, UINT64_MAX);
  EXPECT_FALSE(DecodeOpen(open).ok());
}

TEST(RecordsTest, AnswersKeepCodeReasonAndText) {
  const Answer error = MakeError(ErrorReason::kDirectoryFull, "no room in /a");
  const Answer back = *DecodeAnswer(EncodeAnswer(error));
  EXPECT_EQ(back.status().code(), error.status().code());
  EXPECT_EQ(ReasonOf(back.status()), ErrorReason::kDirectoryFull);
  EXPECT_EQ(MessageOf(back.status()), "no room in /a");
}

TEST(RecordsTest, DifferentRequestsHaveDifferentDigests) {
  const std::vector<p::Mutation> requests = {
      p::MkdirsRequest{.path = "/a"},
      p::MkdirsRequest{.path = "/b"},
      p::MkdirsRequest{.path = "/a", .permission = 0700},
      p::MkdirsRequest{.path = "/a", .create_parents = false},
      p::CreateRequest{.path = "/a"},
      p::CreateRequest{.path = "/a", .overwrite = true},
      p::CreateRequest{.path = "/a", .holder = "h"},
      p::AddBlockRequest{.path = "/a"},
      p::AddBlockRequest{.path = "/a", .previous = p::Block{}},
      p::AddBlockRequest{.path = "/a", .excluded = {DatanodeUuid("d")}},
      p::AddBlockRequest{.path = "/a", .excluded = {DatanodeUuid("")}},
      p::AbandonBlockRequest{.path = "/a"},
      p::CompleteRequest{.path = "/a"},
      p::CompleteRequest{.path = "/a", .last = p::Block{}},
      p::RenameRequest{.source = "/a", .destination = "/b"},
      p::RenameRequest{.source = "/a/b", .destination = ""},
      p::RenameRequest{.source = "/a", .destination = "/b", .kind = p::RenameKind::kOverwrite},
      p::DeleteRequest{.path = "/a"},
      p::DeleteRequest{.path = "/a", .recursive = true},
      p::SetAttributesRequest{.path = "/a"},
      p::SetAttributesRequest{.path = "/a", .owner = "x"},
      p::SetAttributesRequest{.path = "/a", .group = "x"},
      p::SetAttributesRequest{.path = "/a", .modified = WallTime{1}},
      p::SetAttributesRequest{.path = "/a", .accessed = WallTime{1}},
      p::FsyncRequest{.path = "/a"},
      p::ConcatRequest{.target = "/a"},
      p::ConcatRequest{.target = "/a", .sources = {"/b", "/c"}},
      p::ConcatRequest{.target = "/a", .sources = {"/c", "/b"}},
      p::SetReplicationRequest{.path = "/a", .replication = 1},
      p::SetReplicationRequest{.path = "/a", .replication = 2},
      p::AppendRequest{.path = "/a"},
      p::AppendRequest{.path = "/a", .new_block = true},
      p::AppendRequest{.path = "/a", .excluded = {DatanodeUuid("d")}},
      p::TruncateRequest{.path = "/a"},
      p::TruncateRequest{.path = "/a", .length = 1},
      p::RecoverLeaseRequest{.path = "/a"},
  };
  std::set<uint64_t> digests;
  for (const p::Mutation& request : requests) {
    EXPECT_EQ(DigestOf(request), DigestOf(request));
    digests.insert(DigestOf(request));
  }
  EXPECT_EQ(digests.size(), requests.size());
}

// ---- golden files: bytes as written by earlier programs ------------------------------------------------------------

// Pairs of hexadecimal digits; white space and everything from '#' to the end of a line is skipped.
std::string ReadHex(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::string digits;
  for (std::string line; std::getline(file, line);)
    for (char c : line.substr(0, line.find('#')))
      if (!isspace(static_cast<unsigned char>(c))) digits += c;
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return bytes;
}

template <typename Record, typename Encode, typename Decode>
void ExpectGolden(const std::string& name, const Record& expected, Encode encode, Decode decode) {
  const std::string bytes = ReadHex(DOLMEN_SOURCE_DIR "/tests/golden/metadata/" + name + ".hex");
  const auto record = decode(bytes);
  std::string hex;
  for (unsigned char c : encode(expected)) absl::StrAppend(&hex, absl::Hex(c, absl::kZeroPad2), " ");
  ASSERT_TRUE(record.ok()) << name << ": " << record.status() << "\nexpected " << hex;
  EXPECT_TRUE(*record == expected) << name << "\nexpected " << hex;
  EXPECT_EQ(encode(*record), bytes) << name << "\nexpected " << hex;
}

InodeRecord GoldenFile() {
  InodeRecord r;
  r.id = InodeId(16390);
  r.permission = 0644;
  r.owner = "alice";
  r.group = "staff";
  r.modified = WallTime{1'700'000'000'123};
  r.accessed = WallTime{-1};
  r.changed_at = CommitNumber(300);
  r.redundancy.replicas = 3;
  r.block_bytes = 128 << 20;
  r.length = 300;
  r.block_count = 1;
  r.under_construction = true;
  r.extensions.Set(9, "x");
  r.extensions.Set(200, "");
  return r;
}

TEST(GoldenRecordsTest, RecordsOfVersionOneReadAsTheyWereWritten) {
  InodeRecord directory;
  directory.id = kRootInode;
  directory.is_directory = true;
  directory.permission = 01755;
  directory.owner = "hdfs";
  directory.group = "supergroup";
  directory.modified = WallTime{1'700'000'000'000};
  directory.changed_at = CommitNumber(1);
  directory.child_count = 2;
  ExpectGolden("inode_directory", directory, EncodeInode, DecodeInode);
  ExpectGolden("inode_file", GoldenFile(), EncodeInode, DecodeInode);
  ExpectGolden("parent_link", ParentLink{kRootInode, "part-0"}, EncodeParentLink, DecodeParentLink);
  ExpectGolden("block",
               BlockRecord{.inode = InodeId(16390),
                           .index = 0,
                           .stamp = GenerationStamp(1001),
                           .length = 300,
                           .state = BlockState::kCommitted,
                           .replicas_wanted = 3,
                           .changed_at = CommitNumber(301)},
               EncodeBlock, DecodeBlock);
  ExpectGolden(
      "open",
      OpenRecord{.holder = "client-1",
                 .client_host = "10.0.0.7",
                 .last_pipeline = {{DatanodeUuid("dn-a"), StorageId("s1")}, {DatanodeUuid("dn-b"), StorageId("s2")}}},
      EncodeOpen, DecodeOpen);
  OpenRecord recovered{.holder = kNamenodeHolder,
                       .client_host = "10.0.0.7",
                       .last_pipeline = {{DatanodeUuid("dn-a"), StorageId("s1")}},
                       .stamp_before_append = GenerationStamp(1001),
                       .recovery = GenerationStamp(1300)};
  recovered.extensions.Set(9, "x");
  ExpectGolden("open_recovered", recovered, EncodeOpen, DecodeOpen);
  ExpectGolden("open_truncated",
               OpenRecord{.holder = kNamenodeHolder,
                          .client_host = "10.0.0.7",
                          .truncation = OpenRecord::Truncation{.copy = BlockId(kFirstBlockId.value() + kBlockIdStep),
                                                               .length = 300}},
               EncodeOpen, DecodeOpen);
  ExpectGolden("detached", DetachedRecord{.inode = GoldenFile(), .deleted_at = WallTime{1'700'000'001'000}},
               EncodeDetached, DecodeDetached);
  ExpectGolden("totals",
               TotalsRecord{.files = 1,
                            .directories = 0,
                            .bytes = 300,
                            .replicated_bytes = {{p::StorageType::kDisk, 900}, {p::StorageType::kSsd, 1}}},
               EncodeTotals, DecodeTotals);
  ExpectGolden("session",
               SessionRecord{.forgotten_below = 4,
                             .last_used = WallTime{1'700'000'000'500},
                             .answers = {{4, 0x1122334455667788, EncodeAnswer(p::MutationReply(p::DeleteReply{true}))},
                                         {6, 1, EncodeAnswer(p::MutationReply(p::MkdirsReply{}))}}},
               EncodeSession, DecodeSession);
  ExpectGolden("namespace",
               NamespaceInfo{.layout_version = 1,
                             .cluster = ClusterId("CID-00000000-0000-4000-8000-000000000000"),
                             .namespace_id = 123456789,
                             .block_pool = "BP-42-1700000000000",
                             .formatted_at = WallTime{1'700'000'000'000},
                             .superuser = "hdfs",
                             .supergroup = "supergroup"},
               EncodeNamespaceInfo, DecodeNamespaceInfo);
  ExpectGolden("counters",
               Counters{.epoch = Epoch(2),
                        .next_inode = InodeId(16391),
                        .next_block = BlockId(kFirstBlockId.value() + kBlockIdStep),
                        .next_stamp = GenerationStamp(1002),
                        .last_commit_time = WallTime{1'700'000'000'500},
                        .block_count = 1,
                        .committed_block_count = 1},
               EncodeCounters, DecodeCounters);
  ExpectGolden("commit",
               CommitHeader{.number = CommitNumber(301),
                            .epoch = Epoch(2),
                            .time = WallTime{1'700'000'000'500},
                            .digest = 0x0123456789abcdef},
               EncodeCommitHeader, DecodeCommitHeader);
}

TEST(GoldenRecordsTest, AnswersOfVersionOneReadAsTheyWereWritten) {
  p::LocatedBlock located{.block = {kFirstBlockId, GenerationStamp(1001), 0},
                          .locations = {{.datanode = {.uuid = DatanodeUuid("dn-a"),
                                                      .host_name = "host-a",
                                                      .addresses = {{"default", "10.0.0.1", 7066}},
                                                      .rack = "/default-rack",
                                                      .http_port = 9864},
                                         .storage = StorageId("s1"),
                                         .type = p::StorageType::kSsd}},
                          .token = "tok"};
  ExpectGolden("answer_add_block", Answer(p::MutationReply(p::AddBlockReply{located})), EncodeAnswer, DecodeAnswer);
  ExpectGolden("answer_error", Answer(MakeError(ErrorReason::kFileNotFound, "File does not exist: /a")), EncodeAnswer,
               DecodeAnswer);
  ExpectGolden("answer_create",
               Answer(p::MutationReply(p::CreateReply{{.inode = InodeId(16390),
                                                       .permission = 0644,
                                                       .owner = "alice",
                                                       .group = "staff",
                                                       .modified = WallTime{1'700'000'000'123},
                                                       .accessed = WallTime{1'700'000'000'123},
                                                       .replication = 3,
                                                       .block_bytes = 128 << 20,
                                                       .under_construction = true}})),
               EncodeAnswer, DecodeAnswer);
}

// Their definitions are part of the format: a stored digest is compared with one computed by a later program.
TEST(GoldenRecordsTest, DigestsNeverChange) {
  EXPECT_EQ(DigestOf(p::RenameRequest{.source = "/a", .destination = "/b"}), 17600013551960998130u);
  EXPECT_EQ(HeaderOf({.number = CommitNumber(1),
                      .writes = {{Family::kInodes, "key", "value, longer than a word"}, {Family::kIds, "gone", {}}}})
                .digest,
            9085318682132942319u);
}

}  // namespace
}  // namespace dolmen::namenode
