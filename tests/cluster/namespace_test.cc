// Everyday calls on the namespace through the client library and a cluster of real processes.
#include <gtest/gtest.h>

#include <fstream>

#include "common/error.h"
#include "common/random.h"
#include "tests/support/external_cluster.h"
#include "tests/support/whole_file.h"

namespace dolmen::testing {
namespace {

constexpr uint64_t kBlock = 64 << 10;

class NamespaceClusterTest : public ::testing::Test {
 protected:
  void Start(int datanodes, const std::vector<std::string>& flags = {}) {
    ExternalCluster::Options options{.datanodes = datanodes};
    options.namenode_flags.insert(options.namenode_flags.end(), flags.begin(), flags.end());
    cluster_ = std::make_unique<ExternalCluster>(options);
    ASSERT_TRUE(cluster_->Start());
    client_ = cluster_->Connect();
  }
  std::unique_ptr<FileSystemClient> As(const std::string& user) const {
    ClientOptions options;
    options.user = user;
    return cluster_->Connect(options);
  }
  void Write(const std::string& path, const std::string& content, uint32_t replication = 3) {
    const CreateOptions options{.replication = replication, .block_bytes = kBlock};
    const absl::Status written = WriteWhole(*client_, path, content, 1 << 20, options);
    ASSERT_TRUE(written.ok()) << path << ": " << written;
  }
  void ExpectContent(const std::string& path, const std::string& content) {
    auto read = ReadWhole(*client_, path);
    ASSERT_TRUE(read.ok()) << path << ": " << read.status();
    ASSERT_TRUE(*read == content) << path << " differs";
  }
  // Every block of the file comes to have so many locations.
  bool HasReplicas(const std::string& path, size_t count) {
    return Eventually(
        [&] {
          auto blocks = client_->GetBlockLocations(path, 0, UINT64_MAX);
          if (!blocks.ok() || blocks->empty()) return false;
          for (const BlockLocation& block : *blocks)
            if (block.hosts.size() != count) return false;
          return true;
        },
        std::chrono::seconds(60));
  }

  Random random_{7};
  std::unique_ptr<ExternalCluster> cluster_;
  std::unique_ptr<FileSystemClient> client_;
};

TEST_F(NamespaceClusterTest, ConcatJoinsFilesByteByByteAndSurvivesARestart) {
  Start(3);
  std::string expected = random_.Bytes(2 * kBlock + 100);
  Write("/d/target", expected);
  std::vector<std::string> sources;
  for (uint64_t size : {uint64_t{1}, kBlock, 3 * kBlock + 777}) {
    sources.push_back(absl::StrCat("/d/source", size));
    const std::string content = random_.Bytes(size);
    Write(sources.back(), content, 2);
    expected += content;
  }
  auto before = client_->GetFileInfo("/d/target");
  ASSERT_TRUE(before.ok() && before->has_value());
  const absl::Status done = client_->Concat("/d/target", sources);
  ASSERT_TRUE(done.ok()) << done;
  for (const std::string& source : sources) EXPECT_FALSE(client_->GetFileInfo(source).value().has_value()) << source;
  auto after = client_->GetFileInfo("/d/target");
  ASSERT_TRUE(after.ok() && after->has_value());
  EXPECT_EQ((*after)->inode, (*before)->inode);
  EXPECT_EQ((*after)->length, expected.size());
  EXPECT_EQ((*after)->replication, 3u);
  ExpectContent("/d/target", expected);
  EXPECT_TRUE(HasReplicas("/d/target", 3)) << "what came from the sources is to have the target's replicas";

  cluster_->KillNamenode();
  ASSERT_TRUE(cluster_->Start());
  ExpectContent("/d/target", expected);
  // Blocks are shorter in the middle: any range must be found all the same.
  auto in = client_->Open("/d/target");
  ASSERT_TRUE(in.ok()) << in.status();
  for (int i = 0; i < 100; ++i) {
    const uint64_t offset = random_.Uniform(expected.size());
    std::string out(1 + random_.Uniform(2 * kBlock), '\0');
    size_t got = 0;
    for (size_t last = 1; got < out.size() && last != 0; got += last) {
      auto read = (*in)->ReadAt(offset + got, std::span<char>(out.data() + got, out.size() - got));
      ASSERT_TRUE(read.ok()) << read.status();
      last = *read;
    }
    ASSERT_EQ(got, std::min<uint64_t>(out.size(), expected.size() - offset));
    ASSERT_TRUE(expected.compare(offset, got, out, 0, got) == 0) << "offset " << offset;
  }
}

TEST_F(NamespaceClusterTest, ConcatRefusesInTheWordsOfHdfs) {
  Start(1);
  Write("/d/target", "x", 1);
  Write("/e/source", "x", 1);
  const absl::Status elsewhere = client_->Concat("/d/target", {"/e/source"});
  EXPECT_EQ(ReasonOf(elsewhere), ErrorReason::kIllegalArgument);
  EXPECT_EQ(MessageOf(elsewhere), "Source file /e/source is not in the same directory with the target /d/target");
  EXPECT_EQ(ReasonOf(client_->Concat("/d/target", {"/d/none"})), ErrorReason::kFileNotFound);
  EXPECT_EQ(MessageOf(client_->Concat("/d/target", {})), "No sources given");
  const absl::Status many = client_->Concat("/d/target", std::vector<std::string>(10'001, "/d/s"));
  EXPECT_EQ(ReasonOf(many), ErrorReason::kIllegalArgument);
}

TEST_F(NamespaceClusterTest, SetReplicationMakesAndRemovesReplicas) {
  Start(3, {"--namenode-min-replication=1"});
  const std::string content = random_.Bytes(3 * kBlock + 5);
  Write("/f", content, 1);
  EXPECT_TRUE(HasReplicas("/f", 1));
  auto raised = client_->SetReplication("/f", 3);
  ASSERT_TRUE(raised.ok() && *raised) << raised.status();
  EXPECT_TRUE(HasReplicas("/f", 3));
  ExpectContent("/f", content);
  auto lowered = client_->SetReplication("/f", 2);
  ASSERT_TRUE(lowered.ok() && *lowered) << lowered.status();
  EXPECT_TRUE(HasReplicas("/f", 2));
  ExpectContent("/f", content);

  ASSERT_TRUE(client_->Mkdirs("/d").ok());
  EXPECT_FALSE(client_->SetReplication("/d", 2).value());
  const absl::Status refused = client_->SetReplication("/f", 1025).status();
  EXPECT_EQ(MessageOf(refused), "Requested replication factor of 1025 exceeds maximum of 512 for /f");
}

TEST_F(NamespaceClusterTest, SummariesAndOpenFilesTellWhatIsThere) {
  Start(3);
  Write("/d/a", random_.Bytes(1000));
  Write("/d/e/b", random_.Bytes(kBlock + 1), 2);
  auto summary = client_->GetContentSummary("/d");
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->length, 1000 + kBlock + 1);
  EXPECT_EQ(summary->file_count, 2u);
  EXPECT_EQ(summary->directory_count, 2u);
  EXPECT_EQ(summary->space_consumed, 3 * 1000 + 2 * (kBlock + 1));
  EXPECT_EQ(MessageOf(client_->GetContentSummary("/none").status()), "File does not exist: /none");

  auto open = client_->Create("/d/e/open", {.block_bytes = kBlock});
  ASSERT_TRUE(open.ok()) << open.status();
  auto elsewhere = client_->Create("/open", {.block_bytes = kBlock});
  ASSERT_TRUE(elsewhere.ok()) << elsewhere.status();
  EXPECT_FALSE(client_->IsFileClosed("/d/e/open").value());
  EXPECT_TRUE(client_->IsFileClosed("/d/a").value());
  const auto open_files = [&](const std::string& path) {
    std::vector<OpenFile> files;
    const absl::Status listed = client_->ListOpenFiles(path, [&](const OpenFile& file) {
      files.push_back(file);
      return true;
    });
    EXPECT_TRUE(listed.ok()) << listed;
    return files;
  };
  EXPECT_EQ(open_files("/").size(), 2u);
  const std::vector<OpenFile> below = open_files("/d");
  ASSERT_EQ(below.size(), 1u);
  EXPECT_EQ(below[0].path, "/d/e/open");
  EXPECT_NE(below[0].client_name.find("DolmenClient_"), std::string::npos);
  EXPECT_EQ(below[0].client_host, "127.0.0.1");
  ASSERT_TRUE((*open)->Close().ok());
  ASSERT_TRUE((*elsewhere)->Close().ok());
  EXPECT_TRUE(client_->IsFileClosed("/d/e/open").value());
  EXPECT_TRUE(open_files("/").empty());
  const absl::Status denied = As("ann")->ListOpenFiles("/", [](const OpenFile&) { return true; });
  EXPECT_EQ(ReasonOf(denied), ErrorReason::kAccessControl);
}

TEST_F(NamespaceClusterTest, TheServersDefaultsSayHowBytesTravel) {
  Start(0);
  auto defaults = client_->GetServerDefaults();
  ASSERT_TRUE(defaults.ok()) << defaults.status();
  EXPECT_EQ(defaults->block_bytes, 128u << 20);
  EXPECT_EQ(defaults->replication, 3u);
  EXPECT_EQ(defaults->bytes_per_checksum, 512u);
  EXPECT_EQ(defaults->packet_bytes, 1u << 20);
  EXPECT_EQ(defaults->checksum_type, "CRC32C");
}

TEST_F(NamespaceClusterTest, GroupsComeFromAFileThatIsReadAgain) {
  TempDir directory;
  const std::string file = directory.path() + "/groups";
  std::ofstream(file) << "# test\nann=staff\n";
  Start(0, {"--namenode-group-mapping-file=" + file});
  ASSERT_TRUE(client_->Mkdirs("/shared", 0775).ok());
  ASSERT_TRUE(client_->SetOwner("/shared", "", "staff").ok());
  const auto ann = As("ann");
  const auto bob = As("bob");
  EXPECT_TRUE(ann->Mkdirs("/shared/ann").ok());
  EXPECT_EQ(ReasonOf(bob->Mkdirs("/shared/bob")), ErrorReason::kAccessControl);
  std::ofstream(file) << "bob=staff\n";
  EXPECT_TRUE(Eventually([&] { return bob->Mkdirs("/shared/bob").ok(); }, std::chrono::seconds(20)));
  EXPECT_EQ(ReasonOf(ann->Mkdirs("/shared/ann2")), ErrorReason::kAccessControl);
}

TEST_F(NamespaceClusterTest, AWrongGroupFileStopsTheStartAndNamesTheLine) {
  Start(0);
  cluster_->KillNamenode();
  const std::string file = cluster_->directory() + "/groups";
  std::ofstream(file) << "ann=staff\nbob\n";
  cluster_->LaunchNamenode({{"DOLMEN_NAMENODE_GROUP_MAPPING_FILE", file}});
  const std::optional<int> status = cluster_->namenode().Wait(std::chrono::seconds(60));
  ASSERT_TRUE(status.has_value() && WIFEXITED(*status));
  EXPECT_NE(WEXITSTATUS(*status), 0);
  EXPECT_NE(ExternalCluster::ReadFile(cluster_->Log("namenode")).find(file + ":2: 'bob' has no '='"), std::string::npos)
      << ExternalCluster::ReadFile(cluster_->Log("namenode"));
}

TEST_F(NamespaceClusterTest, HomesAreMadeForNewUsersWhereConfigured) {
  Start(0, {"--namenode-create-home-directories=true"});
  for (const char* user : {"ann", "bob"}) {
    const auto client = As(user);
    auto home = client->GetFileInfo(client->HomeDirectory());
    ASSERT_TRUE(home.ok()) << home.status();
    ASSERT_TRUE(home->has_value()) << user;
    EXPECT_TRUE((*home)->is_directory);
    EXPECT_EQ((*home)->owner, user);
    EXPECT_EQ((*home)->permission, 0700);
    EXPECT_TRUE(client->Mkdirs(client->HomeDirectory() + "/d").ok());
  }
  EXPECT_EQ(ReasonOf(As("bob")->List("/user/ann", [](const FileStatus&) { return true; })),
            ErrorReason::kAccessControl);
  // The first call may be a change, too.
  EXPECT_TRUE(As("eve")->Mkdirs("/user/eve/d", 0755, /*create_parents=*/false).ok());

  cluster_->KillNamenode();
  ASSERT_TRUE(cluster_->StartNamenode());
  auto again = As("ann")->GetFileInfo("/user/ann/d");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->has_value());
}

TEST_F(NamespaceClusterTest, HomesAreNobodysBusinessWhereNotConfigured) {
  Start(0);
  auto home = As("ann")->GetFileInfo("/user/ann");
  ASSERT_TRUE(home.ok()) << home.status();
  EXPECT_FALSE(home->has_value());
}

}  // namespace
}  // namespace dolmen::testing
