#include "namenode/core/placement_policy.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/error.h"

namespace dolmen::namenode {
namespace {

// Draws before a full pass over the candidates; one is nearly always enough.
constexpr int kDraws = 8;

std::string Name(const Datanode& datanode) {
  const protocol::Address& address = datanode.info.addresses.front();
  return absl::StrCat(datanode.info.uuid.value(), " (", address.host, ":", address.port, ")");
}

}  // namespace

void ScheduledSpace::Add(uint32_t storage, uint64_t bytes) {
  Promised& promised = newer_[storage];
  ++promised.count;
  promised.bytes += bytes;
}

void ScheduledSpace::Arrived(uint32_t storage) {
  for (std::map<uint32_t, Promised>* promises : {&older_, &newer_}) {
    const auto found = promises->find(storage);
    if (found == promises->end()) continue;
    Promised& promised = found->second;
    promised.bytes -= promised.bytes / promised.count;
    if (--promised.count == 0) promises->erase(found);
    return;
  }
}

void ScheduledSpace::Roll() {
  older_ = std::move(newer_);
  newer_.clear();
}

uint64_t ScheduledSpace::Of(uint32_t storage) const {
  uint64_t bytes = 0;
  for (const std::map<uint32_t, Promised>* promises : {&older_, &newer_}) {
    const auto found = promises->find(storage);
    if (found != promises->end()) bytes += found->second.bytes;
  }
  return bytes;
}

struct PlacementPolicy::State {
  const TargetRequest& request;
  Random& random;
  Pass pass = Pass::kBest;
  double load_limit = 0;
  uint32_t max_per_rack = 0;
  std::set<DatanodeUuid> excluded;
  std::set<DatanodeUuid> existing;
  std::map<std::string, uint32_t> per_rack;  // replicas, existing and chosen
  std::vector<std::string> racks;            // of existing and chosen, in order
  std::set<const Datanode*> taken;
  std::vector<const Datanode*> chosen;
  std::vector<uint32_t> storages;  // of chosen
};

absl::StatusOr<std::vector<PlacementTarget>> PlacementPolicy::Choose(const TargetRequest& request,
                                                                     Random& random) const {
  DOLMEN_CHECK(request.wanted >= 1, "placement of no replica");
  const Topology& topology = registry_.topology();
  State state{.request = request, .random = random};
  state.excluded.insert(request.excluded.begin(), request.excluded.end());
  for (const DatanodeUuid& uuid : request.existing) {
    if (!state.existing.insert(uuid).second) continue;
    const Datanode* datanode = registry_.Find(uuid);
    if (datanode == nullptr) continue;
    state.racks.push_back(datanode->info.rack);
    ++state.per_rack[datanode->info.rack];
  }
  state.load_limit = std::max(kLoadFloor, kLoadFactor * registry_.AverageStreams());
  // HDFS's rule; the total is limited by the number of datanodes.
  const size_t racks = topology.racks.size();
  const auto total =
      static_cast<uint32_t>(std::min<size_t>(state.existing.size() + request.wanted, topology.nodes.size()));
  state.max_per_rack = total;
  if (racks > 1 && total > 1) {
    state.max_per_rack = (total - 1) / static_cast<uint32_t>(racks) + 2;
    if (state.max_per_rack >= total) state.max_per_rack = total - 1;
  }

  Fill(request.wanted, &state);
  state.pass = Pass::kBusyToo;
  Fill(request.wanted, &state);
  const size_t sufficient = std::max(kSufficientReplicas, settings_.min_replication);
  if (state.existing.size() < sufficient) {
    state.pass = Pass::kSilentToo;
    Fill(std::min<size_t>(request.wanted, sufficient - state.existing.size()), &state);
  }
  if (state.chosen.empty()) return NoDatanodes(state);

  // Pipeline order: from the writer, always to the nearest of the rest; equals stay in the order of choice.
  std::vector<PlacementTarget> targets;
  std::string rack;
  bool rack_known = false;
  if (const auto host = topology.hosts.find(request.writer_host); host != topology.hosts.end()) {
    rack = host->second.front()->info.rack;
    rack_known = true;
  }
  std::vector<size_t> left(state.chosen.size());
  for (size_t i = 0; i < left.size(); ++i) left[i] = i;
  while (!left.empty()) {
    size_t next = 0;
    const auto is_local = [&](size_t i) {
      const auto host = topology.hosts.find(request.writer_host);
      return host != topology.hosts.end() &&
             std::find(host->second.begin(), host->second.end(), state.chosen[i]) != host->second.end();
    };
    for (size_t i = 0; i < left.size(); ++i) {
      const auto distance = [&](size_t candidate) {
        if (targets.empty() && is_local(candidate)) return 0;
        return !rack_known || state.chosen[candidate]->info.rack == rack ? 1 : 2;
      };
      if (distance(left[i]) < distance(left[next])) next = i;
    }
    const size_t picked = left[next];
    left.erase(left.begin() + static_cast<ptrdiff_t>(next));
    rack = state.chosen[picked]->info.rack;
    rack_known = true;
    const DatanodeStorage& storage = *registry_.FindStorage(state.storages[picked]);
    targets.push_back({storage.number, DatanodeRegistry::LocationOf(storage)});
  }
  return targets;
}

void PlacementPolicy::Fill(size_t count, State* state) const {
  const Topology& topology = registry_.topology();
  const TargetRequest& request = state->request;
  while (state->chosen.size() < count) {
    const std::vector<std::string>& racks = state->racks;
    bool took = false;
    if (racks.empty()) {
      const auto host = topology.hosts.find(request.writer_host);
      if (host != topology.hosts.end()) {
        took = TakeFrom(host->second, state) || TakeOnRack(host->second.front()->info.rack, state);
      }
    } else if (racks.size() == 1 || (racks.size() == 2 && racks[0] == racks[1])) {
      took = TakeOutside(racks[0], state) || TakeOnRack(racks[0], state);
    } else if (racks.size() == 2 && request.existing.empty()) {
      took = TakeOnRack(racks[1], state);
    } else if (racks.size() == 2) {
      const auto host = topology.hosts.find(request.writer_host);
      took = TakeOnRack(host == topology.hosts.end() ? racks[1] : host->second.front()->info.rack, state);
    }
    if (!took && !TakeAnywhere(state)) return;
  }
}

bool PlacementPolicy::TakeAnywhere(State* state) const { return TakeFrom(registry_.topology().nodes, state); }

bool PlacementPolicy::TakeOnRack(const std::string& rack, State* state) const {
  const auto found = registry_.topology().racks.find(rack);
  return found != registry_.topology().racks.end() && TakeFrom(found->second, state);
}

bool PlacementPolicy::TakeOutside(const std::string& rack, State* state) const {
  const Topology& topology = registry_.topology();
  if (topology.racks.size() < 2) return false;
  std::vector<const Datanode*> outside;
  for (const auto& [name, nodes] : topology.racks) {
    if (name != rack) outside.insert(outside.end(), nodes.begin(), nodes.end());
  }
  return TakeFrom(outside, state);
}

bool PlacementPolicy::TakeFrom(const std::vector<const Datanode*>& nodes, State* state) const {
  if (nodes.empty()) return false;
  for (int draw = 0; draw < kDraws; ++draw) {
    if (Take(*nodes[state->random.Uniform(nodes.size())], state)) return true;
  }
  // Nearly all refuse: choose among those that do not.
  std::vector<const Datanode*> left;
  for (const Datanode* datanode : nodes) {
    if (Check(*datanode, *state) == Refusal::kNone) left.push_back(datanode);
  }
  return !left.empty() && Take(*left[state->random.Uniform(left.size())], state);
}

bool PlacementPolicy::Take(const Datanode& datanode, State* state) const {
  if (Check(datanode, *state) != Refusal::kNone) return false;
  const std::vector<uint32_t> storages = FittingStorages(datanode, *state);
  // Drawn by free space, in steps of 1 MiB so that the sum can't overflow.
  const auto weight = [&](uint32_t number) {
    return (registry_.FindStorage(number)->report.remaining_bytes >> 20) + 1;
  };
  uint64_t sum = 0;
  for (uint32_t number : storages) sum += weight(number);
  uint64_t drawn = state->random.Uniform(sum);
  uint32_t storage = storages.back();
  for (uint32_t number : storages) {
    if (drawn < weight(number)) {
      storage = number;
      break;
    }
    drawn -= weight(number);
  }
  state->taken.insert(&datanode);
  state->chosen.push_back(&datanode);
  state->storages.push_back(storage);
  state->racks.push_back(datanode.info.rack);
  ++state->per_rack[datanode.info.rack];
  return true;
}

std::vector<uint32_t> PlacementPolicy::FittingStorages(const Datanode& datanode, const State& state) const {
  std::vector<uint32_t> fitting;
  for (uint32_t number : datanode.storages) {
    const DatanodeStorage& storage = *registry_.FindStorage(number);
    if (storage.session == 0 || storage.report.failed) continue;
    uint64_t free = storage.report.remaining_bytes;
    if (state.pass == Pass::kBest) free -= std::min(free, scheduled_.Of(number));
    if (free >= state.request.block_bytes) fitting.push_back(number);
  }
  return fitting;
}

PlacementPolicy::Refusal PlacementPolicy::Check(const Datanode& datanode, const State& state) const {
  const DatanodeUuid& uuid = datanode.info.uuid;
  if (!datanode.IsUsable()) return Refusal::kDead;
  if (state.existing.contains(uuid) || state.taken.contains(&datanode)) return Refusal::kExisting;
  if (state.excluded.contains(uuid)) return Refusal::kExcluded;
  const auto on_rack = state.per_rack.find(datanode.info.rack);
  if (on_rack != state.per_rack.end() && on_rack->second >= state.max_per_rack) return Refusal::kRackFull;
  bool all_failed = true;
  bool has_room = false;
  for (uint32_t number : datanode.storages) {
    const DatanodeStorage& storage = *registry_.FindStorage(number);
    if (storage.session == 0 || storage.report.failed) continue;
    all_failed = false;
    has_room |= storage.report.remaining_bytes >= state.request.block_bytes;
  }
  if (all_failed) return Refusal::kFailed;
  if (!has_room) return Refusal::kNoSpace;
  if (state.pass == Pass::kSilentToo) return Refusal::kNone;
  if (!datanode.IsLive()) return Refusal::kStale;
  if (state.pass == Pass::kBusyToo) return Refusal::kNone;
  if (static_cast<double>(datanode.active_streams) > state.load_limit) return Refusal::kLoaded;
  if (FittingStorages(datanode, state).empty()) return Refusal::kPromised;
  return Refusal::kNone;
}

std::string PlacementPolicy::Describe(const Datanode& datanode, Refusal refusal, const State& state) const {
  switch (refusal) {
    case Refusal::kDead:
      return !datanode.registered_at.has_value() ? "has not registered since the namenode started"
                                                 : "dead: its heartbeats stopped";
    case Refusal::kExcluded:
      return "excluded by the client, which could not use it";
    case Refusal::kExisting:
      return "holds the block already";
    case Refusal::kFailed:
      return "all its storages have failed";
    case Refusal::kNoSpace: {
      uint64_t most = 0;
      for (uint32_t number : datanode.storages) {
        const DatanodeStorage& storage = *registry_.FindStorage(number);
        if (storage.session != 0 && !storage.report.failed) most = std::max(most, storage.report.remaining_bytes);
      }
      return absl::StrCat("not enough space: ", most, " bytes left, the block may need ", state.request.block_bytes);
    }
    case Refusal::kRackFull:
      return absl::StrCat("rack ", datanode.info.rack, " has its most of ", state.max_per_rack, " replicas");
    case Refusal::kStale:
      return "stale: no recent heartbeat";
    case Refusal::kLoaded:
      return absl::StrCat("too loaded: ", datanode.active_streams, " streams");
    case Refusal::kPromised:
      return "its space is promised to other blocks";
    case Refusal::kNone:
      break;
  }
  return "usable";
}

absl::Status PlacementPolicy::NoDatanodes(const State& state) const {
  const size_t excluded = state.excluded.size();
  std::string text = absl::StrCat("There are ", registry_.usable_count(), " datanode(s) running and ",
                                  excluded == 0 ? std::string("no") : absl::StrCat(excluded),
                                  " node(s) are excluded in this operation.");
  if (registry_.datanodes().empty()) {
    absl::StrAppend(&text, " No datanode has ever registered; start one and point it at this namenode.");
  }
  size_t listed = 0;
  std::map<Refusal, size_t> unlisted;
  for (const auto& [uuid, datanode] : registry_.datanodes()) {
    const Refusal refusal = Check(datanode, state);
    if (listed < kMaxListed) {
      absl::StrAppend(&text, listed == 0 ? " Refused: " : "; ", Name(datanode), ": ",
                      Describe(datanode, refusal, state));
      ++listed;
    } else {
      ++unlisted[refusal];
    }
  }
  for (const auto& [refusal, count] : unlisted) {
    const char* const why = refusal == Refusal::kDead       ? "dead"
                            : refusal == Refusal::kExcluded ? "excluded"
                            : refusal == Refusal::kExisting ? "holding the block"
                            : refusal == Refusal::kFailed   ? "with failed storages"
                            : refusal == Refusal::kNoSpace  ? "without space"
                                                            : "on a full rack";
    absl::StrAppend(&text, "; ", count, " more ", why);
  }
  return MakeError(registry_.DatanodesAreReturning() ? ErrorReason::kBusy : ErrorReason::kNoDatanodes, text);
}

}  // namespace dolmen::namenode
