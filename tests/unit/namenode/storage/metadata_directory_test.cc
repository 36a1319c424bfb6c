#include "namenode/storage/metadata_directory.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/coding.h"
#include "common/error.h"
#include "common/posix_file_system.h"
#include "gtest/gtest.h"
#include "namenode/core/commit_header.h"
#include "namenode/core/key_codec.h"
#include "tests/support/temp_dir.h"

namespace dolmen::namenode {
namespace {

namespace stdfs = std::filesystem;

class MetadataDirectoryTest : public testing::Test {
 protected:
  absl::StatusOr<NamespaceInfo> Format(std::optional<std::string> force = std::nullopt) {
    return MetadataDirectory::Format(*fs_, path_,
                                     {.superuser = "alice",
                                      .supergroup = "supergroup",
                                      .now = WallTime{1'700'000'000'000},
                                      .seed = ++seed_,
                                      .force_cluster_id = std::move(force)},
                                     {});
  }
  absl::StatusOr<std::unique_ptr<MetadataDirectory>> Open() {
    return MetadataDirectory::Open(*fs_, path_, WallTime{1'700'000'001'000}, ++seed_, {});
  }
  absl::StatusOr<MetadataDirectory::Checked> Check() {
    lines_.clear();
    return MetadataDirectory::Check(*fs_, path_, {}, [this](std::string_view line) { lines_.emplace_back(line); });
  }
  bool Says(const absl::Status& status, std::string_view text) {
    return MessageOf(status).find(text) != std::string_view::npos;
  }

  const TempDir temporary_;
  const std::unique_ptr<FileSystem> fs_ = MakePosixFileSystem();
  std::string path_ = temporary_.File("name");
  uint64_t seed_ = 0;
  std::vector<std::string> lines_;
};

TEST_F(MetadataDirectoryTest, AFormattedDirectoryOpensWithItsIdentity) {
  const absl::StatusOr<NamespaceInfo> formatted = Format();
  ASSERT_TRUE(formatted.ok()) << formatted.status();
  const auto opened = Open();
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ((*opened)->info(), *formatted);
  EXPECT_EQ((*opened)->counters().epoch, Epoch(1));
  EXPECT_EQ((*opened)->counters().next_inode, InodeId(16386));
  EXPECT_EQ((*opened)->store()->View()->commit_number(), CommitNumber(2));
  EXPECT_TRUE((*opened)->replicas()->Write({{ReplicaFamily::kMeta, "a", "b"}}).ok());
}

TEST_F(MetadataDirectoryTest, EveryStartHasAHigherEpochAndAnotherIncarnation) {
  ASSERT_TRUE(Format().ok());
  std::string last_incarnation;
  for (uint64_t epoch = 1; epoch <= 3; ++epoch) {
    const auto opened = Open();
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ((*opened)->counters().epoch, Epoch(epoch));
    EXPECT_NE((*opened)->incarnation(), last_incarnation);
    last_incarnation = (*opened)->incarnation();
    const auto stored = DecodeCounters((*opened)->store()->View()->Get(Family::kMeta, keys::kCounters)->value());
    EXPECT_EQ(*stored, (*opened)->counters());
  }
}

// F-161.
TEST_F(MetadataDirectoryTest, ASecondNamenodeOnOneDirectoryIsRefused) {
  ASSERT_TRUE(Format().ok());
  const auto first = Open();
  ASSERT_TRUE(first.ok());
  const absl::Status second = Open().status();
  EXPECT_EQ(ReasonOf(second), ErrorReason::kBusy);
  EXPECT_TRUE(Says(second, "in use by a running namenode")) << second;
  EXPECT_EQ(ReasonOf(Format((*first)->info().cluster.value()).status()), ErrorReason::kBusy);
  const CommitBatch next{.number = CommitNumber(3), .epoch = Epoch(1)};
  EXPECT_TRUE((*first)->store()->Commit(next).ok());
}

// F-166.
TEST_F(MetadataDirectoryTest, AMissingOrEmptyDirectoryIsNotFormattedByAStart) {
  const absl::Status missing = Open().status();
  EXPECT_EQ(ReasonOf(missing), ErrorReason::kFileNotFound);
  EXPECT_TRUE(Says(missing, "run dolmen-namenode --format")) << missing;
  EXPECT_FALSE(stdfs::exists(path_));
  stdfs::create_directory(path_);
  EXPECT_EQ(ReasonOf(Open().status()), ErrorReason::kFileNotFound);
  EXPECT_TRUE(stdfs::is_empty(path_));
}

TEST_F(MetadataDirectoryTest, ADirectoryOfOtherThingsIsNotFormatted) {
  stdfs::create_directory(path_);
  std::ofstream(path_ + "/thesis.tex") << "years of work";
  const absl::Status refused = Format().status();
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kIllegalArgument);
  EXPECT_TRUE(Says(refused, "thesis.tex")) << refused;
  EXPECT_TRUE(stdfs::exists(path_ + "/thesis.tex"));
}

// F-160.
TEST_F(MetadataDirectoryTest, FormattingOverANamespaceNeedsItsClusterId) {
  const NamespaceInfo old = *Format();
  const absl::Status refused = Format().status();
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kFileAlreadyExists);
  EXPECT_TRUE(Says(refused, old.cluster.value())) << refused;
  EXPECT_EQ(ReasonOf(Format("CID-another").status()), ErrorReason::kFileAlreadyExists);
  EXPECT_EQ((*Open())->info(), old);

  ASSERT_TRUE((*Open())->replicas()->Write({{ReplicaFamily::kByBlock, "a", "b"}}).ok());
  const absl::StatusOr<NamespaceInfo> formatted = Format(old.cluster.value());
  ASSERT_TRUE(formatted.ok()) << formatted.status();
  EXPECT_NE(formatted->cluster, old.cluster);
  const auto opened = Open();
  EXPECT_EQ((*opened)->info(), *formatted);
  EXPECT_EQ((*opened)->counters().epoch, Epoch(1));
  EXPECT_EQ((*opened)->replicas()->Get(ReplicaFamily::kByBlock, "a").value(), std::nullopt);
  EXPECT_FALSE(stdfs::exists(path_ + "/meta.discarded"));
}

TEST_F(MetadataDirectoryTest, AnInterruptedFormatIsBegunAgain) {
  stdfs::create_directory(path_);
  ASSERT_TRUE(RocksDbMetaStore::Create(path_ + "/meta", {}).ok());  // and then the power failed
  EXPECT_EQ(ReasonOf(Open().status()), ErrorReason::kFileNotFound);
  ASSERT_TRUE(Format().ok());
  EXPECT_TRUE(Open().ok());
}

TEST_F(MetadataDirectoryTest, RemainsWithoutCurrentAreNeitherOpenedNorFormatted) {
  ASSERT_TRUE(Format().ok());
  stdfs::remove(path_ + "/meta/CURRENT");
  EXPECT_EQ(ReasonOf(Open().status()), ErrorReason::kDamaged);
  EXPECT_EQ(ReasonOf(Format().status()), ErrorReason::kDamaged);
}

// F-163.
TEST_F(MetadataDirectoryTest, ANewerLayoutIsRefusedBeforeAnyWrite) {
  ASSERT_TRUE(Format().ok());
  {
    const auto store = *RocksDbMetaStore::Open(*fs_, path_ + "/meta", {});
    std::string newer(1, '\x02');
    AppendVarint(&newer, kLayoutVersion + 1);
    ASSERT_TRUE(
        store
            ->Commit({.number = CommitNumber(2), .writes = {{Family::kMeta, std::string(keys::kNamespaceInfo), newer}}})
            .ok());
  }
  const absl::Status refused = Open().status();
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kIllegalArgument);
  EXPECT_TRUE(Says(refused, "layout version 2")) << refused;
  EXPECT_EQ((*RocksDbMetaStore::Open(*fs_, path_ + "/meta", {}))->View()->commit_number(), CommitNumber(2));
  EXPECT_EQ(ReasonOf(Format("CID-guess").status()), ErrorReason::kIllegalArgument);
}

// Every file of the store with its bytes.
std::map<std::string, std::string> Contents(const std::string& directory) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : stdfs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    contents[entry.path()] = std::string(std::istreambuf_iterator<char>(in), {});
  }
  return contents;
}

TEST_F(MetadataDirectoryTest, ACheckFindsNothingInASoundStoreAndChangesNothing) {
  const NamespaceInfo info = *Format();
  ASSERT_TRUE(Open().ok());
  const auto before = Contents(path_);
  for (int i = 0; i < 2; ++i) {
    const auto checked = Check();
    ASSERT_TRUE(checked.ok()) << checked.status();
    EXPECT_EQ(checked->info, info);
    EXPECT_EQ(checked->last_commit, CommitNumber(2));
    EXPECT_EQ(checked->report.directories, 1u);
    EXPECT_EQ(checked->report.violations, 0u);
    EXPECT_EQ(lines_, std::vector<std::string>());
  }
  EXPECT_EQ(Contents(path_), before);
  EXPECT_TRUE(Open().ok());
}

TEST_F(MetadataDirectoryTest, ACheckTellsEachViolation) {
  ASSERT_TRUE(Format().ok());
  {
    const auto opened = Open();
    ASSERT_TRUE(opened.ok());
    std::vector<MetaWrite> writes;
    for (const uint64_t id : {20'001, 20'002}) {
      writes.push_back({Family::kOpen, keys::Id(InodeId(id)), EncodeOpen({.holder = "writer"})});
    }
    ASSERT_TRUE((*opened)->store()->Commit({.number = CommitNumber(3), .epoch = Epoch(1), .writes = writes}).ok());
  }
  const auto checked = Check();
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->report.violations, 2u);
  EXPECT_EQ(lines_, (std::vector<std::string>{"open: inode_20001 is not under construction",
                                              "open: inode_20002 is not under construction"}));
}

TEST_F(MetadataDirectoryTest, ACheckIgnoresATornTailAndLeavesIt) {
  ASSERT_TRUE(Format().ok());
  ASSERT_TRUE(Open().ok());
  std::string newest;
  for (const auto& entry : stdfs::directory_iterator(path_ + "/meta")) {
    if (entry.path().extension() == ".log") newest = std::max(newest, entry.path().string());
  }
  ASSERT_FALSE(newest.empty());
  std::ofstream(newest, std::ios::binary | std::ios::app) << std::string(100, '\x55');
  const auto before = Contents(path_);
  const auto checked = Check();
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->last_commit, CommitNumber(2));
  EXPECT_EQ(checked->logs.files.back().file_bytes - checked->logs.files.back().valid_bytes, 100u);
  EXPECT_EQ(Contents(path_), before);
}

TEST_F(MetadataDirectoryTest, ACheckRefusesWhatIsInUseOrNotFormatted) {
  EXPECT_EQ(ReasonOf(Check().status()), ErrorReason::kFileNotFound);
  EXPECT_FALSE(stdfs::exists(path_));
  ASSERT_TRUE(Format().ok());
  {
    const auto opened = Open();
    const absl::Status refused = Check().status();
    EXPECT_EQ(ReasonOf(refused), ErrorReason::kBusy);
    EXPECT_TRUE(Says(refused, "in use by a running namenode")) << refused;
  }
  EXPECT_TRUE(Check().ok());
  stdfs::remove(path_ + "/meta/CURRENT");
  EXPECT_EQ(ReasonOf(Check().status()), ErrorReason::kDamaged);
}

TEST_F(MetadataDirectoryTest, AStoreOpenedToBeReadTakesNoCommit) {
  ASSERT_TRUE(Format().ok());
  const auto store = RocksDbMetaStore::OpenReadOnly(*fs_, path_ + "/meta", {});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_FALSE((*store)->Commit({.number = CommitNumber(2)}).ok());
  EXPECT_EQ((*store)->View()->commit_number(), CommitNumber(1));
}

TEST_F(MetadataDirectoryTest, DamagedReplicaLocationsDoNotStopAStart) {
  ASSERT_TRUE(Format().ok());
  ASSERT_TRUE(Open().ok());
  for (const auto& entry : stdfs::directory_iterator(path_ + "/replicas"))
    std::ofstream(entry.path(), std::ios::trunc) << "rubbish";
  const auto opened = Open();
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE((*opened)->replicas()->Write({{ReplicaFamily::kMeta, "a", "b"}}).ok());
}

}  // namespace
}  // namespace dolmen::namenode
