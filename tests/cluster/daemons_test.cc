// The daemons' binaries: bad input gets one clear line and an exit code; a good start serves and stops.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/support/child_process.h"
#include "tests/support/eventually.h"
#include "tests/support/external_cluster.h"
#include "tests/support/temp_dir.h"

namespace dolmen::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Arguments = std::vector<std::string>;

constexpr int kFailed = 1, kBadUsage = 2;

class DaemonTest : public ::testing::Test {
 protected:
  explicit DaemonTest(std::string program) : program_(std::move(program)) {}

  std::unique_ptr<ChildProcess> Spawn(Arguments args) {
    std::filesystem::remove(log_);
    args.insert(args.begin(), ExternalCluster::Binary(program_));
    return std::make_unique<ChildProcess>(args, log_);
  }
  // The exit code; 128 + number for a signal, -1 when it does not end.
  static int CodeOf(std::optional<int> status) {
    if (!status.has_value()) return -1;
    return WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
  }
  int Run(Arguments args) { return CodeOf(Spawn(std::move(args))->Wait(std::chrono::seconds(30))); }
  void ExpectLine(Arguments args, int code, const std::string& part) {
    const std::string words = absl::StrJoin(args, " ");
    EXPECT_EQ(Run(std::move(args)), code) << words;
    const std::string output = ExternalCluster::ReadFile(log_);
    const std::string last = output.substr(output.rfind('\n', output.size() - 2) + 1);
    EXPECT_THAT(last, AllOf(StartsWith(program_ + ": "), HasSubstr(part))) << words << ":\n" << output;
  }
  // Starts one that works and waits for its port.
  void StartGood(Arguments args) {
    const std::string port_file = root_ + "/port";
    std::filesystem::remove(port_file);
    args.insert(args.end(), {"--port=0", "--port-file", port_file});
    child_ = Spawn(std::move(args));
    ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(port_file); }, std::chrono::minutes(1)))
        << ExternalCluster::ReadFile(log_);
    port_ = ExternalCluster::ReadFile(port_file);
    port_.pop_back();
  }
  int Stop(int signal) {
    child_->Signal(signal);
    return CodeOf(child_->Wait(std::chrono::seconds(30)));
  }

  const std::string program_;
  const TempDir directory_;
  const std::string root_ = directory_.path();
  const std::string log_ = root_ + "/log";
  std::string port_;
  std::unique_ptr<ChildProcess> child_;
};

class DatanodeMainTest : public DaemonTest {
 protected:
  DatanodeMainTest() : DaemonTest("dolmen-datanode") {}
  const Arguments good_ = {"--data-dirs", root_ + "/data", "--namenode", "127.0.0.1:1"};
};

TEST_F(DatanodeMainTest, BadInputGetsOneClearLine) {
  const std::string dir = root_ + "/d";
  ExpectLine({}, kBadUsage, "--data-dirs");
  ExpectLine({"--data-dirs", dir, "--no-such-flag=1"}, kBadUsage, "no-such-flag");
  ExpectLine({"--data-dirs", dir, "stray"}, kBadUsage, "stray");
  ExpectLine({"--data-dirs", dir, "--port", "70000"}, kBadUsage, "70000");
  ExpectLine({"--data-dirs", dir, "--namenode", "host:x"}, kBadUsage, "host:x");
  ExpectLine({"--data-dirs", "[TAPE]/x"}, kBadUsage, "TAPE");
  ExpectLine({"--data-dirs", dir, "--datanode-rack=r"}, kBadUsage, "datanode_rack");
  ExpectLine({"--config"}, kBadUsage, "--config");
  ExpectLine({"--config", root_ + "/missing.toml"}, kBadUsage, "missing.toml");
  ExpectLine({"--data-dirs", dir, "--log-level", "loud"}, kBadUsage, "loud");
  ExpectLine({"--data-dirs", dir, "--bind-host", "0.0.0.0"}, kBadUsage, "datanode_allow_remote");
  EXPECT_FALSE(std::filesystem::exists(dir));
  ExpectLine({"--data-dirs", dir + "," + dir}, kFailed, "twice");
  ExpectLine({"--data-dirs", "/proc/nothing"}, kFailed, "/proc/nothing");
  const std::string odd = root_ + "/odd";
  std::filesystem::create_directories(odd + "/in_use.lock");  // can't be opened, but nobody has it
  ExpectLine({"--data-dirs", odd}, kFailed, "in_use.lock");
  EXPECT_THAT(ExternalCluster::ReadFile(log_), Not(HasSubstr("another datanode")));
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_EQ(Run({"--print-config"}), 0);
}

TEST_F(DatanodeMainTest, NobodyElseMayLookIntoItsDirectory) {
  const mode_t before = umask(0022);
  StartGood(good_);
  umask(before);
  size_t seen = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root_ + "/data")) {
    EXPECT_EQ(entry.status().permissions() & (std::filesystem::perms::group_all | std::filesystem::perms::others_all),
              std::filesystem::perms::none)
        << entry.path();
    ++seen;
  }
  EXPECT_GE(seen, 3u);
  EXPECT_EQ(Stop(SIGTERM), 0);
}

TEST_F(DatanodeMainTest, ServesStopsCleanlyAndRefusesASecondOne) {
  StartGood(good_);
  const auto first = std::move(child_);
  ExpectLine({"--data-dirs", root_ + "/data", "--port=0"}, kFailed, "another datanode is using this directory");
  ExpectLine({"--data-dirs", root_ + "/other", "--port", port_}, kFailed, port_);
  first->Signal(SIGTERM);
  EXPECT_EQ(CodeOf(first->Wait(std::chrono::seconds(30))), 0);
  StartGood(good_);
  EXPECT_EQ(Stop(SIGKILL), 128 + SIGKILL);
  StartGood(good_);
  EXPECT_EQ(Stop(SIGINT), 0);
}

class NamenodeMainTest : public DaemonTest {
 protected:
  NamenodeMainTest() : DaemonTest("dolmen-namenode") {}
  const std::string metadata_ = root_ + "/metadata";
};

TEST_F(NamenodeMainTest, BadInputGetsOneClearLine) {
  ExpectLine({}, kBadUsage, "--metadata-dir");
  ExpectLine({"--metadata-dir", metadata_, "--no-such-flag=1"}, kBadUsage, "no-such-flag");
  ExpectLine({"--metadata-dir", metadata_, "stray"}, kBadUsage, "stray");
  ExpectLine({"--metadata-dir", metadata_, "--port", "70000"}, kBadUsage, "70000");
  ExpectLine({"--metadata-dir", metadata_, "--namenode-min-replication=9"}, kBadUsage, "namenode_min_replication");
  ExpectLine({"--metadata-dir", metadata_, "--force", "CID-1"}, kBadUsage, "--force");
  ExpectLine({"--metadata-dir", metadata_, "--force"}, kBadUsage, "--force");
  ExpectLine({"--port-file"}, kBadUsage, "--port-file");
  ExpectLine({"--config", root_ + "/missing.toml"}, kBadUsage, "missing.toml");
  ExpectLine({"--metadata-dir", metadata_, "--log-level", "loud"}, kBadUsage, "loud");
  ExpectLine({"--metadata-dir", metadata_, "--bind-host", "0.0.0.0"}, kBadUsage, "namenode_allow_remote");
  EXPECT_FALSE(std::filesystem::exists(metadata_));
  ExpectLine({"--metadata-dir", metadata_}, kFailed, "--format");
  ExpectLine({"--format", "--metadata-dir", "/proc/nothing"}, kFailed, "/proc/nothing");
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_EQ(Run({"--print-config"}), 0);
}

TEST_F(NamenodeMainTest, FormatsOnceServesStopsCleanlyAndRefusesASecondOne) {
  ASSERT_EQ(Run({"--format", "--metadata-dir", metadata_}), 0) << ExternalCluster::ReadFile(log_);
  ExpectLine({"--format", "--metadata-dir", metadata_}, kFailed, metadata_);
  StartGood({"--metadata-dir", metadata_});
  const auto first = std::move(child_);
  ExpectLine({"--metadata-dir", metadata_, "--port=0"}, kFailed, metadata_);
  first->Signal(SIGTERM);
  EXPECT_EQ(CodeOf(first->Wait(std::chrono::seconds(30))), 0);
  StartGood({"--metadata-dir", metadata_});
  EXPECT_EQ(Stop(SIGKILL), 128 + SIGKILL);
  StartGood({"--metadata-dir", metadata_});
  EXPECT_EQ(Stop(SIGINT), 0);
}

// A variable of the environment, while it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name_); }

 private:
  const char* const name_;
};

TEST_F(NamenodeMainTest, FormatsWhatIsEmptyWhenToldTo) {
  {
    const Variable format("DOLMEN_FORMAT", "always");
    ExpectLine({"--metadata-dir", metadata_}, kBadUsage, "if-empty");
    EXPECT_FALSE(std::filesystem::exists(metadata_));
  }
  const Variable format("DOLMEN_FORMAT", "if-empty");
  StartGood({"--metadata-dir", metadata_});
  const std::string log = ExternalCluster::ReadFile(log_);
  const size_t at = log.find("formatted " + metadata_ + ": cluster ");
  ASSERT_NE(at, std::string::npos) << log;
  const std::string cluster = log.substr(log.find("CID", at), log.find(',', at) - log.find("CID", at));
  EXPECT_EQ(Stop(SIGKILL), 128 + SIGKILL);

  StartGood({"--metadata-dir", metadata_});  // the same namespace
  EXPECT_TRUE(Eventually([&] { return ExternalCluster::ReadFile(log_).find(cluster) != std::string::npos; }));
  EXPECT_THAT(ExternalCluster::ReadFile(log_), Not(HasSubstr("formatted")));
  EXPECT_EQ(Stop(SIGTERM), 0);

  const std::string foreign = root_ + "/foreign";
  std::filesystem::create_directories(foreign + "/photos");
  ExpectLine({"--metadata-dir", foreign}, kFailed, "photos");
  ExpectLine({"--metadata-dir", metadata_, "--namenode-group-mapping-file", root_ + "/missing"}, kFailed, "missing");
}

}  // namespace
}  // namespace dolmen::testing
