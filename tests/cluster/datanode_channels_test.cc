// What the client remembers of its ways to datanodes, and for how long.
#include "client/datanode_channels.h"

#include <atomic>
#include <future>

#include "client/event_loop.h"
#include "fake_servers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/eventually.h"

namespace dolmen::client {
namespace {

using testing::FakeDatanode;
using ::testing::HasSubstr;

// The machine's clock, that can be put forward. Thread-safe.
class JumpingClock final : public Clock {
 public:
  MonotonicTime Now() const override { return clock_.Now() + Duration(ahead_.load()); }
  WallTime WallNow() const override { return clock_.WallNow(); }
  void Jump(Duration by) { ahead_ += by.count(); }

 private:
  const SystemClock clock_;
  std::atomic<int64_t> ahead_ = 0;
};

// A datanode "far" that can be reached through the datanode "near".
class DatanodeChannelsTest : public ::testing::Test {
 protected:
  DatanodeChannelsTest() { near_.Reach({&far_}); }
  ~DatanodeChannelsTest() override {
    far_.keeps_its_name = false;
    far_.keeps_its_name.notify_all();
    loop_.Shutdown();
    unary_.Shutdown();
  }

  protocol::DatanodeInfo Near() const { return near_.Location().datanode; }
  protocol::DatanodeInfo Far() const { return far_.Location().datanode; }
  // Far, as it advertises itself at a port of this machine.
  static protocol::DatanodeInfo FarAt(int port) {
    return {.uuid = DatanodeUuid("far"),
            .addresses = {{.network = "default", .host = "127.0.0.1", .port = static_cast<uint16_t>(port)}}};
  }
  absl::StatusOr<DatanodeChannels::Channel> Connect(const protocol::DatanodeInfo& datanode) {
    std::promise<absl::StatusOr<DatanodeChannels::Channel>> done;
    channels_.Connect(datanode, [&](absl::StatusOr<DatanodeChannels::Channel> channel) { done.set_value(channel); });
    return done.get_future().get();
  }
  // Whether calls on a channel to it go through the near one.
  bool IsRelayed(const protocol::DatanodeInfo& datanode) {
    const absl::StatusOr<DatanodeChannels::Channel> channel = Connect(datanode);
    EXPECT_TRUE(channel.ok()) << channel.status();
    if (!channel.ok()) return false;
    const int before = near_.relayed;
    grpc::ClientContext context;
    v1::LocalInfoReply reply;
    EXPECT_TRUE(v1::DataTransfer::NewStub(*channel)->GetLocalInfo(&context, {}, &reply).ok());
    EXPECT_EQ(reply.datanode(), datanode.uuid.value());
    return near_.relayed > before;
  }

  JumpingClock clock_;
  EventLoop loop_{&clock_};
  rpc::UnaryClient unary_{"test"};
  testing::FakeDisk disk_;
  FakeDatanode near_{"near", &disk_};
  FakeDatanode far_{"far", &disk_};
  std::atomic<int> asked_ = 0;  // the namenode, for datanodes
  DatanodeChannels channels_{&loop_,
                             {.unary = [this] { return &unary_; },
                              .live_datanodes =
                                  [this](auto done) {
                                    ++asked_;
                                    done(std::vector<protocol::DatanodeInfo>{Near(), Far()});
                                  }},
                             /*seed=*/7};
};

TEST_F(DatanodeChannelsTest, AfterFiveMinutesOnARelayTheAddressesAreTriedAgain) {
  far_.hidden = true;
  EXPECT_TRUE(IsRelayed(Far()));
  far_.hidden = false;
  clock_.Jump(std::chrono::minutes(4));
  EXPECT_TRUE(IsRelayed(Far()));
  clock_.Jump(std::chrono::minutes(1));
  near_.Reach({});  // an address that is slow to answer is not overtaken
  EXPECT_FALSE(IsRelayed(Far()));
  clock_.Jump(std::chrono::hours(1));
  EXPECT_FALSE(IsRelayed(Far()));
  EXPECT_EQ(asked_, 1);
}

TEST_F(DatanodeChannelsTest, AnAddressThatAnswersLateIsBetterThanARelay) {
  far_.keeps_its_name = true;
  const protocol::DatanodeInfo far = Far();
  // The near one passes the question on by itself: only the address of the far one is slow.
  absl::StatusOr<DatanodeChannels::Channel> first = Connect(far);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(near_.relayed, 1);
  far_.keeps_its_name = false;
  far_.keeps_its_name.notify_all();
  EXPECT_TRUE(Eventually([&] { return !IsRelayed(far); }));
}

TEST_F(DatanodeChannelsTest, AnAddressThatHasAnotherOwnerIsNotBelievedAgainAfterItFailed) {
  const protocol::DatanodeInfo before = Far();
  near_.Reach({});
  EXPECT_FALSE(IsRelayed(before));
  const int port = far_.port();
  far_.Stop();
  const FakeDatanode other("other", &disk_, port);
  channels_.Forget(DatanodeUuid("far"));  // a call on it found nobody
  const absl::StatusOr<DatanodeChannels::Channel> gone = Connect(before);
  EXPECT_THAT(std::string(gone.status().message()), HasSubstr("another datanode answers, other"));
}

TEST_F(DatanodeChannelsTest, ADatanodeThatMovedIsReachedAtItsNewAddress) {
  EXPECT_FALSE(IsRelayed(Far()));
  const FakeDatanode moved("far", &disk_);
  far_.Stop();
  EXPECT_FALSE(IsRelayed(FarAt(moved.port())));
  EXPECT_EQ(asked_, 0);
}

TEST_F(DatanodeChannelsTest, NobodyIsAskedToPassCallsOnForAWhileWhenNobodyCould) {
  far_.hidden = true;
  near_.Reach({});
  EXPECT_FALSE(Connect(Far()).ok());
  near_.Reach({&far_});
  EXPECT_FALSE(Connect(Far()).ok());
  EXPECT_EQ(asked_, 1);
  clock_.Jump(std::chrono::seconds(30));
  EXPECT_TRUE(IsRelayed(Far()));
}

}  // namespace
}  // namespace dolmen::client
