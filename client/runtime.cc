#include "client/runtime.h"

#include <utility>
#include <vector>

namespace dolmen::client {
namespace {

constexpr Duration kAskForDatanodesFor = std::chrono::seconds(5);  // a reader or a writer waits for the answer

}  // namespace

void Runtime::AskForDatanodes(LiveDatanodes done) {
  namenode_.Query(
      protocol::GetDatanodeReportRequest(), "looking for a datanode that can be reached",
      [done = std::move(done)](absl::StatusOr<protocol::QueryReply> reply) {
        if (!reply.ok()) return done(reply.status());
        std::vector<protocol::DatanodeInfo> live;
        for (protocol::DatanodeReportEntry& entry : std::get<protocol::GetDatanodeReportReply>(*reply).datanodes) {
          if (entry.liveness == protocol::DatanodeLiveness::kLive) live.push_back(std::move(entry.info));
        }
        done(std::move(live));
      },
      kAskForDatanodesFor);
}

}  // namespace dolmen::client
