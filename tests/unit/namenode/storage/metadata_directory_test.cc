#include "namenode/storage/metadata_directory.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

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
  bool Says(const absl::Status& status, std::string_view text) {
    return MessageOf(status).find(text) != std::string_view::npos;
  }

  const TempDir temporary_;
  const std::unique_ptr<FileSystem> fs_ = MakePosixFileSystem();
  std::string path_ = temporary_.File("name");
  uint64_t seed_ = 0;
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
