#include "namenode/service/home_directories.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "common/error.h"
#include "namenode/core/bootstrap.h"
#include "namenode/core/queries.h"
#include "namenode/storage/memory_meta_store.h"
#include "namenode/storage/memory_replica_store.h"

namespace dolmen::namenode {
namespace {

// A core thread on a memory store; time for retries is the test's.
class HomeDirectoriesTest : public ::testing::Test {
 protected:
  HomeDirectoriesTest() {
    auto opened = MemoryMetaStore::Open(disk_);
    EXPECT_TRUE(opened.ok());
    store_ = *std::move(opened);
    Random random(3);
    const WallTime wall = system_.WallNow();
    EXPECT_TRUE(store_->Commit(FormatBatch(MintNamespace(&random, "super", "supergroup", wall))).ok());
    auto start = PlanStart(*store_->View(), wall);
    EXPECT_TRUE(start.ok());
    EXPECT_TRUE(store_->Commit(start->batch).ok());
    const protocol::NamenodeIdentity identity{start->info.cluster, start->counters.epoch, "incarnation"};
    auto core = std::make_unique<NamenodeCore>(
        NamenodeCoreOptions{settings_, start->info, start->counters, identity, TokenKey{1, std::string(32, 'k')}, 5},
        store_->View(), &replicas_);
    EXPECT_TRUE(core->Recover(system_.Now()).ok());
    board_ = std::make_unique<GuardedBoard>(identity);
    thread_ = std::make_unique<CoreThread>(std::move(core), store_.get(), &system_, board_.get(), [](absl::Status) {});
    homes_ = std::make_unique<HomeDirectories>(thread_.get(), &clock_, settings_, "super");
    thread_->Start();
  }
  ~HomeDirectoriesTest() override { thread_->Stop(); }

  void Make(const std::string& user) {
    Mutex mutex;
    CondVar done;
    bool made = false;
    homes_->Make(user, "host", [&] {
      MutexLock lock(&mutex);
      made = true;
      done.SignalAll();
    });
    MutexLock lock(&mutex);
    while (!made) done.Wait(&mutex);
  }
  absl::Status Mutate(protocol::Mutation request) {
    Mutex mutex;
    CondVar done;
    std::optional<absl::Status> status;
    thread_->Submit({.caller = super_, .request = std::move(request)}, [&](const Answer& answer, CommitNumber) {
      MutexLock lock(&mutex);
      status = answer.status();
      done.SignalAll();
    });
    MutexLock lock(&mutex);
    while (!status.has_value()) done.Wait(&mutex);
    return *status;
  }
  std::optional<protocol::FileStatus> Info(const std::string& path) {
    auto reply = GetFileInfo(*thread_->published().meta, settings_, super_, {.path = path});
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->status : std::nullopt;
  }
  CommitNumber commit() { return thread_->published().meta->commit_number(); }

  const Caller super_{.user = "super", .is_superuser = true};
  const CoreSettings settings_;
  SystemClock system_;
  ManualClock clock_;
  std::shared_ptr<MemoryMetaDisk> disk_ = std::make_shared<MemoryMetaDisk>();
  std::unique_ptr<MemoryMetaStore> store_;
  MemoryReplicaStore replicas_;
  std::unique_ptr<GuardedBoard> board_;
  std::unique_ptr<CoreThread> thread_;
  std::unique_ptr<HomeDirectories> homes_;
};

TEST_F(HomeDirectoriesTest, AHomeIsMadeWithTheDirectoryAboveIt) {
  EXPECT_FALSE(homes_->IsSettled("ann"));
  Make("ann");
  EXPECT_TRUE(homes_->IsSettled("ann"));
  const protocol::FileStatus above = *Info("/user");
  EXPECT_EQ(above.owner, "super");
  EXPECT_EQ(above.group, "supergroup");
  EXPECT_EQ(above.permission, 0755);
  const protocol::FileStatus home = *Info("/user/ann");
  EXPECT_TRUE(home.is_directory);
  EXPECT_EQ(home.owner, "ann");
  EXPECT_EQ(home.group, "supergroup");
  EXPECT_EQ(home.permission, 0700);
  Make("super");
  EXPECT_EQ(Info("/user/super")->owner, "super");
}

TEST_F(HomeDirectoriesTest, OneThatIsThereStaysAsItIsAndCostsNoCommit) {
  ASSERT_TRUE(Mutate(protocol::MkdirsRequest{.path = "/user/ann", .permission = 0750}).ok());
  const protocol::FileStatus before = *Info("/user/ann");
  const CommitNumber commits = commit();
  Make("ann");
  EXPECT_TRUE(homes_->IsSettled("ann"));
  EXPECT_EQ(*Info("/user/ann"), before);
  EXPECT_EQ(commit(), commits);
}

TEST_F(HomeDirectoriesTest, OneThatWasDeletedIsNotMadeAgain) {
  Make("ann");
  ASSERT_TRUE(Mutate(protocol::DeleteRequest{.path = "/user/ann"}).ok());
  clock_.Advance(std::chrono::hours(1));
  EXPECT_TRUE(homes_->IsSettled("ann"));
}

TEST_F(HomeDirectoriesTest, OneThatCannotBeMadeIsTriedAgainLater) {
  ASSERT_TRUE(Mutate(protocol::CreateRequest{.path = "/user", .holder = "h"}).ok());
  Make("ann");
  EXPECT_TRUE(homes_->IsSettled("ann")) << "for now";
  clock_.Advance(HomeDirectories::kRetryAfter);
  EXPECT_FALSE(homes_->IsSettled("ann"));
  ASSERT_TRUE(Mutate(protocol::DeleteRequest{.path = "/user"}).ok());
  Make("ann");
  EXPECT_EQ(Info("/user/ann")->owner, "ann");
  clock_.Advance(std::chrono::hours(1));
  EXPECT_TRUE(homes_->IsSettled("ann"));
}

TEST_F(HomeDirectoriesTest, NamesThatNoDirectoryMayHaveDoNoHarm) {
  for (const char* user : {"..", ".", ".snapshot"}) {
    Make(user);
    EXPECT_TRUE(homes_->IsSettled(user));
  }
  EXPECT_FALSE(Info("/user/.snapshot").has_value());
}

TEST_F(HomeDirectoriesTest, ManyInventedUsersDoNotGrowItWithoutBound) {
  ASSERT_TRUE(Mutate(protocol::CreateRequest{.path = "/user", .holder = "h"}).ok());
  Make("first");
  for (size_t i = 0; i < HomeDirectories::kMaxKnown; ++i) homes_->Make(absl::StrCat("a/", i), "host", [] {});
  EXPECT_FALSE(homes_->IsSettled("first"));
}

}  // namespace
}  // namespace dolmen::namenode
