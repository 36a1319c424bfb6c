#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class RecoverLeaseTest : public NamespaceTest {
 protected:
  auto RecoverLease(const std::string& path) { return Run(super, protocol::RecoverLeaseRequest{.path = path}); }
};

TEST_F(RecoverLeaseTest, AClosedFileIsClosed) {
  WriteFile("/f", {5});
  const MapReader::Entries before = Dump(store);
  EXPECT_TRUE(RecoverLease("/f")->closed);
  EXPECT_EQ(Dump(store).size(), before.size());
}

TEST_F(RecoverLeaseTest, TakesTheFileFromALivingWriter) {
  const InodeId file = Create("/f")->status.inode;
  const protocol::Block block = AddBlock("/f", std::nullopt)->block;
  EXPECT_FALSE(RecoverLease("/f")->closed);
  EXPECT_EQ(GetOpen(store, file).value()->holder, kNamenodeHolder);
  EXPECT_EQ(ReasonOf(Complete("/f", block).status()), ErrorReason::kLeaseExpired);
  const GenerationStamp recovery = *GetOpen(store, file).value()->recovery;
  // Asked again it waits for the recovery under way, and begins no other.
  EXPECT_REFUSED(RecoverLease("/f"), kNotReplicatedYet, "Not replicated yet: /f");
  EXPECT_EQ(GetOpen(store, file).value()->recovery, recovery);
  ASSERT_TRUE(RunOperation([&](OperationContext& context) {
                return ops::FinishRecovery(context, file, recovery, Recovered(40));
              }).ok());
  EXPECT_TRUE(RecoverLease("/f")->closed);
  EXPECT_EQ(Info("/f")->length, 40u);
}

TEST_F(RecoverLeaseTest, ClosesAtOnceWhatIsComplete) {
  ASSERT_TRUE(Create("/empty").ok());
  EXPECT_TRUE(RecoverLease("/empty")->closed);
  EXPECT_FALSE(Info("/empty")->under_construction);
}

TEST_F(RecoverLeaseTest, OnlyFromTheHolderThatWasNamed) {
  ASSERT_TRUE(Create("/f").ok());
  ASSERT_TRUE(AddBlock("/f", std::nullopt).ok());
  const auto other = Run(super, protocol::RecoverLeaseRequest{.path = "/f", .holder = "gone"});
  EXPECT_EQ(ReasonOf(other.status()), ErrorReason::kLeaseExpired) << other.status();
  EXPECT_TRUE(EffectsOf<RecoveryStarted>().empty());
  const auto own = Run(super, protocol::RecoverLeaseRequest{.path = "/f", .holder = "writer"});
  ASSERT_TRUE(own.ok()) << own.status();
  EXPECT_FALSE(own->closed);
  // It is the namenode's by now: asked again, the call waits for the end.
  const auto again = Run(super, protocol::RecoverLeaseRequest{.path = "/f", .holder = "writer"});
  EXPECT_EQ(ReasonOf(again.status()), ErrorReason::kNotReplicatedYet);
}

TEST_F(RecoverLeaseTest, RefusalsInTheWordsOfHdfs) {
  ASSERT_TRUE(Mkdirs("/d").ok());
  EXPECT_REFUSED(RecoverLease("/none"), kFileNotFound, "File does not exist: /none");
  EXPECT_REFUSED(RecoverLease("/d"), kFileNotFound, "Path is not a file: /d");
  ASSERT_TRUE(Create("/f").ok());
  EXPECT_EQ(ReasonOf(Run(alice, protocol::RecoverLeaseRequest{.path = "/f"}).status()), ErrorReason::kAccessControl);
  WriteFile("/closed", {5});
  EXPECT_TRUE(Run(alice, protocol::RecoverLeaseRequest{.path = "/closed"})->closed) << "asking about a closed file";
}

}  // namespace
}  // namespace dolmen::namenode
