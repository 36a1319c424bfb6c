// dolmen-bench itself, with sizes that take seconds: every benchmark gives figures of both sides and leaves nothing
// behind, also when it is interrupted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "build_paths.h"
#include "tests/support/child_process.h"
#include "tests/support/eventually.h"
#include "tests/support/slowness.h"
#include "tests/support/temp_dir.h"

namespace dolmen::testing {
namespace {

using ::testing::HasSubstr;

class BenchTest : public ::testing::Test {
 protected:
  BenchTest() { std::filesystem::create_directory(Work()); }
  void TearDown() override { EXPECT_TRUE(std::filesystem::is_empty(Work())) << "left behind; log:\n" << Log(); }

  std::unique_ptr<ChildProcess> Start(std::vector<std::string> args) {
    args.insert(args.begin(), std::string(DOLMEN_BIN_DIR) + "/dolmen-bench");
    return std::make_unique<ChildProcess>(args, directory_.File("log"));
  }
  // The exit code, or -1.
  int Run(const std::vector<std::string>& args) {
    const std::optional<int> status = Start(args)->Wait(kSlowness * std::chrono::seconds(100));
    return status.has_value() && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
  }
  std::vector<std::string> With(std::vector<std::string> args) {
    args.insert(args.end(), {"--dir", Work(), "--json", directory_.File("json")});
    return args;
  }
  // A result of one side is there, and above zero.
  void ExpectResult(const std::string& what, const std::string& side) {
    const std::string json = Read("json");
    const size_t at = json.find(R"("kind":"result","what":")" + what + "\"");
    ASSERT_NE(at, std::string::npos) << what << " in\n" << json;
    const size_t of_side = json.find(R"("side":")" + side + "\"", at);
    ASSERT_NE(of_side, std::string::npos) << what << " of " << side << " in\n" << json;
    const size_t median = json.find(R"("median":)", of_side);
    EXPECT_GT(std::atof(json.c_str() + median + 9), 0) << what << " of " << side;
  }

  std::string Work() const { return directory_.File("work"); }
  std::string Log() const { return Read("log"); }
  std::string Read(const std::string& name) const {
    std::ifstream in(directory_.File(name));
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  const TempDir directory_;
};

TEST_F(BenchTest, Meta) {
  ASSERT_EQ(Run(With({"meta", "--operations=64", "--repeats=1"})), 0) << Log();
  for (const char* what : {"create", "mkdirs", "rename", "delete"}) {
    ExpectResult(what, "dolmen");
    ExpectResult(what, "committer");
  }
  for (const char* what : {"stat", "open", "ls"}) {
    ExpectResult(what, "dolmen");
    ExpectResult(what, "echo");
  }
  EXPECT_THAT(Log(), HasSubstr("| create | 256 outstanding over 4 |"));
}

TEST_F(BenchTest, Io) {
  ASSERT_EQ(Run(With({"io", "--file-bytes=3m", "--small-files=20", "--threads=4", "--repeats=1"})), 0) << Log();
  ExpectResult("write, 3 replicas", "dolmen");
  ExpectResult("write, 3 replicas", "relay");
  ExpectResult("read", "dolmen");
  ExpectResult("read", "stream");
  ExpectResult("write small files", "dolmen");
  ExpectResult("write small files", "cp + fsync x3");
  ExpectResult("read small files", "plain files");
}

TEST_F(BenchTest, Restart) {
  ASSERT_EQ(Run(With({"restart", "--files=300", "--repeats=1", "--keep-caches"})), 0) << Log();
  for (const char* what : {"first stat", "first durable create", "resident before the kill"}) {
    ExpectResult(what, "dolmen");
    ExpectResult(what, "committer");
  }
  ExpectResult("first read", "dolmen");
  EXPECT_THAT(Log(), HasSubstr("WARM CACHE"));
}

TEST_F(BenchTest, Growth) {
  ASSERT_EQ(Run(With({"growth", "--files=1500", "--repeats=1"})), 0) << Log();
  for (const char* what : {"create", "list all"}) ExpectResult(what, "dolmen");
  ExpectResult("create", "committer");
  ExpectResult("list all", "echo");
  ExpectResult("delete -r, answered", "dolmen");
  EXPECT_THAT(Log(), HasSubstr("in a deep tree"));
}

TEST_F(BenchTest, NonsenseIsRefusedBeforeAnythingStarts) {
  EXPECT_EQ(Run(With({"meta", "--operations=none"})), 2);
  EXPECT_THAT(Log(), HasSubstr("dolmen-bench: --operations 'none': a number from 64"));
}

TEST_F(BenchTest, TimeLimitEndsItAndItsCluster) {
  EXPECT_EQ(Run(With({"meta", "--operations=1000000", "--time-limit=2"})), 124) << Log();
}

TEST_F(BenchTest, InterruptEndsItAndItsCluster) {
  const std::unique_ptr<ChildProcess> bench = Start(With({"meta", "--operations=1000000"}));
  ASSERT_TRUE(Eventually([&] { return !std::filesystem::is_empty(Work()); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // in the middle of whatever it does by now
  bench->Signal(SIGINT);
  const std::optional<int> status = bench->Wait(std::chrono::seconds(30));
  ASSERT_TRUE(status.has_value() && WIFEXITED(*status));
  EXPECT_EQ(WEXITSTATUS(*status), 130);
}

}  // namespace
}  // namespace dolmen::testing
