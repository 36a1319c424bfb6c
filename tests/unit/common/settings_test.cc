#include "common/settings.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "common/error.h"
#include "tests/support/temp_dir.h"

namespace dolmen {
namespace {

std::vector<Setting> Table() {
  return {
      {"datanode_heartbeat_interval_ms", int64_t{3000}, "How often a datanode reports.", 100, 60000},
      {"datanode_data_dir", std::string("/data"), "Where replicas are kept."},
      {"datanode_cache_bytes", int64_t{1 << 20}, "Memory for buffers.", 0},
      {"namenode_safe_mode_fraction", 0.999, "Part of the blocks to wait for."},
      {"namenode_sync_on_close", true, "Whether close means durable."},
      {"namenode_forget_everything", false, "Loses data.", INT64_MIN, INT64_MAX, true},
  };
}

std::string Write(const TempDir& dir, const std::string& content) {
  const std::string path = dir.File("dolmen.toml");
  std::ofstream(path) << content;
  return path;
}

void ExpectRefused(const absl::Status& status, const std::vector<std::string_view>& parts) {
  EXPECT_EQ(ReasonOf(status), ErrorReason::kIllegalArgument) << status;
  for (const std::string_view part : parts) {
    EXPECT_NE(MessageOf(status).find(part), std::string_view::npos) << status << "\nlacks " << part;
  }
}

TEST(Settings, StartFromTheirDefaults) {
  const Settings settings(Table());
  EXPECT_EQ(settings.Int("datanode_heartbeat_interval_ms"), 3000);
  EXPECT_EQ(settings.Text("datanode_data_dir"), "/data");
  EXPECT_DOUBLE_EQ(settings.Double("namenode_safe_mode_fraction"), 0.999);
  EXPECT_TRUE(settings.Bool("namenode_sync_on_close"));
}

TEST(Settings, ComeFromATomlFile) {
  TempDir dir;
  Settings settings(Table());
  const absl::Status loaded = settings.LoadTomlFile(Write(dir, R"(
datanode_heartbeat_interval_ms = 500  # faster
datanode_data_dir = "/mnt/a"
datanode_cache_bytes = "64m"
namenode_safe_mode_fraction = 1
namenode_sync_on_close = false
)"));
  ASSERT_TRUE(loaded.ok()) << loaded;
  EXPECT_EQ(settings.Int("datanode_heartbeat_interval_ms"), 500);
  EXPECT_EQ(settings.Text("datanode_data_dir"), "/mnt/a");
  EXPECT_EQ(settings.Int("datanode_cache_bytes"), 64 << 20);
  EXPECT_DOUBLE_EQ(settings.Double("namenode_safe_mode_fraction"), 1.0);
  EXPECT_FALSE(settings.Bool("namenode_sync_on_close"));
}

TEST(Settings, TomlErrorsNameFileLineAndRemedy) {
  TempDir dir;
  const std::string path = dir.File("dolmen.toml");
  const auto load = [&](const std::string& content) {
    Settings settings(Table());
    return settings.LoadTomlFile(Write(dir, content));
  };
  ExpectRefused(load("\n\ndatanode_data_dri = \"/x\"\n"), {path + ":3", "datanode_data_dri", "datanode_data_dir?"});
  ExpectRefused(load("datanode_heartbeat_interval_ms = \"soon\"\n"), {path + ":1", "\"soon\"", "whole number"});
  ExpectRefused(load("datanode_heartbeat_interval_ms = 5.5\n"), {path + ":1", "whole number"});
  ExpectRefused(load("datanode_heartbeat_interval_ms = 5\n"), {path + ":1", "= 5", "100 to 60000"});
  ExpectRefused(load("namenode_sync_on_close = 1\n"), {"true or false"});
  ExpectRefused(load("datanode_data_dir = [\"/a\"]\n"), {"must be text"});
  ExpectRefused(load("[datanode]\nx = 1\n"), {"unknown setting datanode"});
  ExpectRefused(load("a = 1\nb = = 2\n"), {path + ":2"});
  Settings settings(Table());
  ExpectRefused(settings.LoadTomlFile(dir.File("missing.toml")),
                {"missing.toml: the settings file can't be read: No such file or directory"});
  ExpectRefused(settings.LoadTomlFile(dir.path()), {dir.path() + ": is a directory"});
}

TEST(Settings, OneFileServesAllPrograms) {
  TempDir dir;
  Settings namenode({Setting{"namenode_port", int64_t{7020}, "Port."}});
  const absl::Status loaded =
      namenode.LoadTomlFile(Write(dir, "namenode_port = 1\ndatanode_port = 2\nclient_user = \"x\"\n"));
  ASSERT_TRUE(loaded.ok()) << loaded;
  EXPECT_EQ(namenode.Int("namenode_port"), 1);
  Settings strict({Setting{"namenode_port", int64_t{7020}, "Port."}});
  ExpectRefused(strict.LoadTomlFile(Write(dir, "datenode_port = 2\n")), {"unknown setting datenode_port"});
}

TEST(Settings, ComeFromTheEnvironment) {
  Settings settings(Table());
  const char* const environment[] = {
      "PATH=/bin",         "DOLMEN_DATANODE_CACHE_BYTES=2g", "DOLMEN_NAMENODE_SYNC_ON_CLOSE=off",
      "DOLMEN_USER=alice", "DOLMEN_CLIENT_OTHER=1",          nullptr};
  const absl::Status loaded = settings.LoadEnvironment(environment);
  ASSERT_TRUE(loaded.ok()) << loaded;
  EXPECT_EQ(settings.Int("datanode_cache_bytes"), int64_t{2} << 30);
  EXPECT_FALSE(settings.Bool("namenode_sync_on_close"));
}

TEST(Settings, AMistypedVariableOfAKnownComponentIsRefused) {
  Settings settings(Table());
  const char* const environment[] = {"DOLMEN_DATANODE_CACHE_BITES=1", nullptr};
  ExpectRefused(settings.LoadEnvironment(environment), {"DOLMEN_DATANODE_CACHE_BITES", "datanode_cache_bytes?"});
}

TEST(Settings, ComeFromFlagsAndLeaveTheRest) {
  Settings settings(Table());
  const auto rest = settings.LoadFlags({"start", "--datanode-heartbeat-interval-ms=1k", "--datanode-data-dir", "/mnt/b",
                                        "-v", "--no-namenode-sync-on-close", "/path", "--", "--not-a-flag"});
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ(*rest, (std::vector<std::string>{"start", "-v", "/path", "--not-a-flag"}));
  EXPECT_EQ(settings.Int("datanode_heartbeat_interval_ms"), 1024);
  EXPECT_EQ(settings.Text("datanode_data_dir"), "/mnt/b");
  EXPECT_FALSE(settings.Bool("namenode_sync_on_close"));
  ASSERT_TRUE(settings.LoadFlags({"--namenode-sync-on-close"}).ok());
  EXPECT_TRUE(settings.Bool("namenode_sync_on_close"));
}

TEST(Settings, BadFlagsAreRefusedByName) {
  Settings settings(Table());
  const auto load = [&](const std::string& flag) { return settings.LoadFlags({flag}).status(); };
  ExpectRefused(load("--datanode-data-dirs=/x"), {"--datanode-data-dirs", "did you mean --datanode-data-dir?"});
  ExpectRefused(load("--zzz"), {"unknown flag"});
  ExpectRefused(load("--datanode-data-dir"), {"value must follow"});
  ExpectRefused(load("--no-datanode-data-dir"), {"unknown flag"});
  ExpectRefused(load("--datanode-cache-bytes=lots"), {"--datanode-cache-bytes", "\"lots\"", "k, m or g"});
  for (const char* bad : {"", "k", "1kk", "1 k", "1.5k", "9223372036854775807k", "0x10"}) {
    ExpectRefused(load(std::string("--datanode-cache-bytes=") + bad), {"whole number"});
  }
  ExpectRefused(load("--datanode-cache-bytes=-1"), {"= -1", "at least 0"});
  ExpectRefused(load("--namenode-safe-mode-fraction=nan"), {"a number"});
}

TEST(Settings, UnsafeOnesNeedPermission) {
  Settings settings(Table());
  unsetenv("DOLMEN_UNSAFE");
  ExpectRefused(settings.SetFromText("namenode_forget_everything", "true", "-D"), {"-D", "DOLMEN_UNSAFE=1"});
  setenv("DOLMEN_UNSAFE", "1", 1);
  EXPECT_TRUE(settings.SetFromText("namenode_forget_everything", "true", "-D").ok());
  unsetenv("DOLMEN_UNSAFE");
  EXPECT_TRUE(settings.Bool("namenode_forget_everything"));
}

TEST(Settings, TheSampleFileLoadsAndChangesNothing) {
  TempDir dir;
  Settings settings(Table());
  std::string sample = settings.SampleToml();
  EXPECT_TRUE(settings.LoadTomlFile(Write(dir, sample)).ok());
  // And with every setting uncommented it says the defaults.
  for (size_t at = sample.find("\n#"); at != std::string::npos; at = sample.find("\n#", at + 1)) {
    if (sample[at + 2] != ' ') sample.erase(at + 1, 1);
  }
  setenv("DOLMEN_UNSAFE", "1", 1);
  const absl::Status loaded = settings.LoadTomlFile(Write(dir, sample));
  unsetenv("DOLMEN_UNSAFE");
  EXPECT_TRUE(loaded.ok()) << loaded << "\n" << sample;
  EXPECT_EQ(settings.Int("datanode_heartbeat_interval_ms"), 3000);
  EXPECT_DOUBLE_EQ(settings.Double("namenode_safe_mode_fraction"), 0.999);
}

}  // namespace
}  // namespace dolmen
