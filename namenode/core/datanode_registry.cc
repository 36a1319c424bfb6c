#include "namenode/core/datanode_registry.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/coding.h"
#include "common/error.h"
#include "namenode/core/record_coding.h"
#include "namenode/core/replica_map.h"

namespace dolmen::namenode {
namespace {

using protocol::Address;
using protocol::DatanodeInfo;
using protocol::DatanodeLiveness;
using protocol::RegisterRequest;
using protocol::StorageReport;
using protocol::StorageType;

constexpr uint8_t kStorageVersion = 1;
constexpr std::string_view kNextNumberKey = "n";
constexpr std::string_view kNextSessionKey = "r";
constexpr std::string_view kDefaultRack = "/default-rack";

std::string StorageKey(uint32_t number) { return "s" + replica_keys::Number(number); }

std::string Varint(uint64_t value) {
  std::string bytes;
  AppendVarint(&bytes, value);
  return bytes;
}

std::string EncodeStorage(const DatanodeInfo& info, const StorageReport& storage) {
  std::string bytes;
  bytes.push_back(static_cast<char>(kStorageVersion));
  AppendLengthPrefixed(&bytes, info.uuid.value());
  AppendLengthPrefixed(&bytes, storage.id.value());
  bytes.push_back(static_cast<char>(storage.type));
  AppendLengthPrefixed(&bytes, info.host_name);
  AppendLengthPrefixed(&bytes, info.rack);
  AppendVarint(&bytes, info.http_port);
  AppendVarint(&bytes, info.addresses.size());
  for (const Address& address : info.addresses) {
    AppendLengthPrefixed(&bytes, address.network);
    AppendLengthPrefixed(&bytes, address.host);
    AppendVarint(&bytes, address.port);
  }
  return bytes;
}

absl::Status DecodeStorage(std::string_view bytes, DatanodeInfo* info, StorageReport* storage) {
  ByteReader reader(bytes);
  DOLMEN_RETURN_IF_ERROR(ReadVersion(&reader, kStorageVersion, "storage record"));
  info->uuid = DatanodeUuid(ReadString(&reader));
  storage->id = StorageId(ReadString(&reader));
  storage->type = ReadEnum(&reader, StorageType::kDisk, StorageType::kRamDisk);
  info->host_name = ReadString(&reader);
  info->rack = ReadString(&reader);
  info->http_port = ReadSmall<uint16_t>(&reader);
  const uint64_t count = reader.Varint();
  for (uint64_t i = 0; reader.ok() && i < count; ++i) {
    Address address;
    address.network = ReadString(&reader);
    address.host = ReadString(&reader);
    address.port = ReadSmall<uint16_t>(&reader);
    info->addresses.push_back(std::move(address));
  }
  return reader.Finish("storage record (delete the replica store, registrations and full reports rebuild it)");
}

// The first address that both advertise.
const Address* SharedAddress(const DatanodeInfo& one, const DatanodeInfo& other) {
  for (const Address& address : one.addresses) {
    if (std::find(other.addresses.begin(), other.addresses.end(), address) != other.addresses.end()) return &address;
  }
  return nullptr;
}

std::string Text(const Address& address) {
  return absl::StrCat(address.host, ":", address.port,
                      address.network.empty() ? std::string() : absl::StrCat(" (network ", address.network, ")"));
}

}  // namespace

void StorageChanges::Append(StorageChanges other) {
  lost.insert(lost.end(), other.lost.begin(), other.lost.end());
  dropped.insert(dropped.end(), other.dropped.begin(), other.dropped.end());
  reports_wanted.insert(reports_wanted.end(), other.reports_wanted.begin(), other.reports_wanted.end());
}

DatanodeRegistry::DatanodeRegistry(const CoreSettings* settings, ClusterId cluster, Epoch epoch, ReplicaStore* store)
    : settings_(*settings), cluster_(std::move(cluster)), store_(store), next_session_((epoch.value() << 24) + 1) {}

absl::Status DatanodeRegistry::Recover(MonotonicTime now) {
  recovered_at_ = now;
  absl::Status damage;
  const auto number_under = [&](std::string_view key, uint64_t least) -> absl::StatusOr<uint64_t> {
    DOLMEN_ASSIGN_OR_RETURN(std::optional<std::string> bytes, store_->Get(ReplicaFamily::kMeta, key));
    if (!bytes.has_value()) return least;
    ByteReader reader(*bytes);
    const uint64_t value = reader.Varint();
    DOLMEN_RETURN_IF_ERROR(reader.Finish("replica store counter (delete the replica store, reports rebuild it)"));
    return std::max(value, least);
  };
  DOLMEN_ASSIGN_OR_RETURN(uint64_t number, number_under(kNextNumberKey, 1));
  // Also above what was stored: a namenode restored from a backup may start with an epoch that was in use before.
  DOLMEN_ASSIGN_OR_RETURN(next_session_, number_under(kNextSessionKey, next_session_));
  DOLMEN_RETURN_IF_ERROR(
      store_->Scan(ReplicaFamily::kMeta, "s", "t", [&](std::string_view key, std::string_view value) {
        DatanodeInfo info;
        DatanodeStorage storage;
        damage = key.size() == 5 ? DecodeStorage(value, &info, &storage.report)
                                 : MakeError(ErrorReason::kDamaged, "replica store: storage key of a wrong size");
        if (!damage.ok()) return false;
        storage.number = replica_keys::ParseNumber(key.substr(1));
        number = std::max<uint64_t>(number, uint64_t{storage.number} + 1);
        Datanode& datanode = datanodes_[info.uuid];
        datanode.info = std::move(info);
        datanode.last_contact = now;
        datanode.storages.push_back(storage.number);
        storage.datanode = &datanode;
        numbers_[{datanode.info.uuid, storage.report.id}] = storage.number;
        storages_[storage.number] = std::move(storage);
        return true;
      }));
  DOLMEN_RETURN_IF_ERROR(damage);
  next_number_ = static_cast<uint32_t>(std::min<uint64_t>(number, UINT32_MAX));
  Changed();
  return absl::OkStatus();
}

absl::Status DatanodeRegistry::Check(const RegisterRequest& request, MonotonicTime now) const {
  const std::string who = absl::StrCat("datanode ", request.info.uuid.value(), " (", request.info.host_name, ")");
  if (request.cluster.has_value() && *request.cluster != cluster_) {
    return MakeError(ErrorReason::kWrongCluster,
                     absl::StrCat(who, " belongs to cluster ", request.cluster->value(), ", this namenode serves ",
                                  cluster_.value(), "; point it at its own namenode, or give it empty storage"));
  }
  if (request.protocol_version != protocol::kDatanodeProtocolVersion) {
    return MakeError(
        ErrorReason::kIllegalArgument,
        absl::StrCat(who, " speaks datanode protocol ", request.protocol_version, ", this namenode speaks ",
                     protocol::kDatanodeProtocolVersion, "; install the same release on both"));
  }
  if (request.info.uuid.is_none() || request.info.addresses.empty() || request.storages.empty()) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat(who, " registers without a uuid, an address or a storage directory"));
  }
  if (request.storages.size() > kMaxStorages || request.info.addresses.size() > kMaxAddresses) {
    return MakeError(
        ErrorReason::kIllegalArgument,
        absl::StrCat(who, " registers ", request.storages.size(), " storages and ", request.info.addresses.size(),
                     " addresses; allowed are ", kMaxStorages, " and ", kMaxAddresses));
  }
  std::set<StorageId> ids;
  for (const StorageReport& storage : request.storages) {
    if (storage.id.is_none() || !ids.insert(storage.id).second) {
      return MakeError(ErrorReason::kIllegalArgument,
                       absl::StrCat(who, " registers storage id '", storage.id.value(),
                                    "' twice or empty; a copied storage directory must be emptied first"));
    }
  }
  if (!datanodes_.contains(request.info.uuid) && datanodes_.size() >= settings_.max_datanodes) {
    return MakeError(ErrorReason::kBusy, absl::StrCat(who, " is one too many: max_datanodes is ",
                                                      settings_.max_datanodes, "; raise it and restart the namenode"));
  }
  // A datanode that is alive loses nothing to another one that was given its address by mistake.
  for (const auto& [uuid, other] : datanodes_) {
    const bool alive = other.session != 0 && now - other.last_contact < settings_.stale_after;
    const Address* shared = uuid == request.info.uuid || !alive ? nullptr : SharedAddress(request.info, other.info);
    if (shared == nullptr) continue;
    return MakeError(
        ErrorReason::kIllegalArgument,
        absl::StrCat(who, " advertises ", Text(*shared), ", the address of live datanode ", uuid.value(), " (",
                     other.info.host_name, "); give each an address of its own, or wait until that one is gone"));
  }
  return absl::OkStatus();
}

absl::StatusOr<DatanodeRegistry::Registered> DatanodeRegistry::Register(const RegisterRequest& request,
                                                                        MonotonicTime now) {
  DOLMEN_RETURN_IF_ERROR(Check(request, now));
  Registered registered;
  registered.session = next_session_;
  uint32_t next_number = next_number_;
  std::map<StorageId, uint32_t> numbers;
  std::vector<ReplicaWrite> writes;
  for (const StorageReport& storage : request.storages) {
    const auto known = numbers_.find({request.info.uuid, storage.id});
    if (known == numbers_.end() && next_number == UINT32_MAX) {
      return MakeError(ErrorReason::kBusy, "out of storage numbers; delete the replica store and restart the namenode");
    }
    const uint32_t number = known != numbers_.end() ? known->second : next_number++;
    numbers[storage.id] = number;
    writes.push_back({ReplicaFamily::kMeta, StorageKey(number), EncodeStorage(request.info, storage)});
  }
  writes.push_back({ReplicaFamily::kMeta, std::string(kNextNumberKey), Varint(next_number)});
  writes.push_back({ReplicaFamily::kMeta, std::string(kNextSessionKey), Varint(next_session_ + 1)});
  DOLMEN_RETURN_IF_ERROR(store_->Write(writes), "remembering a registration in the replica store");

  next_number_ = next_number;
  ++next_session_;
  DropSameAddress(request.info, &registered.changes);

  Datanode& datanode = datanodes_[request.info.uuid];
  if (datanode.session != 0 && datanode.info.addresses != request.info.addresses) {
    Tell(absl::StrCat("datanode ", request.info.uuid.value(), " moved to ", Text(request.info.addresses.front()),
                      "; whoever holds its earlier session is fenced"),
         false);
  }
  datanode.info = request.info;
  if (datanode.info.rack.empty()) datanode.info.rack = kDefaultRack;
  datanode.session = registered.session;
  datanode.liveness = DatanodeLiveness::kLive;
  datanode.last_contact = now;
  datanode.registered_at = now;
  datanode.active_streams = 0;
  // Storages it no longer has are gone with their replicas. One that went and came back has another number now; the
  // replica store remembers both until the old one's records are erased.
  for (uint32_t number : std::exchange(datanode.storages, {})) {
    const auto kept = numbers.find(storages_.at(number).report.id);
    if (kept == numbers.end() || kept->second != number) DropStorage(number, &registered.changes);
  }
  for (const StorageReport& report : request.storages) {
    const uint32_t number = numbers.at(report.id);
    DatanodeStorage& storage = storages_[number];
    storage.number = number;
    storage.datanode = &datanode;
    storage.report = report;
    numbers_[{request.info.uuid, report.id}] = number;
    datanode.storages.push_back(number);
    if (report.failed) {
      EndSession(&storage, &registered.changes);
    } else {
      BeginSession(&storage, registered.session);
    }
  }
  std::sort(datanode.storages.begin(), datanode.storages.end());
  Changed();
  return registered;
}

void DatanodeRegistry::DropSameAddress(const DatanodeInfo& info, StorageChanges* changes) {
  for (auto other = datanodes_.begin(); other != datanodes_.end();) {
    const Address* shared = other->first == info.uuid ? nullptr : SharedAddress(info, other->second.info);
    if (shared == nullptr) {
      ++other;
      continue;
    }
    Tell(absl::StrCat("datanode ", info.uuid.value(), " took over address ", Text(*shared), "; the replicas of ",
                      other->first.value(), ", which was there before, are dropped"),
         true);
    for (uint32_t number : other->second.storages) DropStorage(number, changes);
    other = datanodes_.erase(other);
  }
}

void DatanodeRegistry::DropStorage(uint32_t number, StorageChanges* changes) {
  DatanodeStorage& storage = storages_.at(number);
  const auto known = numbers_.find({storage.datanode->info.uuid, storage.report.id});
  if (known != numbers_.end() && known->second == number) numbers_.erase(known);
  storage.datanode = nullptr;
  storage.session = 0;
  storage.progress.Reset();
  changes->dropped.push_back(number);
}

void DatanodeRegistry::EndSession(DatanodeStorage* storage, StorageChanges* changes) {
  storage->session = 0;
  storage->progress.Reset();
  changes->lost.push_back(storage->number);
}

void DatanodeRegistry::BeginSession(DatanodeStorage* storage, uint64_t session) {
  storage->session = session;
  storage->progress.Reset();
  if (storage->accounted_from == DatanodeStorage::kNever) storage->accounted_from = session;
}

StorageChanges DatanodeRegistry::OnHeartbeat(const HeartbeatFacts& facts) {
  StorageChanges changes;
  const auto found = datanodes_.find(facts.datanode);
  if (found == datanodes_.end() || facts.session == 0 || found->second.session != facts.session) return changes;
  Datanode& datanode = found->second;
  datanode.last_contact = std::max(datanode.last_contact, facts.at);
  if (!topology_is_stale_) usable_streams_ += uint64_t{facts.active_streams} - uint64_t{datanode.active_streams};
  datanode.active_streams = facts.active_streams;
  if (datanode.liveness == DatanodeLiveness::kStale) {
    datanode.liveness = DatanodeLiveness::kLive;
    Changed();
  }
  for (const StorageReport& report : facts.storages) {
    const auto number = numbers_.find({facts.datanode, report.id});
    if (number == numbers_.end()) continue;  // a session's storages are those it registered with
    DatanodeStorage& storage = storages_.at(number->second);
    const bool failed_before = storage.report.failed;
    storage.report = report;
    if (report.failed == failed_before) continue;
    Tell(absl::StrCat("storage ", report.id.value(), " of datanode ", facts.datanode.value(),
                      report.failed ? " failed" : " is back"),
         report.failed);
    if (report.failed) {
      EndSession(&storage, &changes);
    } else {
      BeginSession(&storage, datanode.session);
      changes.reports_wanted.push_back(facts.datanode);
    }
    Changed();
  }
  return changes;
}

StorageChanges DatanodeRegistry::Tick(MonotonicTime now) {
  StorageChanges changes;
  if (last_tick_.has_value() && now - *last_tick_ > settings_.stale_after) {
    const Duration pause = now - *last_tick_;
    for (auto& [uuid, datanode] : datanodes_) {
      if (datanode.session != 0) datanode.last_contact = std::min(now, datanode.last_contact + pause);
    }
    Tell(absl::StrCat("the namenode was paused for ",
                      std::chrono::duration_cast<std::chrono::milliseconds>(pause).count(),
                      " ms; datanodes get that much more time before they count as stale or dead"),
         true);
  }
  last_tick_ = now;
  for (auto& [uuid, datanode] : datanodes_) {
    if (datanode.session == 0) continue;
    const Duration silent = now - datanode.last_contact;
    const DatanodeLiveness liveness = silent >= settings_.dead_after    ? DatanodeLiveness::kDead
                                      : silent >= settings_.stale_after ? DatanodeLiveness::kStale
                                                                        : DatanodeLiveness::kLive;
    if (liveness == datanode.liveness) continue;
    datanode.liveness = liveness;
    Changed();
    if (liveness != DatanodeLiveness::kDead) continue;
    Tell(absl::StrCat("datanode ", uuid.value(), " (", datanode.info.host_name, ") is dead: no heartbeat for ",
                      std::chrono::duration_cast<std::chrono::milliseconds>(silent).count(), " ms"),
         true);
    datanode.session = 0;
    datanode.active_streams = 0;
    for (uint32_t number : datanode.storages) {
      DatanodeStorage& storage = storages_.at(number);
      if (storage.session != 0) EndSession(&storage, &changes);
    }
  }
  return changes;
}

void DatanodeRegistry::FullReportComplete(uint32_t storage, MonotonicTime now) {
  DatanodeStorage* const found = MutableStorage(storage);
  if (found == nullptr || found->datanode == nullptr) return;
  found->accounted_from = found->session;
  datanodes_.at(found->datanode->info.uuid).last_full_report = now;
}

absl::Status DatanodeRegistry::Forget(uint32_t storage) {
  const auto found = storages_.find(storage);
  if (found == storages_.end() || found->second.datanode != nullptr) return absl::OkStatus();
  storages_.erase(found);
  return store_->Write({{ReplicaFamily::kMeta, StorageKey(storage), std::nullopt}});
}

const Datanode* DatanodeRegistry::Find(const DatanodeUuid& uuid) const {
  const auto found = datanodes_.find(uuid);
  return found == datanodes_.end() ? nullptr : &found->second;
}

const DatanodeStorage* DatanodeRegistry::FindStorage(uint32_t number) const {
  const auto found = storages_.find(number);
  return found == storages_.end() ? nullptr : &found->second;
}

const DatanodeStorage* DatanodeRegistry::FindStorage(const DatanodeUuid& uuid, const StorageId& storage) const {
  const auto found = numbers_.find({uuid, storage});
  return found == numbers_.end() ? nullptr : FindStorage(found->second);
}

DatanodeStorage* DatanodeRegistry::MutableStorage(uint32_t number) {
  const auto found = storages_.find(number);
  return found == storages_.end() ? nullptr : &found->second;
}

std::map<DatanodeUuid, uint64_t> DatanodeRegistry::Sessions() const {
  std::map<DatanodeUuid, uint64_t> sessions;
  for (const auto& [uuid, datanode] : datanodes_) {
    if (datanode.session != 0) sessions[uuid] = datanode.session;
  }
  return sessions;
}

bool DatanodeRegistry::DatanodesAreReturning() const {
  if (!recovered_at_.has_value() || last_tick_.value_or(*recovered_at_) - *recovered_at_ >= kReturnTime) return false;
  return std::any_of(datanodes_.begin(), datanodes_.end(),
                     [](const auto& entry) { return !entry.second.registered_at.has_value(); });
}

size_t DatanodeRegistry::live_count() const {
  size_t count = 0;
  for (const Datanode* datanode : topology().nodes) count += datanode->IsLive() ? 1 : 0;
  return count;
}

const Topology& DatanodeRegistry::topology() const {
  if (!topology_is_stale_) return topology_;
  topology_ = Topology();
  usable_streams_ = 0;
  for (const auto& [uuid, datanode] : datanodes_) {
    if (!datanode.IsUsable()) continue;
    topology_.nodes.push_back(&datanode);
    usable_streams_ += datanode.active_streams;
    topology_.racks[datanode.info.rack].push_back(&datanode);
    std::set<std::string_view> hosts{datanode.info.host_name};
    for (const Address& address : datanode.info.addresses) hosts.insert(address.host);
    for (std::string_view host : hosts) topology_.hosts[std::string(host)].push_back(&datanode);
  }
  topology_is_stale_ = false;
  return topology_;
}

double DatanodeRegistry::AverageStreams() const {
  const size_t nodes = topology().nodes.size();
  return nodes == 0 ? 0 : static_cast<double>(usable_streams_) / static_cast<double>(nodes);
}

protocol::ReplicaLocation DatanodeRegistry::LocationOf(const DatanodeStorage& storage) {
  return {storage.datanode->info, storage.report.id, storage.report.type};
}

std::shared_ptr<const ClusterView> DatanodeRegistry::View() {
  if (view_ != nullptr) return view_;
  auto view = std::make_shared<ClusterView>();
  for (const auto& [number, storage] : storages_) {
    if (storage.datanode == nullptr) continue;
    ClusterView::Storage& shown = view->storages[number];
    shown.location = LocationOf(storage);
    shown.liveness = storage.session == 0 ? DatanodeLiveness::kDead : storage.datanode->liveness;
    shown.session = storage.session;
  }
  view_ = std::move(view);
  return view_;
}

void DatanodeRegistry::Changed() {
  topology_is_stale_ = true;
  view_ = nullptr;
}

void DatanodeRegistry::Tell(std::string text, bool trouble) {
  if (notices_.size() < kMaxNotices) notices_.push_back({std::move(text), trouble});
}

}  // namespace dolmen::namenode
