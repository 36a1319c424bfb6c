#include "client/dolmen/client.h"
#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dolmen {
namespace {

using namespace std::string_literals;

TEST(NormalizePathTest, DoesWhatHdfsClientsDo) {
  const struct {
    std::string path;
    std::string normal;
  } kTable[] = {
      {"/", "/"},
      {"/a/b", "/a/b"},
      {"//a///b//", "/a/b"},
      {"/a/", "/a"},
      {"/./a/./b/.", "/a/b"},
      {"/a/../b", "/b"},
      {"/a/b/..", "/a"},
      {"/a/..", "/"},
      {"/a/b/../../c", "/c"},
      {"x", "/user/me/x"},
      {"x/y/", "/user/me/x/y"},
      {".", "/user/me"},
      {"..", "/user"},
      {"../..", "/"},
      {"./x", "/user/me/x"},
      {"/a b/%20", "/a b/%20"},
      {"/grüße/日本/😀", "/grüße/日本/😀"},
      {"/...", "/..."},
      {"/.x/..y", "/.x/..y"},
      {"/a\nb", "/a\nb"},
  };
  for (const auto& row : kTable) {
    const absl::StatusOr<std::string> normal = NormalizePath(row.path, "/user/me");
    ASSERT_TRUE(normal.ok()) << row.path << ": " << normal.status();
    EXPECT_EQ(*normal, row.normal) << row.path;
    EXPECT_EQ(*NormalizePath(*normal, "/elsewhere"), row.normal) << "normal paths stay as they are";
  }
}

TEST(NormalizePathTest, RefusesWhatNoPathCanBe) {
  const std::string kTable[] = {
      "",          "/a\0b"s, "\0"s,      "/\xff",    "/\xc0\xaf", "/\xed\xa0\x80", "/\xf5\x80\x80\x80",
      "/\xe6\x97", "/..",    "/a/../..", "../../..", "/a:b",      "/\x80"};
  for (const std::string& path : kTable) {
    const absl::StatusOr<std::string> normal = NormalizePath(path, "/user/me");
    ASSERT_FALSE(normal.ok()) << path << " -> " << *normal;
    EXPECT_EQ(ReasonOf(normal.status()), ErrorReason::kInvalidPath);
    for (const char c : normal.status().message())
      EXPECT_GE(static_cast<unsigned char>(c), 0x20) << "one printable line";
  }
  EXPECT_EQ(NormalizePath("", "/").status().message(), "Can not create a Path from an empty string");
  EXPECT_THAT(std::string(NormalizePath("/a\0b"s, "/").status().message()), testing::HasSubstr("/a\\x00b"));
}

TEST(NormalizePathTest, ARelativePathNeedsAnAbsoluteHome) {
  EXPECT_FALSE(NormalizePath("x", "").ok());
  EXPECT_FALSE(NormalizePath("x", "home").ok());
  EXPECT_TRUE(NormalizePath("/x", "").ok());
}

TEST(ParseDolmenUriTest, TakesHostPortAndPath) {
  const struct {
    std::string uri, host, path;
    uint16_t port;
  } kTable[] = {
      {"dolmen://localhost", "localhost", "", 7020},
      {"dolmen://localhost/", "localhost", "/", 7020},
      {"dolmen://nn.example.com:99/a/b", "nn.example.com", "/a/b", 99},
      {"DOLMEN://h:65535", "h", "", 65535},
      {"dolmen://[::1]:7021/x", "[::1]", "/x", 7021},
      {"dolmen://10.0.0.1", "10.0.0.1", "", 7020},
      {"dolmen://[fe80::1%eth0]", "[fe80::1%eth0]", "", 7020},
  };
  for (const auto& row : kTable) {
    const absl::StatusOr<DolmenUri> uri = ParseDolmenUri(row.uri);
    ASSERT_TRUE(uri.ok()) << uri.status();
    EXPECT_EQ(uri->host, row.host);
    EXPECT_EQ(uri->port, row.port);
    EXPECT_EQ(uri->path, row.path);
  }
}

TEST(ParseDolmenUriTest, SaysWhatIsWrong) {
  for (const std::string uri :
       {"", "localhost:7020", "hdfs://h", "dolmen:/h", "dolmen://", "dolmen:///a", "dolmen://:7020",
        "dolmen://h:", "dolmen://h:0", "dolmen://h:65536", "dolmen://h:1x", "dolmen://h:-1", "dolmen://[::1",
        "dolmen://[]:1", "dolmen://[::1]x", "dolmen://a b", "dolmen://user@h", "dolmen://h:1:2"}) {
    const absl::StatusOr<DolmenUri> parsed = ParseDolmenUri(uri);
    ASSERT_FALSE(parsed.ok()) << uri;
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(parsed.status().message()), testing::HasSubstr("Bad URI " + uri));
  }
}

}  // namespace
}  // namespace dolmen
