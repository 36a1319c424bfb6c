// How the client library finds its way to datanodes: by their addresses, and through each other.
#include "client_fixture.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dolmen::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ClientRoutesTest : public ClientFixture {
 protected:
  // Only the last one can be reached; it reaches the others.
  void HideAllButOne() {
    datanodes_[0]->hidden = datanodes_[1]->hidden = true;
    datanodes_[2]->Reach({datanodes_[0].get(), datanodes_[1].get()});
  }
};

TEST_F(ClientRoutesTest, WhoCannotBeReachedIsReachedThroughAnother) {
  HideAllButOne();
  const std::string content = Random(1).Bytes(3 << 20);
  const absl::Status written = Write("/f", content);
  ASSERT_TRUE(written.ok()) << written;
  const absl::StatusOr<std::string> read = Read("/f");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(*read == content);
  EXPECT_GE(datanodes_[0]->writes, 1);
  EXPECT_GE(datanodes_[0]->reads, 1);
  // Remembered: each further stream takes one call, not another search.
  const int before = datanodes_[2]->relayed;
  ASSERT_TRUE(Read("/f").ok());
  EXPECT_LE(datanodes_[2]->relayed - before, 3);  // one read for each block of 1 MiB
}

TEST_F(ClientRoutesTest, WithoutAnybodyToGoThroughTheErrorSaysWhatWasTried) {
  for (auto& datanode : datanodes_) datanode->hidden = true;
  const absl::Status status = Write("/f", "hello");
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("127.0.0.1:1 (default): Connection refused"),
                                                   HasSubstr("datanode dn2 can't be reached either"),
                                                   HasSubstr("datanode dn3 can't be reached either")));
}

TEST_F(ClientRoutesTest, WhoeverReachesItIsFound) {
  datanodes_[0]->hidden = true;
  datanodes_[1]->Reach({datanodes_[0].get()});
  ASSERT_TRUE(Write("/f", "hello").ok());  // whichever of the two was asked first
  EXPECT_EQ(datanodes_[0]->writes, 1);
  // The one that was gone through no longer reaches it, but the other one does.
  datanodes_[1]->Reach({});
  datanodes_[2]->Reach({datanodes_[0].get()});
  for (int i = 0; i < 2; ++i) {
    const absl::Status written = Write(absl::StrCat("/g", i), "hello");
    EXPECT_TRUE(written.ok()) << written;
  }
  EXPECT_GE(datanodes_[0]->writes, 2);
}

TEST_F(ClientRoutesTest, OneThatReachesItNoMoreThanTheClientIsNamed) {
  HideAllButOne();
  datanodes_[2]->Reach({});
  ASSERT_TRUE(Write("/f", "hello").ok());  // at last to the one that can be reached
  EXPECT_EQ(datanodes_[0]->writes + datanodes_[1]->writes, 0);
  const int asked = datanodes_[2]->relayed;
  EXPECT_GE(asked, 2);
  // Not again at once.
  ASSERT_TRUE(Write("/g", "hello").ok());
  EXPECT_EQ(datanodes_[2]->relayed, asked);
}

TEST_F(ClientRoutesTest, AnotherDatanodeAtAnAddressIsNotTakenForIt) {
  datanodes_[0]->AddAddress(
      {.network = "wrong", .host = "127.0.0.1", .port = static_cast<uint16_t>(datanodes_[1]->port())});
  ASSERT_TRUE(Write("/f", "hello").ok());
  EXPECT_EQ(datanodes_[0]->writes, 1);
  EXPECT_EQ(datanodes_[1]->writes, 0);
  EXPECT_EQ(*Read("/f"), "hello");

  datanodes_[0]->hidden = true;  // left with the wrong one
  client_ = *FileSystemClient::Connect(namenode_.Uri(), {});
  absl::StatusOr<std::unique_ptr<OutputStream>> out = client_->Create("/g", {});
  ASSERT_TRUE(out.ok());
  ASSERT_TRUE((*out)->Write("hello").ok());
  ASSERT_TRUE((*out)->Close().ok());
  EXPECT_EQ(datanodes_[0]->writes, 1);
}

}  // namespace
}  // namespace dolmen::testing
