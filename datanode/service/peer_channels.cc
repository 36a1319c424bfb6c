#include "datanode/service/peer_channels.h"

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/rpc/channel_arguments.h"

namespace dolmen::datanode {
namespace {

const char* StateName(grpc_connectivity_state state) {
  switch (state) {
    case GRPC_CHANNEL_IDLE:
      return "not tried";
    case GRPC_CHANNEL_CONNECTING:
      return "connecting";
    case GRPC_CHANNEL_READY:
      return "connected";
    case GRPC_CHANNEL_TRANSIENT_FAILURE:
      return "cannot be connected";
    case GRPC_CHANNEL_SHUTDOWN:
      return "closed";
  }
  return "unknown";
}

}  // namespace

PeerChannels::Candidate PeerChannels::ChannelFor(const protocol::Address& address) {
  const std::string name = rpc::HostAndPort(address.host, address.port);
  std::shared_ptr<grpc::Channel>& channel = channels_[name];
  if (channel == nullptr) {
    channel = rpc::MakeDataChannel(address.host, address.port);
    order_.push_back(name);
    if (order_.size() > kMaxChannels) {
      const std::shared_ptr<grpc::Channel> made = channel;
      channels_.erase(order_.front());
      order_.pop_front();
      return {name, made};
    }
  }
  return {name, channel};
}

std::shared_ptr<grpc::Channel> PeerChannels::Connected(const std::vector<Candidate>& candidates) {
  for (const Candidate& candidate : candidates) {
    if (candidate.channel->GetState(/*try_to_connect=*/true) == GRPC_CHANNEL_READY) return candidate.channel;
  }
  return nullptr;
}

void PeerChannels::Pick(const protocol::DatanodeInfo& datanode, Duration timeout, MonotonicTime now, Picked picked) {
  std::shared_ptr<grpc::Channel> channel;
  {
    MutexLock lock(&mutex_);
    Waiting waiting{.datanode = datanode.uuid.value(), .deadline = now + timeout};
    for (const protocol::Address& address : datanode.addresses) waiting.candidates.push_back(ChannelFor(address));
    channel = waiting.candidates.size() == 1 ? waiting.candidates.front().channel : Connected(waiting.candidates);
    if (channel == nullptr) {
      if (waiting.candidates.empty()) waiting.deadline = now;
      waiting.picked = std::move(picked);
      waiting_.push_back(std::move(waiting));
      return;
    }
  }
  picked(std::move(channel));
}

void PeerChannels::Poll(MonotonicTime now) {
  std::vector<std::pair<Picked, absl::StatusOr<std::shared_ptr<grpc::Channel>>>> answers;
  {
    MutexLock lock(&mutex_);
    std::erase_if(waiting_, [&](Waiting& waiting) {
      if (std::shared_ptr<grpc::Channel> channel = Connected(waiting.candidates)) {
        answers.emplace_back(std::move(waiting.picked), std::move(channel));
        return true;
      }
      if (now < waiting.deadline) return false;
      std::string text = absl::StrCat("datanode ", waiting.datanode, " cannot be reached:");
      for (const Candidate& candidate : waiting.candidates) {
        absl::StrAppend(&text, " ", candidate.address, " (", StateName(candidate.channel->GetState(false)), ")");
      }
      answers.emplace_back(std::move(waiting.picked), MakeError(ErrorReason::kUnreachable, text));
      return true;
    });
  }
  for (auto& [picked, answer] : answers) picked(std::move(answer));
}

void PeerChannels::Close() {
  std::vector<Waiting> waiting;
  {
    MutexLock lock(&mutex_);
    waiting.swap(waiting_);
    channels_.clear();
    order_.clear();
  }
  for (Waiting& one : waiting) one.picked(MakeError(ErrorReason::kCancelled, "the datanode is stopping"));
}

}  // namespace dolmen::datanode
