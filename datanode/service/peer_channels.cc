#include "datanode/service/peer_channels.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/rpc/channel_arguments.h"
#include "common/rpc/handoff.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/client_callback.h"
#include "proto/data_transfer.grpc.pb.h"

namespace dolmen::datanode {
namespace {

constexpr std::chrono::seconds kAskTimeout{5};
// Another datanode may come to an address (containers), and the connection to it may have been made anew unseen: asked
// again after so long, sooner when it was not the one wanted (chosen).
constexpr Duration kBelievedFor = std::chrono::seconds(30);
constexpr Duration kOtherBelievedFor = std::chrono::seconds(1);

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

// Thread-safe. Lives until its question is answered, whoever lets go of it.
struct PeerChannels::Peer : public std::enable_shared_from_this<PeerChannels::Peer> {
  explicit Peer(std::shared_ptr<grpc::Channel> to) : channel(std::move(to)) {}

  enum class Answer : uint8_t { kUnknown, kItself, kSomebodyElse, kNobody };

  // Whether `wanted` answers here; asks when that is not known or was long ago.
  Answer Is(const DatanodeUuid& wanted, MonotonicTime now) {
    const grpc_connectivity_state state = channel->GetState(/*try_to_connect=*/true);
    Answer answer = state == GRPC_CHANNEL_TRANSIENT_FAILURE ? Answer::kNobody : Answer::kUnknown;
    Question* asking = nullptr;
    {
      MutexLock lock(&mutex);
      if (state != GRPC_CHANNEL_READY) {
        uuid.reset();  // who comes next is not known
      } else {
        const bool is_it = uuid.has_value() && *uuid == wanted.value();
        const bool old = !uuid.has_value() || now - asked >= (is_it ? kBelievedFor : kOtherBelievedFor);
        if (is_it) answer = Answer::kItself;
        if (!is_it && !old) answer = Answer::kSomebodyElse;
        if (old && question == nullptr) {
          asked = now;
          question = std::make_unique<Question>();
          asking = question.get();
        }
      }
    }
    if (asking != nullptr) Ask(asking);
    return answer;
  }

  std::string Describe(const DatanodeUuid& wanted) {
    MutexLock lock(&mutex);
    if (uuid.has_value() && !uuid->empty() && *uuid != wanted.value()) return absl::StrCat("is datanode ", *uuid);
    const grpc_connectivity_state state = channel->GetState(false);
    if (state == GRPC_CHANNEL_READY && uuid != wanted.value()) return "connected, but does not say who it is";
    return StateName(state);
  }

  const std::shared_ptr<grpc::Channel> channel;

 private:
  // Lives until the next one is asked, so that gRPC is through with it.
  struct Question final : public grpc::ClientUnaryReactor {
    void OnDone(const grpc::Status& status) override {
      rpc::TakeFromGrpc(this);
      const std::shared_ptr<Peer> asker = std::move(peer);  // maybe the last reference
      asker->OnAnswer(status.ok() ? reply.datanode() : std::string());
    }

    std::shared_ptr<Peer> peer;
    grpc::ClientContext context;
    v1::LocalInfoRequest request;
    v1::LocalInfoReply reply;
    std::unique_ptr<v1::DataTransfer::Stub> stub;
  };

  void Ask(Question* asking) {
    asking->peer = shared_from_this();
    asking->context.set_deadline(std::chrono::system_clock::now() + kAskTimeout);
    asking->stub = v1::DataTransfer::NewStub(channel);
    asking->stub->async()->GetLocalInfo(&asking->context, &asking->request, &asking->reply, asking);
    rpc::GiveToGrpc(asking);
    asking->StartCall();
  }

  void OnAnswer(std::string answer) {
    MutexLock lock(&mutex);
    uuid = std::move(answer);
    answered = std::exchange(question, nullptr);
  }

  Mutex mutex;
  std::optional<std::string> uuid ABSL_GUARDED_BY(mutex);  // empty: no datanode answered
  MonotonicTime asked ABSL_GUARDED_BY(mutex);
  std::unique_ptr<Question> question ABSL_GUARDED_BY(mutex);  // under way
  std::unique_ptr<Question> answered ABSL_GUARDED_BY(mutex);  // the last one
};

std::shared_ptr<PeerChannels::Peer> PeerChannels::PeerAt(const std::string& address, const protocol::Address& place) {
  std::shared_ptr<Peer>& known = peers_[address];
  if (known != nullptr) return known;
  auto made = known = std::make_shared<Peer>(rpc::MakeDataChannel(place.host, place.port));
  order_.push_back(address);
  if (order_.size() > max_channels_) {
    peers_.erase(order_.front());
    order_.pop_front();
  }
  return made;
}

// The first in order that is the datanode wanted. A later one has its turn when those before it have failed, or had
// their head start.
absl::StatusOr<std::shared_ptr<grpc::Channel>> PeerChannels::Look(const Waiting& waiting, MonotonicTime now) {
  Duration head_start{};
  bool all_failed = true;
  for (const Candidate& candidate : waiting.candidates) {
    if (now - waiting.begun < head_start) return nullptr;
    switch (candidate.peer->Is(waiting.datanode.uuid, now)) {
      case Peer::Answer::kItself:
        return candidate.peer->channel;
      case Peer::Answer::kUnknown:
        head_start += kHeadStart;
        all_failed = false;
        break;
      case Peer::Answer::kSomebodyElse:
      case Peer::Answer::kNobody:
        break;
    }
  }
  if (all_failed) return Unreachable(waiting);
  return nullptr;
}

absl::Status PeerChannels::Unreachable(const Waiting& waiting) {
  std::string text = absl::StrCat("datanode ", waiting.datanode.uuid.value(), " cannot be reached:");
  for (const Candidate& candidate : waiting.candidates) {
    absl::StrAppend(&text, " ", candidate.address, " (", candidate.peer->Describe(waiting.datanode.uuid), ")");
  }
  return MakeError(ErrorReason::kUnreachable, text);
}

void PeerChannels::Pick(const protocol::DatanodeInfo& datanode, Duration timeout, MonotonicTime now, Picked picked) {
  std::shared_ptr<grpc::Channel> channel;
  {
    MutexLock lock(&mutex_);
    Waiting waiting{.datanode = datanode, .begun = now, .deadline = now + timeout};
    for (const protocol::Address& place : datanode.addresses) {
      const std::string address = rpc::HostAndPort(place.host, place.port);
      waiting.candidates.push_back({address, PeerAt(address, place)});
    }
    absl::StatusOr<std::shared_ptr<grpc::Channel>> found = Look(waiting, now);
    if (!found.ok() || *found == nullptr) {
      waiting.picked = std::move(picked);
      waiting_.push_back(std::move(waiting));
      return;
    }
    channel = *std::move(found);
  }
  picked(std::move(channel));
}

void PeerChannels::Poll(MonotonicTime now) {
  std::vector<std::pair<Picked, absl::StatusOr<std::shared_ptr<grpc::Channel>>>> answers;
  {
    MutexLock lock(&mutex_);
    std::erase_if(waiting_, [&](Waiting& waiting) {
      absl::StatusOr<std::shared_ptr<grpc::Channel>> found = Look(waiting, now);
      if (found.ok() && *found == nullptr) {
        if (now < waiting.deadline) return false;
        found = Unreachable(waiting);
      }
      answers.emplace_back(std::move(waiting.picked), std::move(found));
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
    peers_.clear();
    order_.clear();
  }
  for (Waiting& one : waiting) one.picked(MakeError(ErrorReason::kCancelled, "the datanode is stopping"));
}

}  // namespace dolmen::datanode
