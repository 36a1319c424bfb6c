#include "client/datanode_channels.h"

#include <algorithm>
#include <utility>

#include "client/transport_error.h"
#include "common/error.h"
#include "common/rpc/channel_arguments.h"
#include "proto/data_transfer.grpc.pb.h"

namespace dolmen::client {
namespace {

// Whether the answer to the trial call proves that a datanode is there: it refuses the empty request in its own words.
bool SomebodyAnswered(const absl::Status& status) {
  if (ReasonOf(status) == ErrorReason::kUnreachable || ReasonOf(status) == ErrorReason::kCancelled) return false;
  if (status.ok() || ReasonOf(status) != ErrorReason::kNone) return true;
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return true;
    default:
      return false;  // the transport's words, or somebody else's
  }
}

}  // namespace

// Guarded by the mutex of the channels it belongs to.
struct DatanodeChannels::Race {
  protocol::DatanodeInfo datanode;
  size_t next = 0;  // address to try next
  size_t failed = 0;
  bool decided = false;
  std::string failures;
  std::vector<Done> waiting;
};

std::shared_ptr<grpc::Channel> DatanodeChannels::ChannelToLocked(const protocol::Address& address) {
  const std::string name = rpc::HostAndPort(address.host, address.port);
  if (const auto found = by_address_.find(name); found != by_address_.end()) {
    channels_.splice(channels_.begin(), channels_, found->second);
    return found->second->channel;
  }
  channels_.push_front({name, rpc::MakeDataChannel(address.host, address.port)});
  by_address_[name] = channels_.begin();
  if (channels_.size() > kMaxChannels) {  // streams on it keep it until they end
    by_address_.erase(channels_.back().address);
    channels_.pop_back();
  }
  return channels_.front().channel;
}

void DatanodeChannels::Connect(const protocol::DatanodeInfo& datanode, Done done) {
  std::shared_ptr<grpc::Channel> channel;
  std::shared_ptr<Race> started;
  {
    MutexLock lock(&mutex_);
    const auto& addresses = datanode.addresses;
    const auto worked = worked_.find(datanode.uuid);
    const bool remembered =
        worked != worked_.end() && std::find(addresses.begin(), addresses.end(), worked->second) != addresses.end();
    if (remembered || addresses.size() == 1) {
      channel = ChannelToLocked(remembered ? worked->second : addresses.front());
    } else if (!addresses.empty()) {
      std::shared_ptr<Race>& race = races_[datanode.uuid];
      if (race == nullptr) {
        race = started = std::make_shared<Race>();
        race->datanode = datanode;
      }
      race->waiting.push_back(std::move(done));
      if (started == nullptr) return;
    }
  }
  if (channel != nullptr) return done(std::move(channel));
  if (started != nullptr) return TryNext(started);
  done(
      MakeError(ErrorReason::kUnreachable, absl::StrCat("datanode ", datanode.uuid.value(), " advertises no address")));
}

void DatanodeChannels::Forget(const DatanodeUuid& datanode) {
  MutexLock lock(&mutex_);
  worked_.erase(datanode);
}

void DatanodeChannels::TryNext(const std::shared_ptr<Race>& race) {
  size_t index = 0;
  std::shared_ptr<v1::DataTransfer::Stub> stub;
  bool more = false;
  {
    MutexLock lock(&mutex_);
    if (race->decided || race->next >= race->datanode.addresses.size()) return;
    index = race->next++;
    stub = v1::DataTransfer::NewStub(ChannelToLocked(race->datanode.addresses[index]));
    more = race->next < race->datanode.addresses.size();
  }
  if (more) loop_->RunAt(loop_->clock()->Now() + kHeadStart, [this, race] { TryNext(race); });
  unary_()->Call(stub.get(), &v1::DataTransfer::Stub::PrepareAsyncGetVisibleLength, v1::VisibleLengthRequest(),
                 {.timeout = kTrialTimeout},
                 std::function<void(absl::StatusOr<v1::VisibleLengthReply>)>(
                     [this, race, index, stub](const absl::StatusOr<v1::VisibleLengthReply>& reply) {
                       OnTrial(race, index, reply.status());
                     }));
}

void DatanodeChannels::OnTrial(const std::shared_ptr<Race>& race, size_t index, const absl::Status& answer) {
  std::vector<Done> waiting;
  absl::StatusOr<std::shared_ptr<grpc::Channel>> result = absl::UnknownError("undecided");
  {
    MutexLock lock(&mutex_);
    if (race->decided) return;
    const protocol::Address& address = race->datanode.addresses[index];
    const absl::Status status = FromTransport(answer);
    const bool answered = SomebodyAnswered(status);
    if (answered) {
      worked_[race->datanode.uuid] = address;
      result = ChannelToLocked(address);
    } else {
      absl::StrAppend(&race->failures, race->failures.empty() ? "" : "; ", rpc::HostAndPort(address.host, address.port),
                      " (", address.network, "): ", status.message());
      if (++race->failed == race->datanode.addresses.size()) {
        result = MakeError(ErrorReason::kUnreachable, absl::StrCat("no address of it answers: ", race->failures));
      }
    }
    race->decided = answered || race->failed == race->datanode.addresses.size();
    if (race->decided) {
      waiting.swap(race->waiting);
      races_.erase(race->datanode.uuid);
    }
  }
  if (waiting.empty()) return TryNext(race);  // it failed: the next one need not wait for its turn
  for (const Done& done : waiting) done(result);
}

}  // namespace dolmen::client
