#include "namenode/service/client_service.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>

#include "common/error.h"
#include "common/rpc/channel_arguments.h"
#include "common/rpc/unary_client.h"
#include "namenode/core/bootstrap.h"
#include "namenode/storage/memory_meta_store.h"
#include "namenode/storage/memory_replica_store.h"
#include "tests/support/eventually.h"

namespace dolmen::namenode {
namespace {

// The service on a port of its own, with one query thread that the test can keep busy.
class ClientServiceTest : public ::testing::Test {
 protected:
  ClientServiceTest() {
    auto opened = MemoryMetaStore::Open(disk_);
    EXPECT_TRUE(opened.ok());
    store_ = *std::move(opened);
    Random random(3);
    const WallTime wall = clock_.WallNow();
    EXPECT_TRUE(store_->Commit(FormatBatch(MintNamespace(&random, "super", "supergroup", wall))).ok());
    auto start = PlanStart(*store_->View(), wall);
    EXPECT_TRUE(start.ok());
    EXPECT_TRUE(store_->Commit(start->batch).ok());
    const protocol::NamenodeIdentity identity{start->info.cluster, start->counters.epoch, "incarnation"};
    auto core = std::make_unique<NamenodeCore>(
        NamenodeCoreOptions{{}, start->info, start->counters, identity, TokenKey{1, std::string(32, 'k')}, 5},
        store_->View(), &replicas_);
    EXPECT_TRUE(core->Recover(clock_.Now()).ok());
    const NamenodeCore& description = *core;
    board_ = std::make_unique<GuardedBoard>(identity);
    thread_ = std::make_unique<CoreThread>(std::move(core), store_.get(), &clock_, board_.get(), [](absl::Status) {});
    service_ = std::make_unique<ClientService>(thread_.get(), &replicas_, &callers_, /*homes=*/nullptr, &queries_,
                                               &clock_, description);
    thread_->Start();
    server_ = std::make_unique<rpc::UnaryServer>();
    rpc::UnaryQueue* const clients = server_->AddQueue("clients", {});
    rpc::UnaryQueue* const reserved = server_->AddQueue("reserved", {});
    service_->AddTo(server_.get(), clients, reserved);
    auto port = server_->Listen("127.0.0.1", 0);
    EXPECT_TRUE(port.ok()) << port.status();
    stub_ = v1::ClientNamenode::NewStub(rpc::MakeControlChannel("127.0.0.1", port.value_or(0)));
  }
  ~ClientServiceTest() override {
    OpenQueries();
    server_->Shutdown(std::chrono::seconds(1));
    queries_.Stop();
    thread_->Stop();
  }

  // The query thread waits, and no further task is taken.
  void BlockQueries() {
    while (queries_.Post([this] {
      MutexLock lock(&mutex_);
      while (!open_) changed_.Wait(&mutex_);
    })) {
    }
  }
  void OpenQueries() {
    MutexLock lock(&mutex_);
    open_ = true;
    changed_.SignalAll();
  }

  absl::StatusOr<v1::RenewLeaseReply> Renew(const std::string& user) {
    v1::RenewLeaseRequest request = rpc::ToProto(protocol::RenewLeaseRequest{.holder = "writer"});
    rpc::ToProto({.user = user}, request.mutable_header());
    MutexLock lock(&mutex_);
    renewed_.reset();
    rpc_.Call(stub_.get(), &v1::ClientNamenode::Stub::PrepareAsyncRenewLease, request,
              {.timeout = std::chrono::seconds(20)}, [this](absl::StatusOr<v1::RenewLeaseReply> reply) {
                MutexLock inner(&mutex_);
                renewed_ = std::move(reply);
                changed_.SignalAll();
              });
    while (!renewed_.has_value()) changed_.Wait(&mutex_);
    return *std::exchange(renewed_, std::nullopt);
  }

  SystemClock clock_;
  std::shared_ptr<MemoryMetaDisk> disk_ = std::make_shared<MemoryMetaDisk>();
  std::unique_ptr<MemoryMetaStore> store_;
  MemoryReplicaStore replicas_;
  std::unique_ptr<GuardedBoard> board_;
  CallerResolver callers_{&clock_, "super", "supergroup"};
  Mutex mutex_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::StatusOr<v1::RenewLeaseReply>> renewed_ ABSL_GUARDED_BY(mutex_);
  WorkerPool queries_{1, 1};
  std::unique_ptr<CoreThread> thread_;
  std::unique_ptr<ClientService> service_;
  std::unique_ptr<rpc::UnaryServer> server_;
  std::unique_ptr<v1::ClientNamenode::Stub> stub_;
  rpc::UnaryClient rpc_{"test-client"};
};

TEST_F(ClientServiceTest, ARenewalIsAnsweredWhileQueriesTakeAllTheirThreads) {
  BlockQueries();
  const absl::StatusOr<v1::RenewLeaseReply> reply = Renew("somebody-not-asked-for-yet");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_GT(reply->header().commit_number(), 0u);
}

}  // namespace
}  // namespace dolmen::namenode
