#include "namenode/core/heartbeat_board.h"

namespace dolmen::namenode {

protocol::HeartbeatReply HeartbeatBoard::OnHeartbeat(const protocol::HeartbeatRequest& request, MonotonicTime now) {
  protocol::HeartbeatReply reply;
  reply.namenode = identity_;
  const auto found = entries_.find(request.datanode);
  if (found == entries_.end() || found->second.session != request.session) {
    reply.must_register = true;
    return reply;
  }
  Entry& entry = found->second;
  entry.arrived = true;
  entry.facts = {.datanode = request.datanode,
                 .session = request.session,
                 .at = now,
                 .storages = request.storages,
                 .active_streams = request.active_streams};
  reply.commands = std::move(entry.outbox);
  entry.outbox.clear();
  return reply;
}

std::vector<HeartbeatFacts> HeartbeatBoard::DrainArrivals() {
  std::vector<HeartbeatFacts> arrivals;
  for (auto& [uuid, entry] : entries_) {
    if (!entry.arrived) continue;
    arrivals.push_back(std::move(entry.facts));
    entry.facts = HeartbeatFacts();
    entry.arrived = false;
  }
  return arrivals;
}

void HeartbeatBoard::PutCommands(std::vector<CommandFor> commands) {
  for (auto& [uuid, command] : commands) {
    const auto found = entries_.find(uuid);
    if (found == entries_.end()) continue;
    if (found->second.outbox.size() >= kMaxWaitingCommands) {
      ++dropped_commands_;
      continue;
    }
    found->second.outbox.push_back(std::move(command));
  }
}

void HeartbeatBoard::SetSessions(const std::map<DatanodeUuid, uint64_t>& sessions) {
  std::erase_if(entries_, [&](const auto& item) { return !sessions.contains(item.first); });
  for (const auto& [uuid, session] : sessions) {
    Entry& entry = entries_[uuid];
    if (entry.session == session) continue;
    entry = Entry();
    entry.session = session;
  }
}

}  // namespace dolmen::namenode
