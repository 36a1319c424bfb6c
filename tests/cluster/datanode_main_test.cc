// The binary: bad input gets one clear line and an exit code; a good start serves and stops.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/eventually.h"
#include "tests/support/temp_dir.h"

namespace dolmen {
namespace {

struct Outcome {
  int code = -1;
  std::string errors;
};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class DatanodeMainTest : public ::testing::Test {
 protected:
  void TearDown() override {
    if (child_ > 0) Stop(SIGKILL);
  }

  pid_t Spawn(std::vector<std::string> args) {
    const std::string binary = std::string(DOLMEN_BIN_DIR) + "/dolmen-datanode";
    args.insert(args.begin(), binary);
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    const std::string log = root_ + "/stderr";
    const pid_t pid = fork();
    if (pid == 0) {
      const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      dup2(out, 2);
      dup2(out, 1);
      execv(binary.c_str(), argv.data());
      _exit(127);
    }
    return pid;
  }
  static int Wait(pid_t pid) {
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  Outcome Run(std::vector<std::string> args) {
    const int code = Wait(Spawn(std::move(args)));
    return {code, ReadAll(root_ + "/stderr")};
  }
  // Starts one that works and waits for its port.
  void StartGood() {
    std::filesystem::remove(root_ + "/port");
    child_ = Spawn(
        {"--data-dirs", root_ + "/data", "--namenode", "127.0.0.1:1", "--port=0", "--port-file", root_ + "/port"});
    ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(root_ + "/port"); })) << ReadAll(root_ + "/stderr");
    port_ = ReadAll(root_ + "/port");
    port_.pop_back();
  }
  int Stop(int signal) {
    kill(child_, signal);
    const int code = Wait(child_);
    child_ = -1;
    return code;
  }
  static void ExpectLine(const Outcome& outcome, int code, const std::string& part) {
    EXPECT_EQ(outcome.code, code) << outcome.errors;
    EXPECT_NE(outcome.errors.find(part), std::string::npos) << outcome.errors;
    EXPECT_NE(outcome.errors.find("dolmen-datanode: "), std::string::npos) << outcome.errors;
  }

  const TempDir directory_;
  const std::string root_ = directory_.path();
  std::string port_;
  pid_t child_ = -1;
};

TEST_F(DatanodeMainTest, BadInputGetsOneClearLine) {
  const std::string dir = root_ + "/d";
  ExpectLine(Run({}), 2, "--data-dirs");
  ExpectLine(Run({"--data-dirs", dir, "--no-such-flag=1"}), 2, "no-such-flag");
  ExpectLine(Run({"--data-dirs", dir, "stray"}), 2, "stray");
  ExpectLine(Run({"--data-dirs", dir, "--port", "70000"}), 2, "70000");
  ExpectLine(Run({"--data-dirs", dir, "--namenode", "host:x"}), 2, "host:x");
  ExpectLine(Run({"--data-dirs", "[TAPE]/x"}), 2, "TAPE");
  ExpectLine(Run({"--data-dirs", dir, "--datanode-rack=r"}), 2, "datanode_rack");
  ExpectLine(Run({"--config"}), 2, "--config");
  ExpectLine(Run({"--config", root_ + "/missing.toml"}), 2, "missing.toml");
  ExpectLine(Run({"--data-dirs", dir, "--log-level", "loud"}), 2, "loud");
  ExpectLine(Run({"--data-dirs", dir + "," + dir}), 1, "twice");
  ExpectLine(Run({"--data-dirs", "/proc/nothing"}), 1, "/proc/nothing");
  EXPECT_EQ(Run({"--help"}).code, 0);
  EXPECT_EQ(Run({"--sample-config"}).code, 0);
}

TEST_F(DatanodeMainTest, ServesStopsCleanlyAndRefusesASecondOne) {
  StartGood();
  ExpectLine(Run({"--data-dirs", root_ + "/data", "--port=0"}), 1, "another datanode is using this directory");
  ExpectLine(Run({"--data-dirs", root_ + "/other", "--port", port_}), 1, port_);
  EXPECT_EQ(Stop(SIGTERM), 0);
  StartGood();
  EXPECT_EQ(Stop(SIGKILL), 128 + SIGKILL);
  StartGood();
  EXPECT_EQ(Stop(SIGINT), 0);
}

}  // namespace
}  // namespace dolmen
