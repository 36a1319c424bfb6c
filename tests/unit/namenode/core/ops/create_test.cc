#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class CreateTest : public NamespaceTest {
 protected:
  protocol::CreateRequest Overwriting(const std::string& path) {
    protocol::CreateRequest request = CreateOf(path);
    request.overwrite = true;
    return request;
  }
};

TEST_F(CreateTest, MakesAnEmptyFileOpenForItsCreator) {
  auto created = Create("/f");
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->status, *Info("/f"));
  EXPECT_TRUE(created->status.under_construction);
  EXPECT_EQ(created->status.length, 0u);
  EXPECT_EQ(created->status.replication, 3);
  EXPECT_EQ(created->status.block_bytes, kTestBlockBytes);
  EXPECT_EQ(created->status.modified, now);
  EXPECT_EQ(created->status.accessed, now);
  const OpenRecord open = *GetOpen(store, created->status.inode).value();
  EXPECT_EQ(open.holder, "writer");
  EXPECT_EQ(open.client_host, "client1");
  ASSERT_EQ(EffectsOf<LeaseOpened>().size(), 1u);
  EXPECT_EQ(EffectsOf<LeaseOpened>()[0].inode, created->status.inode);
  EXPECT_EQ(Totals("/").files, 1u);
}

TEST_F(CreateTest, MissingParentsGetTheModeOfTheNearestDirectory) {
  ASSERT_TRUE(Mkdirs("/d", 0550).ok());
  ASSERT_TRUE(Create("/d/x/y/f").ok());
  EXPECT_EQ(Info("/d/x")->permission, 0750);
  EXPECT_EQ(Info("/d/x/y")->permission, 0750);
}

TEST_F(CreateTest, WithoutParentsTheParentMustExist) {
  protocol::CreateRequest request = CreateOf("/d/f");
  request.create_parents = false;
  EXPECT_REFUSED(Run(super, request), kFileNotFound, "Parent directory doesn't exist: /d");
  request.path = "/f";
  EXPECT_TRUE(Run(super, request).ok());
}

TEST_F(CreateTest, RefusesAnExistingTarget) {
  ASSERT_TRUE(Mkdirs("/d").ok());
  WriteFile("/f", {1});
  EXPECT_REFUSED(Create("/d"), kFileAlreadyExists, "/d already exists as a directory");
  EXPECT_REFUSED(Run(super, Overwriting("/d")), kFileAlreadyExists, "/d already exists as a directory");
  EXPECT_REFUSED(Create("/"), kFileAlreadyExists, "/ already exists as a directory");
  EXPECT_REFUSED(Create("/f"), kFileAlreadyExists, "/f for client client1 already exists");
  EXPECT_REFUSED(Create("/f/g"), kParentNotDirectory, "/f (is not a directory)");
}

TEST_F(CreateTest, AFileOpenElsewhereIsSaidToBeSo) {
  ASSERT_TRUE(Create("/f").ok());
  EXPECT_REFUSED(Create("/f"), kAlreadyBeingCreated,
                 "Failed to CREATE_FILE /f for writer on client1 because writer is already the current lease holder.");
  protocol::CreateRequest other = CreateOf("/f");
  other.holder = "other";
  EXPECT_REFUSED(Run(super, other), kAlreadyBeingCreated,
                 "Failed to CREATE_FILE /f for other on client1 because this file lease is currently owned by writer "
                 "on client1");
  EXPECT_TRUE(overdue.empty());
}

TEST_F(CreateTest, BeyondTheSoftLimitTheFileIsHandedOverForClosing) {
  const InodeId file = Create("/f")->status.inode;
  ASSERT_TRUE(AddBlock("/f", std::nullopt).ok());
  effects.clear();
  leases.silent = {"writer"};
  protocol::CreateRequest other = CreateOf("/f");
  other.holder = "other";
  EXPECT_REFUSED(Run(super, other), kRecoveryInProgress,
                 "Failed to CREATE_FILE /f for other on client1 because lease recovery is in progress. Try again "
                 "later.");
  ASSERT_EQ(overdue.size(), 1u);
  EXPECT_EQ(overdue[0].inode, file);
  EXPECT_EQ(overdue[0].holder, "writer");
}

TEST_F(CreateTest, BeyondTheSoftLimitAFileWithNothingLeftToDoIsJustThere) {
  ASSERT_TRUE(Create("/f").ok());
  effects.clear();
  leases.silent = {"writer"};
  protocol::CreateRequest other = CreateOf("/f");
  other.holder = "other";
  EXPECT_REFUSED(Run(super, other), kFileAlreadyExists, "/f for client client1 already exists");
  EXPECT_EQ(overdue.size(), 1u) << "closed by an operation of its own";
  other.holder = kNamenodeHolder;
  EXPECT_EQ(ReasonOf(Run(super, other).status()), ErrorReason::kIllegalArgument);
}

TEST_F(CreateTest, ALeaseOfTheSameBatchHasNotExpired) {
  keep_batch_open = true;
  leases.silent = {"writer"};  // as the lease manager says of a holder it has not heard of yet
  ASSERT_TRUE(Create("/f").ok());
  protocol::CreateRequest other = CreateOf("/f");
  other.holder = "other";
  EXPECT_EQ(ReasonOf(Run(super, other).status()), ErrorReason::kAlreadyBeingCreated);
}

TEST_F(CreateTest, OverwritingPutsANewInodeInPlace) {
  WriteFile("/d/f", {kTestBlockBytes, 7});
  const InodeId old = Info("/d/f")->inode;
  effects.clear();
  auto created = Run(super, Overwriting("/d/f"));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_NE(created->status.inode, old);
  EXPECT_EQ(Info("/d/f")->length, 0u);
  EXPECT_EQ(Info("/d")->child_count, 1u);
  EXPECT_EQ(Totals("/").bytes, 0u) << "space is credited at once";
  EXPECT_FALSE(GetInodeById(store, old).value().has_value());
  EXPECT_EQ(CountOf(Family::kDetached), 1u);
  EXPECT_TRUE(EffectsOf<BlockFreed>().empty()) << "blocks are the reaper's";
  ReapAll();
  EXPECT_EQ(EffectsOf<BlockFreed>().size(), 2u);
}

TEST_F(CreateTest, OverwritingTakesTheLeaseOfAnOpenFileAway) {
  const InodeId old = Create("/f")->status.inode;
  auto block = AddBlock("/f", std::nullopt);
  protocol::CreateRequest other = Overwriting("/f");
  other.holder = "other";
  ASSERT_TRUE(Run(super, other).ok());
  ASSERT_EQ(EffectsOf<LeaseClosed>().size(), 1u);
  EXPECT_EQ(EffectsOf<LeaseClosed>()[0].inode, old);
  EXPECT_EQ(ReasonOf(Run(super, protocol::AddBlockRequest{.path = "/f", .inode = old, .holder = "writer"}).status()),
            ErrorReason::kFileNotFound);
  EXPECT_EQ(ReasonOf(AddBlock("/f", std::nullopt).status()), ErrorReason::kLeaseExpired);
}

TEST_F(CreateTest, OverwritingNeedsWriteOnTheFile) {
  ASSERT_TRUE(Mkdirs("/d", 0777).ok());
  WriteFile("/d/f", {});
  EXPECT_REFUSED(Run(alice, Overwriting("/d/f")), kAccessControl,
                 "Permission denied: user=alice, access=WRITE, inode=\"/d/f\":super:supergroup:-rw-r--r--");
  protocol::CreateRequest fresh = Overwriting("/d/new");
  EXPECT_TRUE(Run(alice, fresh).ok()) << "overwriting what is not there is creating";
}

TEST_F(CreateTest, NeedsWriteOnTheNearestExistingDirectory) {
  EXPECT_REFUSED(Run(alice, CreateOf("/x/y/f")), kAccessControl,
                 "Permission denied: user=alice, access=WRITE, inode=\"/\":super:supergroup:drwxr-xr-x");
}

TEST_F(CreateTest, ChecksReplicationAndBlockSize) {
  protocol::CreateRequest request = CreateOf("/f");
  request.replication = 513;
  EXPECT_REFUSED(Run(super, request), kIo,
                 "Requested replication factor of 513 exceeds maximum of 512 for /f, clientName=writer");
  request.replication = 0;
  EXPECT_REFUSED(Run(super, request), kIo,
                 "Requested replication factor of 0 is less than the required minimum of 1 for /f, clientName=writer");
  request.replication = 1;
  request.block_bytes = 511;
  EXPECT_REFUSED(Run(super, request), kIo,
                 "Specified block size is less than configured minimum value "
                 "(dfs.namenode.fs-limits.min-block-size): 511 < 512");
  request.block_bytes = settings.max_block_bytes + 1;
  EXPECT_EQ(ReasonOf(Run(super, request).status()), ErrorReason::kIo);
  request.block_bytes = 512;
  request.holder = "";
  EXPECT_EQ(ReasonOf(Run(super, request).status()), ErrorReason::kIllegalArgument);
}

TEST_F(CreateTest, ChecksTheName) {
  EXPECT_REFUSED(Create("/a:b"), kInvalidPath, "Invalid file name: /a:b");
  EXPECT_REFUSED(Create("/d/.snapshot"), kIllegalArgument, "\".snapshot\" is a reserved name.");
  settings.max_directory_items = 1;
  WriteFile("/f", {});
  EXPECT_REFUSED(Create("/g"), kDirectoryFull, "The directory item limit of / is exceeded: limit=1 items=1");
  EXPECT_TRUE(Run(super, Overwriting("/f")).ok()) << "replacing takes no more room";
}

}  // namespace
}  // namespace dolmen::namenode
