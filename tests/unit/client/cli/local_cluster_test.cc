#include "client/cli/local_cluster.h"

#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "client/cli/process.h"
#include "common/posix_file_system.h"
#include "tests/support/fake_file_system_client.h"
#include "tests/support/temp_dir.h"

namespace dolmen::cli {
namespace {

using ::testing::HasSubstr;

// Real processes, but stand-ins for the daemons, and a client that finds a writable cluster at once.
class LocalClusterTest : public ::testing::Test {
 protected:
  LocalClusterTest() {
    std::filesystem::create_directory(binaries());
    for (const char* name : {"dolmen-namenode", "dolmen-datanode"}) {
      std::filesystem::copy_file(FAKE_DAEMON, binaries() + "/" + name);
    }
  }
  ~LocalClusterTest() override {
    const absl::Status stopped = Stop();
    EXPECT_TRUE(stopped.ok()) << stopped;
  }

  std::string binaries() const { return dir_.path() + "/bin"; }
  std::string directory() const { return dir_.path() + "/cluster"; }
  LocalCluster Cluster(LocalOptions options = {}) {
    const auto connect = [this](std::string_view uri, const ClientOptions&) {
      connected_ = uri;
      auto client = std::make_unique<dolmen::testing::FakeFileSystemClient>();
      client->datanodes.resize(8);
      return absl::StatusOr<std::unique_ptr<FileSystemClient>>(std::move(client));
    };
    return LocalCluster(options, directory(), binaries(), connect, {.out = out_, .err = err_});
  }
  absl::Status Start(LocalOptions options = {.namenode_port = 0, .datanode_port = 0}) {
    return Cluster(options).Start();
  }
  absl::Status Stop() { return Cluster().Stop(); }
  LocalStatus Status() {
    absl::StatusOr<LocalStatus> status = Cluster().Status();
    EXPECT_TRUE(status.ok()) << status.status();
    return status.ok() ? *status : LocalStatus{};
  }
  void Kill(int pid) {
    ASSERT_GT(pid, 1);
    kill(pid, SIGKILL);
    WaitForChild(pid);
  }
  std::string Formatted() const {
    std::ifstream in(directory() + "/namenode/formatted");
    return std::string(std::istreambuf_iterator<char>(in), {});
  }

  TempDir dir_;
  std::ostringstream out_;
  std::ostringstream err_;
  std::string connected_;
};

TEST_F(LocalClusterTest, StartsFormatsOnceAndKeepsItsPorts) {
  ASSERT_TRUE(Start().ok());
  const LocalStatus first = Status();
  EXPECT_EQ(first.state(), "running");
  ASSERT_EQ(first.daemons.size(), 4u);
  EXPECT_EQ(connected_, "dolmen://127.0.0.1:" + std::to_string(first.daemons[0].port));
  EXPECT_THAT(out_.str(), HasSubstr("Dolmen is up at " + first.uri()));
  const std::string formatted = Formatted();

  ASSERT_TRUE(Stop().ok());
  EXPECT_THAT(out_.str(), HasSubstr("Stopped 4 processes"));
  EXPECT_EQ(Status().state(), "stopped");
  EXPECT_EQ(Status().daemons[1].state, DaemonState::kStopped);

  ASSERT_TRUE(Start({}).ok());
  const LocalStatus second = Status();
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(second.daemons[i].port, first.daemons[i].port);
  EXPECT_EQ(Formatted(), formatted) << "formatted on first use only";
  EXPECT_EQ(err_.str(), "");
}

TEST_F(LocalClusterTest, ASecondStartSaysItRuns) {
  ASSERT_TRUE(Start().ok());
  const LocalStatus status = Status();
  const absl::Status again = Start();
  EXPECT_THAT(std::string(again.message()), HasSubstr("already running: " + status.uri() + " (namenode pid " +
                                                      std::to_string(status.daemons[0].pid) + ", 3 datanodes) in "));
  EXPECT_EQ(Status().state(), "running");
}

TEST_F(LocalClusterTest, KilledProcessesAreNoticedAndStartedAgain) {
  ASSERT_TRUE(Start().ok());
  const LocalStatus before = Status();
  Kill(before.daemons[2].pid);
  EXPECT_EQ(Status().state(), "partial");
  EXPECT_EQ(Status().daemons[2].state, DaemonState::kDead);
  ASSERT_TRUE(Start().ok());
  LocalStatus after = Status();
  EXPECT_EQ(after.state(), "running");
  EXPECT_EQ(after.daemons[0].pid, before.daemons[0].pid) << "those that run are left alone";
  EXPECT_NE(after.daemons[2].pid, before.daemons[2].pid);

  for (const DaemonStatus& daemon : after.daemons) Kill(daemon.pid);
  EXPECT_EQ(Status().state(), "stopped");
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(Status().state(), "running");
  EXPECT_EQ(Status().uri(), before.uri());
}

TEST_F(LocalClusterTest, AStrangerWithTheSameNumberIsLeftAlone) {
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(Stop().ok());
  // The number of a process that lives but is none of ours: this one.
  std::ofstream(directory() + "/run/namenode.pid") << getpid() << " 1\n";
  EXPECT_EQ(Status().daemons[0].state, DaemonState::kDead);
  ASSERT_TRUE(Stop().ok());
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(Status().state(), "running");
}

TEST_F(LocalClusterTest, ADaemonThatDoesNotStartShowsItsLogAndNothingStaysBehind) {
  ASSERT_TRUE(Start({.datanodes = 1, .namenode_port = 0, .datanode_port = 0}).ok());
  ASSERT_TRUE(Stop().ok());
  std::ofstream(binaries() + "/broken") << "";
  const absl::Status status = Start();
  EXPECT_THAT(std::string(status.message()), HasSubstr("the namenode (pid "));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("logs/namenode.log, which ends with:\n  one\n  two\n  the disk is broken"));
  EXPECT_EQ(Status().state(), "stopped");
  std::filesystem::remove(binaries() + "/broken");
  EXPECT_TRUE(Start().ok());
}

TEST_F(LocalClusterTest, AFormatThatWasCutShortIsDoneAgain) {
  std::filesystem::create_directories(directory() + "/namenode");
  std::ofstream(directory() + "/namenode/formatted") << "half\n";
  std::ofstream(directory() + "/namenode.formatting") << "";
  ASSERT_TRUE(Start().ok());
  EXPECT_NE(Formatted(), "half\n");
  EXPECT_FALSE(std::filesystem::exists(directory() + "/namenode.formatting"));
}

TEST_F(LocalClusterTest, MoreDatanodesCanBeAddedFewerAreRefused) {
  ASSERT_TRUE(Start({.datanodes = 1, .namenode_port = 0, .datanode_port = 0}).ok());
  ASSERT_TRUE(Start({.datanodes = 2, .datanode_port = 0}).ok());
  EXPECT_EQ(Status().running(), 3u);
  EXPECT_THAT(std::string(Start({.datanodes = 1}).message()), HasSubstr("would leave the data of the others behind"));
}

TEST_F(LocalClusterTest, TwoStartsAtOnceDoNotMeet) {
  std::filesystem::create_directories(directory());
  const std::unique_ptr<FileSystem> files = MakePosixFileSystem();
  const auto lock = files->Lock(directory() + "/lock");
  ASSERT_TRUE(lock.ok());
  EXPECT_THAT(std::string(Start().message()), HasSubstr("another start or stop is at work in "));
}

TEST_F(LocalClusterTest, ADamagedStateFileIsNamed) {
  std::filesystem::create_directories(directory());
  std::ofstream(directory() + "/local.json") << "{";
  EXPECT_THAT(std::string(Start().message()), HasSubstr("local.json: expected {"));
  std::filesystem::remove(directory() + "/local.json");
}

TEST_F(LocalClusterTest, MissingBinariesAreNamed) {
  std::filesystem::remove(binaries() + "/dolmen-datanode");
  EXPECT_THAT(std::string(Start().message()), HasSubstr("cannot run " + binaries() + "/dolmen-datanode"));
  EXPECT_EQ(Status().running(), 0u) << "the namenode was stopped again";
}

}  // namespace
}  // namespace dolmen::cli
