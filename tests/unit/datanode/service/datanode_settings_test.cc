#include "datanode/datanode_settings.h"

#include <gtest/gtest.h>

#include "common/error.h"

namespace dolmen::datanode {
namespace {

TEST(DatanodeSettingsTest, DirectoriesMayNameTheirStorageType) {
  const auto directories = ParseDataDirectories("/a/, [SSD]/b ,,[ARCHIVE]/c");
  ASSERT_TRUE(directories.ok()) << directories.status();
  ASSERT_EQ(directories->size(), 3u);
  EXPECT_EQ((*directories)[0].path, "/a");
  EXPECT_EQ((*directories)[1].path, "/b");
  EXPECT_EQ((*directories)[1].type, protocol::StorageType::kSsd);
  EXPECT_EQ((*directories)[2].type, protocol::StorageType::kArchive);
  for (const char* bad : {"", ",", "[TAPE]/x", "[SSD", "[SSD]"}) {
    EXPECT_EQ(ReasonOf(ParseDataDirectories(bad).status()), ErrorReason::kIllegalArgument) << bad;
  }
}

TEST(DatanodeSettingsTest, AddressesMayNameTheirNetworkAndLeaveOutThePort) {
  const auto addresses = ParseAddresses("docker=dn1:7066,host=127.0.0.1,[::1]:9,x=[fe80::1]");
  ASSERT_TRUE(addresses.ok()) << addresses.status();
  EXPECT_EQ(*addresses,
            (std::vector<protocol::Address>{
                {"docker", "dn1", 7066}, {"host", "127.0.0.1", 0}, {"default", "::1", 9}, {"x", "fe80::1", 0}}));
  for (const char* bad : {"a:b", "a:0", "a:65536", ":5", "::1", "[::1", "[::1]x", "a:", "net="}) {
    EXPECT_FALSE(ParseAddresses(bad).ok()) << bad;
  }
}

TEST(DatanodeSettingsTest, TheDefaultsMakeSense) {
  Settings settings(DatanodeSettingsTable());
  ASSERT_TRUE(settings.SetFromText("datanode_data_dirs", "/a,/b", "test").ok());
  const auto options = OptionsFromSettings(settings);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->port, 7066);
  EXPECT_EQ(options->bind_host, "127.0.0.1");
  EXPECT_EQ(options->namenode_host, "localhost");
  EXPECT_EQ(options->namenode_port, 7020);
  ASSERT_TRUE(settings.SetFromText("datanode_failed_volumes_tolerated", "2", "test").ok());
  EXPECT_FALSE(OptionsFromSettings(settings).ok());
}

}  // namespace
}  // namespace dolmen::datanode
