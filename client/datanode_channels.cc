#include "client/datanode_channels.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/transport_error.h"
#include "common/error.h"
#include "common/rpc/channel_arguments.h"
#include "common/rpc/relay.h"
#include "proto/data_transfer.grpc.pb.h"

namespace dolmen::client {
namespace {

// Whether the answer to the trial call is of that very datanode.
absl::Status Judge(const DatanodeUuid& wanted, const absl::StatusOr<v1::LocalInfoReply>& reply) {
  if (!reply.ok()) {
    absl::Status status = FromTransport(reply.status());
    if (status.code() != absl::StatusCode::kUnimplemented) return status;
    return MakeError(ErrorReason::kUnreachable, "whoever answers is not a datanode");
  }
  if (reply->datanode() == wanted.value()) return absl::OkStatus();
  return MakeError(ErrorReason::kUnreachable, absl::StrCat("another datanode answers, ", reply->datanode()));
}

}  // namespace

// Guarded by the mutex of the channels it belongs to.
struct DatanodeChannels::Race {
  enum class Relays : uint8_t { kNone, kKnown, kAll };

  protocol::DatanodeInfo datanode;
  Ways ways = Ways::kAny;
  MonotonicTime begun;
  size_t next = 0;                // address to try next
  size_t under_way = 0;           // ways, and looking for relays
  Relays relays = Relays::kNone;  // looked for so far
  std::set<DatanodeUuid> tried_relays;
  bool decided = false;
  bool cancelled = false;  // the client is shutting down
  std::string failures;
  std::vector<Done> waiting;
};

DatanodeChannels::Channel DatanodeChannels::ChannelLocked(const protocol::DatanodeInfo& datanode, const Way& way) {
  const std::string address = rpc::HostAndPort(way.address.host, way.address.port);
  const std::string name = way.relayed ? absl::StrCat(address, " to ", datanode.uuid.value()) : address;
  if (const auto found = by_name_.find(name); found != by_name_.end()) {
    channels_.splice(channels_.begin(), channels_, found->second);
    return found->second->channel;
  }
  channels_.push_front({name, way.relayed ? rpc::MakeRelayedDataChannel(way.address.host, way.address.port, datanode)
                                          : rpc::MakeDataChannel(way.address.host, way.address.port)});
  by_name_[name] = channels_.begin();
  if (channels_.size() > kMaxChannels) {  // streams on it keep it until they end
    by_name_.erase(channels_.back().name);
    channels_.pop_back();
  }
  return channels_.front().channel;
}

bool DatanodeChannels::IsGood(const protocol::DatanodeInfo& datanode, Ways ways, const Way& way) const {
  if (way.relayed) return ways == Ways::kAny && loop_->clock()->Now() - way.found < kRelayedFor;
  return std::find(datanode.addresses.begin(), datanode.addresses.end(), way.address) != datanode.addresses.end();
}

void DatanodeChannels::Connect(const protocol::DatanodeInfo& datanode, Ways ways, Done done) {
  Channel channel;
  std::shared_ptr<Race> started;
  {
    MutexLock lock(&mutex_);
    const auto worked = worked_.find(datanode.uuid);
    if (worked != worked_.end() && IsGood(datanode, ways, worked->second)) {
      channel = ChannelLocked(datanode, worked->second);
    } else if (!datanode.addresses.empty()) {
      std::shared_ptr<Race>& race = races_[{datanode.uuid, ways}];
      if (race == nullptr) {
        race = started = std::make_shared<Race>();
        race->datanode = datanode;
        race->ways = ways;
        race->begun = loop_->clock()->Now();
      }
      race->waiting.push_back(done);
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
  direct_.erase(datanode);
}

void DatanodeChannels::TryNext(const std::shared_ptr<Race>& race) {
  Way way;
  std::chrono::milliseconds head_start = kHeadStart;
  std::shared_ptr<v1::DataTransfer::Stub> stub;
  {
    MutexLock lock(&mutex_);
    if (race->decided) return;
    const std::vector<protocol::Address>& addresses = race->datanode.addresses;
    if (race->next < addresses.size()) {
      way = {.address = addresses[race->next++]};
      ++race->under_way;
      stub = v1::DataTransfer::NewStub(ChannelLocked(race->datanode, way));
      if (race->next == addresses.size()) head_start = kRelayHeadStart;
    } else if (race->relays != Race::Relays::kNone) {
      return;
    }
  }
  if (stub == nullptr) return FindRelays(race);
  loop_->RunAt(loop_->clock()->Now() + head_start, [this, race] { TryNext(race); });
  Try(race, way, DatanodeUuid(), stub);
}

void DatanodeChannels::Try(const std::shared_ptr<Race>& race, const Way& way, const DatanodeUuid& relay,
                           const std::shared_ptr<v1::DataTransfer::Stub>& stub) {
  environment_.unary()->Call(
      stub.get(), &v1::DataTransfer::Stub::PrepareAsyncGetLocalInfo, v1::LocalInfoRequest(), {.timeout = kTrialTimeout},
      [this, race, way, relay, stub](const absl::StatusOr<v1::LocalInfoReply>& reply) {
        const absl::Status answer = Judge(race->datanode.uuid, reply);
        if (answer.ok()) return Worked(race, way);
        bool more = false;
        {
          MutexLock lock(&mutex_);
          more = race->next < race->datanode.addresses.size();
          if (way.relayed) {  // is it still there itself?
            direct_.erase(relay);
            worked_.erase(relay);
          }
        }
        Failed(race, Annotate(answer, absl::StrCat(way.relayed ? "through " : "",
                                                   rpc::HostAndPort(way.address.host, way.address.port), " (",
                                                   way.address.network, ")")));
        if (more) TryNext(race);  // it need not wait for its turn
      });
}

void DatanodeChannels::Worked(const std::shared_ptr<Race>& race, const Way& way) {
  std::vector<Done> waiting;
  Channel channel;
  {
    MutexLock lock(&mutex_);
    const DatanodeUuid& uuid = race->datanode.uuid;
    const auto known = worked_.find(uuid);
    // An address is better than a relay, also one that answers late.
    const bool better = known != worked_.end() && !known->second.relayed && known->second.found >= race->begun;
    if (!way.relayed || !better) worked_[uuid] = {way.address, way.relayed, loop_->clock()->Now()};
    if (!way.relayed) direct_[uuid] = race->datanode;
    if (race->decided) return;
    race->decided = true;
    channel = ChannelLocked(race->datanode, worked_[uuid]);
    waiting.swap(race->waiting);
    races_.erase({uuid, race->ways});
  }
  for (const Done& done : waiting) done(channel);
}

void DatanodeChannels::Failed(const std::shared_ptr<Race>& race, const absl::Status& why) {
  std::vector<Done> waiting;
  absl::Status status;
  {
    MutexLock lock(&mutex_);
    --race->under_way;
    if (race->decided) return;
    if (ReasonOf(why) == ErrorReason::kCancelled) race->cancelled = true;
    if (!why.ok()) absl::StrAppend(&race->failures, race->failures.empty() ? "" : "; ", why.message());
    if (race->under_way > 0 || race->next < race->datanode.addresses.size()) return;
    if (!MayRelayLocked(*race)) {
      race->decided = true;
      status = race->cancelled
                   ? MakeError(ErrorReason::kCancelled, "the client is shutting down")
                   : MakeError(ErrorReason::kUnreachable, absl::StrCat("no address of it answers: ", race->failures));
      if (race->relays == Race::Relays::kAll)
        no_relay_until_[race->datanode.uuid] = loop_->clock()->Now() + kNoRelayFor;
      waiting.swap(race->waiting);
      races_.erase({race->datanode.uuid, race->ways});
    }
  }
  if (waiting.empty()) return FindRelays(race);
  for (const Done& done : waiting) done(status);
}

// ---- relays -------------------------------------------------------------------------------------------------------

void DatanodeChannels::FindRelays(const std::shared_ptr<Race>& race) {
  std::vector<protocol::DatanodeInfo> known;
  {
    MutexLock lock(&mutex_);
    if (race->decided || !MayRelayLocked(*race)) return;
    ++race->under_way;
    if (race->relays == Race::Relays::kNone) {
      for (const auto& [uuid, datanode] : direct_) {
        if (uuid != race->datanode.uuid) known.push_back(datanode);
      }
    }
    race->relays = known.empty() ? Race::Relays::kAll : Race::Relays::kKnown;
  }
  if (!known.empty()) return TryRelays(race, std::move(known));
  environment_.live_datanodes(
      [this, race](absl::StatusOr<std::vector<protocol::DatanodeInfo>> live) { TryRelays(race, std::move(live)); });
}

bool DatanodeChannels::MayRelayLocked(const Race& race) const {
  if (race.ways == Ways::kDirect || race.relays == Race::Relays::kAll || race.cancelled) return false;
  const auto none = no_relay_until_.find(race.datanode.uuid);
  return none == no_relay_until_.end() || loop_->clock()->Now() >= none->second;
}

void DatanodeChannels::TryRelays(const std::shared_ptr<Race>& race,
                                 absl::StatusOr<std::vector<protocol::DatanodeInfo>> datanodes) {
  if (!datanodes.ok()) return Failed(race, Annotate(datanodes.status(), "no other datanode to go through is known"));
  absl::Status nobody;
  {
    MutexLock lock(&mutex_);
    std::erase_if(*datanodes, [&](const protocol::DatanodeInfo& one) {
      return race->decided || one.uuid == race->datanode.uuid || race->tried_relays.contains(one.uuid);
    });
    for (size_t i = datanodes->size(); i > 1; --i) std::swap((*datanodes)[i - 1], (*datanodes)[random_.Uniform(i)]);
    if (datanodes->size() > kMaxRelays) datanodes->resize(kMaxRelays);
    for (const protocol::DatanodeInfo& relay : *datanodes) race->tried_relays.insert(relay.uuid);
    if (race->tried_relays.empty())
      nobody = MakeError(ErrorReason::kUnreachable, "there is no other datanode to go through");
    race->under_way += datanodes->size();
  }
  for (const protocol::DatanodeInfo& relay : *datanodes) {
    Connect(relay, Ways::kDirect,
            [this, race, relay](const absl::StatusOr<Channel>& channel) { OnRelay(race, relay, channel.status()); });
  }
  Failed(race, nobody);
}

void DatanodeChannels::OnRelay(const std::shared_ptr<Race>& race, const protocol::DatanodeInfo& relay,
                               const absl::Status& reached) {
  const auto failed = [&](const absl::Status& why, std::string_view what) {
    Failed(race, Annotate(why, absl::StrCat("datanode ", relay.uuid.value(), ToAbsl(what))));
  };
  if (!reached.ok()) return failed(reached, " can't be reached either");
  Way way{.relayed = true};
  std::shared_ptr<v1::DataTransfer::Stub> stub;
  {
    MutexLock lock(&mutex_);
    const auto worked = worked_.find(relay.uuid);
    if (worked != worked_.end() && !worked->second.relayed) {
      way.address = worked->second.address;
      stub = v1::DataTransfer::NewStub(ChannelLocked(race->datanode, way));
    }
  }
  if (stub == nullptr) return failed(MakeError(ErrorReason::kUnreachable, "it was there a moment ago"), " is gone");
  Try(race, way, relay.uuid, stub);
}

}  // namespace dolmen::client
