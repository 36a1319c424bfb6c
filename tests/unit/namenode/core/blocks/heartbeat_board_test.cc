#include "namenode/core/heartbeat_board.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dolmen::namenode {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

const DatanodeUuid kOne("uuid-1");
const DatanodeUuid kTwo("uuid-2");

protocol::NamenodeIdentity Identity() { return {ClusterId("CID-test"), Epoch(3), "incarnation"}; }
protocol::HeartbeatRequest Beat(const DatanodeUuid& uuid, uint64_t session, uint32_t streams = 0) {
  return {.datanode = uuid, .session = session, .active_streams = streams};
}
MonotonicTime At(int seconds) { return MonotonicTime(std::chrono::seconds(seconds)); }

TEST(HeartbeatBoardTest, UnknownAndOlderSessionsMustRegister) {
  HeartbeatBoard board(Identity());
  EXPECT_TRUE(board.OnHeartbeat(Beat(kOne, 5), At(1)).must_register);
  board.SetSessions({{kOne, 6}});
  const protocol::HeartbeatReply old = board.OnHeartbeat(Beat(kOne, 5), At(1));
  EXPECT_TRUE(old.must_register);
  EXPECT_EQ(old.namenode, Identity());
  EXPECT_THAT(board.DrainArrivals(), IsEmpty()) << "they leave no trace";
  EXPECT_FALSE(board.OnHeartbeat(Beat(kOne, 6), At(1)).must_register);
}

TEST(HeartbeatBoardTest, ArrivalsAreStampedAndTheNewestIsKept) {
  HeartbeatBoard board(Identity());
  board.SetSessions({{kOne, 1}, {kTwo, 2}});
  board.OnHeartbeat(Beat(kTwo, 2, 7), At(1));
  board.OnHeartbeat(Beat(kOne, 1, 8), At(2));
  board.OnHeartbeat(Beat(kTwo, 2, 9), At(3));
  const std::vector<HeartbeatFacts> arrivals = board.DrainArrivals();
  ASSERT_THAT(arrivals, SizeIs(2));
  EXPECT_EQ(arrivals[0].datanode, kOne);
  EXPECT_EQ(arrivals[1].at, At(3));
  EXPECT_EQ(arrivals[1].active_streams, 9u);
  EXPECT_THAT(board.DrainArrivals(), IsEmpty());
}

TEST(HeartbeatBoardTest, CommandsAreHandedOutOnce) {
  HeartbeatBoard board(Identity());
  board.SetSessions({{kOne, 1}});
  board.PutCommands({{kOne, protocol::SendFullReportCommand()}, {kTwo, protocol::SendFullReportCommand()}});
  EXPECT_THAT(board.OnHeartbeat(Beat(kOne, 1), At(1)).commands, SizeIs(1));
  EXPECT_THAT(board.OnHeartbeat(Beat(kOne, 1), At(2)).commands, IsEmpty());
  board.SetSessions({{kOne, 1}, {kTwo, 2}});
  EXPECT_THAT(board.OnHeartbeat(Beat(kTwo, 2), At(2)).commands, IsEmpty()) << "it was unknown when they were put";
}

TEST(HeartbeatBoardTest, OutboxIsBounded) {
  HeartbeatBoard board(Identity());
  board.SetSessions({{kOne, 1}});
  for (size_t i = 0; i < HeartbeatBoard::kMaxWaitingCommands + 3; ++i) {
    board.PutCommands({{kOne, protocol::SendFullReportCommand()}});
  }
  EXPECT_EQ(board.dropped_commands(), 3u);
  EXPECT_THAT(board.OnHeartbeat(Beat(kOne, 1), At(1)).commands, SizeIs(HeartbeatBoard::kMaxWaitingCommands));
}

TEST(HeartbeatBoardTest, NewSessionStartsWithNothingOfTheOld) {
  HeartbeatBoard board(Identity());
  board.SetSessions({{kOne, 1}});
  board.OnHeartbeat(Beat(kOne, 1), At(1));
  board.PutCommands({{kOne, protocol::SendFullReportCommand()}});
  board.SetSessions({{kOne, 2}});
  EXPECT_THAT(board.DrainArrivals(), IsEmpty());
  EXPECT_THAT(board.OnHeartbeat(Beat(kOne, 2), At(2)).commands, IsEmpty());
  board.SetSessions({});
  EXPECT_TRUE(board.OnHeartbeat(Beat(kOne, 2), At(3)).must_register) << "dead datanodes have no session";
}

}  // namespace
}  // namespace dolmen::namenode
