// The installed tree, as somebody else's program uses it: install, configure, build, run against a cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "build_paths.h"
#include "tests/support/child_process.h"
#include "tests/support/external_cluster.h"
#include "tests/support/temp_dir.h"

namespace dolmen::testing {
namespace {

using ::testing::HasSubstr;
using Words = std::vector<std::string>;

class InstallTest : public ::testing::Test {
 protected:
  // The output of a command that must succeed.
  std::string Run(const Words& words) {
    const std::string log = absl::StrCat(directory_.path(), "/log", ++commands_);
    ChildProcess child(words, log);
    const std::optional<int> status = child.Wait(std::chrono::minutes(4));
    const std::string output = ExternalCluster::ReadFile(log);
    EXPECT_TRUE(status.has_value() && WIFEXITED(*status) && WEXITSTATUS(*status) == 0)
        << absl::StrJoin(words, " ") << ":\n"
        << output;
    return output;
  }
  std::string Dir(const std::string& name) const { return directory_.path() + "/" + name; }

  const TempDir directory_;
  int commands_ = 0;
};

TEST_F(InstallTest, AProgramOutsideOfTheTreeBuildsAndRuns) {
  Run({DOLMEN_CMAKE, "--install", DOLMEN_BUILD_DIR, "--prefix", Dir("prefix")});
  EXPECT_TRUE(std::filesystem::exists(Dir("prefix") + "/bin/dolmen"));
  EXPECT_THAT(Run({Dir("prefix") + "/bin/dolmen", "version"}), HasSubstr("Dolmen"));

  std::filesystem::copy(DOLMEN_SOURCE_DIR "/tests/example", Dir("source"));
  const std::string sanitize = DOLMEN_SANITIZE;
  Run({DOLMEN_CMAKE, "-G", "Ninja", "-S", Dir("source"), "-B", Dir("build"), "-DCMAKE_BUILD_TYPE=Release",
       absl::StrCat("-DCMAKE_CXX_COMPILER=", DOLMEN_CXX), absl::StrCat("-DCMAKE_PREFIX_PATH=", Dir("prefix")),
       absl::StrCat("-DCMAKE_CXX_FLAGS=", sanitize.empty() ? "" : "-fsanitize=" + sanitize)});
  Run({DOLMEN_CMAKE, "--build", Dir("build")});

  ExternalCluster cluster({.datanodes = 1});
  ASSERT_TRUE(cluster.Start());
  const std::string output = Run({Dir("build") + "/example", cluster.uri(), "/outside"});
  EXPECT_EQ(output,
            "Hello from outside.\n"
            "greeting: 20 bytes, 3 replicas\n"
            "File does not exist: /outside/nothing\n");
}

}  // namespace
}  // namespace dolmen::testing
