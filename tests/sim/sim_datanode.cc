#include "tests/sim/sim_datanode.h"

#include <deque>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/error.h"
#include "common/faulty_file_system.h"
#include "datanode/core/copy_backlog.h"
#include "datanode/core/namenode_session.h"
#include "datanode/core/pipeline_hop.h"
#include "datanode/core/read_plan.h"
#include "datanode/core/replica_copy.h"
#include "datanode/core/stream_limits.h"
#include "datanode/core/token_keys.h"
#include "datanode/storage/block_store.h"

namespace dolmen::sim {

using datanode::BlockStore;
using datanode::NamenodeSession;
using datanode::PipelineHop;
using datanode::ReplicaCopy;
namespace hop_action = datanode::hop_action;
namespace hop_event = datanode::hop_event;
namespace copy_action = datanode::copy_action;
namespace copy_event = datanode::copy_event;
namespace session_action = datanode::session_action;
namespace session_event = datanode::session_event;

// Everything of one life of the datanode.
struct SimDatanode::Process final : datanode::ReplicaInventory {
  struct Hop {
    explicit Hop(datanode::HopOptions options) : machine(std::move(options)) {}
    PipelineHop machine;
    std::shared_ptr<WriteConnection> up;
    std::shared_ptr<WriteConnection> down;
    std::unique_ptr<datanode::ReplicaWriter> writer;
    MonotonicTime disk_free{};  // local actions run one after another
    uint64_t wake = 0;
  };
  struct Copy {
    Copy(protocol::CopyReplicaCommand command, datanode::CopyOptions options) : machine(std::move(command), options) {}
    ReplicaCopy machine;
    std::unique_ptr<datanode::ReplicaReader> source;
    std::shared_ptr<WriteConnection> pipeline;
    uint64_t wake = 0;
  };

  explicit Process(SimDatanode* owner_in) : owner(*owner_in), fs(&owner_in->disk_, 1), limits({}) {
    datanode::BlockStoreOptions options;
    for (int i = 0; i < owner.volumes_; ++i) {
      options.directories.push_back({absl::StrCat("/volume", i)});
      DOLMEN_CHECK(fs.CreateDirectories(options.directories.back().path).ok());
      DOLMEN_CHECK(fs.SyncDirectory("/").ok());
    }
    options.trash_grace = std::chrono::seconds(20);
    options.pooled_buffers = 1;
    Random ids = owner.random_.Fork();
    auto opened = BlockStore::Open(&fs, options, &ids, owner.events_.now());
    DOLMEN_CHECK(opened.ok(), MessageOf(opened.status()));
    store = *std::move(opened);
    const datanode::StoreIdentity identity = store->identity();
    datanode::SessionOptions session_options;
    session_options.info = {identity.datanode, owner.host(), {{"default", owner.host(), 7066}}, owner.rack_, 0};
    session_options.register_timeout = std::chrono::seconds(2);
    session_options.heartbeat_timeout = std::chrono::seconds(2);
    session_options.report_timeout = std::chrono::seconds(3);
    session = std::make_unique<NamenodeSession>(
        session_options,
        datanode::KnownNamenode{identity.cluster, identity.highest_epoch, identity.highest_incarnation}, this,
        owner.random_.Fork());
  }
  ~Process() override {
    hops.clear();
    copies.clear();
    backlog.Clear();
    store.reset();
  }

  // The process is dead: nothing it still does reaches the disk.
  void CutOffDisk() {
    for (int operation = 0; operation <= static_cast<int>(FileOperation::kCreateDirectory); ++operation)
      fs.AddRule(
          {.operation = static_cast<FileOperation>(operation), .fault = FileFault::kIoError, .times = UINT64_MAX});
    for (auto& weak : connections)
      if (auto connection = weak.lock()) connection->Break();
    for (auto& weak : reads)
      if (auto connection = weak.lock()) connection->Break();
  }
  void At(MonotonicTime at, std::function<void()> run) {
    SimDatanode& datanode = owner;
    const uint64_t life = owner.counts_.starts;
    owner.events_.At(at, [&datanode, life, run = std::move(run)] {
      if (datanode.running() && datanode.counts_.starts == life) run();
    });
  }
  MonotonicTime now() const { return owner.events_.now(); }
  MonotonicTime DiskDone(MonotonicTime free) {
    return std::max(now(), free) + Duration(std::chrono::microseconds(owner.random_.Between(20, 3000)));
  }
  static WallTime Wall(MonotonicTime at) {
    return WallTime{1'700'000'000'000 +
                    std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count()};
  }

  // ---- ReplicaInventory ----------------------------------------------------------------------------------------
  std::vector<protocol::StorageReport> StorageReports() const override { return store->StorageReports(); }
  std::vector<protocol::ReportedReplica> ListRange(const StorageId& storage, BlockId first,
                                                   size_t limit) const override {
    return store->ListRange(storage, first, limit);
  }
  protocol::IdMarks Seen() const override { return store->identity().seen; }
  protocol::IdMarks Bound() const override { return store->identity().bound; }
  uint32_t ActiveStreams() const override { return limits.streams(); }
  uint32_t ActiveTransfers() const override { return static_cast<uint32_t>(copies.size()); }

  // ---- namenode ------------------------------------------------------------------------------------------------
  void StepSession(datanode::SessionEvent event) {
    for (datanode::SessionAction& action : session->Step(std::move(event), now()))
      std::visit([this](auto& one) { Do(one); }, action);
    const uint64_t wake = ++session_wake;
    if (auto deadline = session->NextDeadline()) {
      At(*deadline, [this, wake] {
        if (wake == session_wake) StepSession(session_event::Tick{});
      });
    }
  }
  // Sends `call` to the namenode and the answer back as an event.
  template <typename Event, typename Call>
  void Ask(uint64_t request, Call call) {
    SimDatanode& datanode = owner;
    const uint64_t life = owner.counts_.starts;
    SimNamenode* namenode = owner.namenode_;
    owner.network_.Send(owner.node_, owner.namenode_node_, [&datanode, life, namenode, request, call] {
      auto reply = call(*namenode);
      datanode.network_.Send(datanode.namenode_node_, datanode.node_, [&datanode, life, request, reply] {
        if (datanode.running() && datanode.counts_.starts == life)
          datanode.process_->StepSession(Event{request, reply});
      });
    });
  }
  void Do(session_action::SendRegister& action) {
    Ask<session_event::RegisterAnswered>(
        action.request, [message = action.message](SimNamenode& namenode) { return namenode.OnRegister(message); });
  }
  void Do(session_action::SendHeartbeat& action) {
    Ask<session_event::HeartbeatAnswered>(
        action.request, [message = action.message](SimNamenode& namenode) { return namenode.OnHeartbeat(message); });
  }
  void Do(session_action::SendIncremental& action) {
    Ask<session_event::IncrementalAnswered>(action.request, [message = action.message](SimNamenode& namenode) {
      return namenode.OnIncrementalReport(message);
    });
  }
  void Do(session_action::SendSlice& action) {
    Ask<session_event::SliceAnswered>(
        action.request, [message = action.message](SimNamenode& namenode) { return namenode.OnFullReport(message); });
  }
  void Do(session_action::RecordIdentity& action) {
    At(DiskDone(now()), [this, identity = action.namenode] {
      StepSession(session_event::IdentityRecorded{store->RecordNamenode(identity)});
    });
  }
  void Do(session_action::UseTokenKey& action) { keys.Add(action.key); }
  void Do(session_action::Stop& action) { DOLMEN_CHECK(false, MessageOf(action.why)); }
  void Do(session_action::Notice&) {}
  void Do(session_action::Execute& action) {
    if (auto* deletion = std::get_if<protocol::DeleteReplicasCommand>(&action.command)) Accept(deletion);
    if (auto* freeze = std::get_if<protocol::FreezeReplicaCommand>(&action.command); freeze && !Accept(*freeze)) return;
    At(DiskDone(now()),
       [this, command = action.command] { std::visit([this](const auto& one) { Obey(one); }, command); });
  }
  // As Node does, at once: from now on no report vouches for these replicas. The disk follows.
  void Accept(protocol::DeleteReplicasCommand* command) {
    std::erase_if(command->blocks, [&](const protocol::Block& block) {
      auto storage = store->StorageOf(block.id);
      if (!storage.has_value() || (!command->storage.is_none() && *storage != command->storage)) return true;
      return !store->BeginDelete(block).ok();
    });
  }
  void Obey(const protocol::DeleteReplicasCommand& command) {
    for (const protocol::Block& block : command.blocks) {
      auto storage = store->StorageOf(block.id);
      if (storage.has_value() && store->FinishDelete(block, now()).ok())
        StepSession(session_event::ReplicaChanged{*storage, {block, protocol::ReplicaState::kDeleted}});
    }
  }
  void Obey(const protocol::VerifyReplicaCommand& command) {
    const auto verified = store->Verify(command.block);
    if (!verified.ok()) return;
    const bool good = verified->outcome == datanode::VerifyOutcome::kGood;
    const auto state = good ? protocol::ReplicaState::kFinalized : protocol::ReplicaState::kCorrupt;
    StepSession(session_event::ReplicaChanged{command.storage, {verified->block, state}});
  }
  // As Node does, at once: the replica takes nothing more, and its writer hears of it. The disk follows.
  bool Accept(const protocol::FreezeReplicaCommand& command) {
    if (!store->BeginFreeze(command.block, command.recovery).ok()) return false;
    const absl::Status why = MakeError(ErrorReason::kRecoveryInProgress, "block recovery has taken the replica");
    At(now(), [this, command, why] {
      std::vector<uint64_t> ids;
      for (const auto& [id, hop] : hops) ids.push_back(id);
      for (const uint64_t id : ids) StepHop(id, hop_event::BlockFrozen{command.block, command.recovery, why});
    });
    return true;
  }
  void Obey(const protocol::FreezeReplicaCommand& command) {
    const auto frozen = store->FinishFreeze(command.block);
    if (!frozen.ok()) return;
    ++owner.counts_.replicas_frozen;
    StepSession(
        session_event::ReplicaChanged{frozen->storage.is_none() ? command.storage : frozen->storage, frozen->replica});
  }
  void Obey(const protocol::FinishRecoveryCommand& command) {
    const absl::Status finished = store->FinishRecovery(command.block);
    const auto storage = store->StorageOf(command.block.id);
    if (!storage.has_value()) return;
    if (finished.ok()) {
      ++owner.counts_.recoveries_finished;
      StepSession(session_event::ReplicaChanged{*storage, {command.block, protocol::ReplicaState::kFinalized}});
    }
  }
  void Obey(const protocol::CopyPrefixCommand& command) {
    if (!store->CopyPrefix(command.source, command.target).ok()) return;
    ++owner.counts_.prefixes_copied;
    if (const auto storage = store->StorageOf(command.target.id))
      StepSession(session_event::ReplicaChanged{*storage, {command.target, protocol::ReplicaState::kFinalized}});
  }
  void Obey(const protocol::SendFullReportCommand&) {}
  void Obey(const protocol::CopyReplicaCommand& command) {
    backlog.Put(command, now());
    StartCopies();
  }

  // ---- hops ----------------------------------------------------------------------------------------------------
  datanode::HopOptions HopSettings() const {
    datanode::HopOptions options;
    options.self = store->identity().datanode;
    options.setup_timeout = std::chrono::seconds(2);
    options.ack_timeout = std::chrono::seconds(3);
    options.disk_timeout = std::chrono::seconds(10);
    options.idle_timeout = std::chrono::seconds(90);
    return options;
  }
  void StartHop(const std::shared_ptr<WriteConnection>& connection) {
    const uint64_t id = ++next_id;
    hops[id] = std::make_unique<Hop>(HopSettings());
    hops[id]->up = connection;
    connections.push_back(connection);
    connection->on_forward = Guard<WriteFrame>([this, id](WriteFrame frame) {
      if (auto* packet = std::get_if<protocol::Packet>(&frame)) {
        StepHop(id, hop_event::PacketReceived{std::move(*packet)});
      } else {
        StepHop(id, hop_event::SetupReceived{std::get<protocol::WriteSetup>(std::move(frame)), keys, Wall(now())});
      }
    });
    connection->on_opener_gone = [guarded = Guard<int>([this, id](int) {
                                    StepHop(id, hop_event::UpstreamEnded{absl::CancelledError("the sender is gone")});
                                  })] { guarded(0); };
  }
  template <typename T>
  std::function<void(T)> Guard(std::function<void(T)> run) {
    SimDatanode& datanode = owner;
    const uint64_t life = owner.counts_.starts;
    return [&datanode, life, run = std::move(run)](T value) {
      if (datanode.running() && datanode.counts_.starts == life) run(std::move(value));
    };
  }
  void StepHop(uint64_t id, datanode::HopEvent event) {
    auto found = hops.find(id);
    if (found == hops.end()) return;
    for (datanode::HopAction& action : found->second->machine.Step(std::move(event), now()))
      std::visit([&](auto& one) { Do(id, *found->second, one); }, action);
    const uint64_t wake = ++found->second->wake;
    if (found->second->machine.Done()) {
      At(now(), [this, id] { hops.erase(id); });
    } else if (auto deadline = found->second->machine.NextDeadline()) {
      At(*deadline, [this, id, wake] {
        auto again = hops.find(id);
        if (again != hops.end() && again->second->wake == wake) StepHop(id, hop_event::Tick{});
      });
    }
  }
  // Runs on the hop's disk, after what was asked before.
  template <typename Run>
  void OnDisk(uint64_t id, Hop& hop, Run run) {
    hop.disk_free = DiskDone(hop.disk_free);
    At(hop.disk_free, [this, id, run] {
      auto found = hops.find(id);
      if (found != hops.end()) run(*found->second);
    });
  }
  void Do(uint64_t id, Hop& hop, hop_action::OpenLocal& action) {
    OnDisk(id, hop, [this, id, action](Hop& self) {
      auto writer = action.append_to.has_value()
                        ? store->ReopenReplica({action.block, *action.append_to, action.expected_bytes})
                        : store->CreateReplica({action.block, action.storage, action.is_copy, action.expected_bytes});
      if (!writer.ok()) return StepHop(id, hop_event::LocalOpened{writer.status()});
      self.writer = *std::move(writer);
      StepHop(id, hop_event::LocalOpened{self.writer->storage(), self.writer->tail()});
    });
  }
  void Do(uint64_t id, Hop& hop, hop_action::ConnectDownstream& action) {
    SimDatanode* target = owner.directory_.at(action.target.datanode.addresses.front().host);
    hop.down = Connect(target, action.setup);
    hop.down->on_backward =
        Guard<protocol::Ack>([this, id](protocol::Ack ack) { StepHop(id, hop_event::DownstreamAck{std::move(ack)}); });
    hop.down->on_ended = Guard<absl::Status>(
        [this, id](const absl::Status& status) { StepHop(id, hop_event::DownstreamEnded{status}); });
  }
  std::shared_ptr<WriteConnection> Connect(SimDatanode* target, const protocol::WriteSetup& setup) {
    auto connection = std::make_shared<WriteConnection>(&owner.events_, &owner.network_, owner.node_, target->node());
    connections.push_back(connection);
    connection->Open([target, connection] { target->AcceptWrite(connection); });
    connection->SendForward(WriteFrame(setup));
    return connection;
  }
  void Do(uint64_t, Hop& hop, hop_action::SendDownstream& action) { hop.down->SendForward(WriteFrame(action.packet)); }
  void Do(uint64_t, Hop& hop, hop_action::CloseDownstream& action) {
    if (hop.down && action.cancel) hop.down->CloseByOpener();  // else it ends by itself
  }
  void Do(uint64_t id, Hop& hop, hop_action::WriteLocal& action) {
    OnDisk(id, hop, [this, id, packet = action.packet](Hop& self) {
      absl::Status written = self.writer->Write(packet);
      if (written.ok() && packet.sync) written = self.writer->Sync();
      StepHop(id, hop_event::LocalWritten{packet.sequence, written, 100});
    });
  }
  void Do(uint64_t, Hop& hop, hop_action::SetVisible& action) {
    if (hop.writer) hop.writer->SetVisibleLength(action.length);
  }
  void Do(uint64_t id, Hop& hop, hop_action::FinalizeLocal& action) {
    OnDisk(id, hop, [this, id, durable = action.durable](Hop& self) {
      datanode::ReplicaWriter* const writers[] = {self.writer.get()};
      const absl::Status finalized = store->FinalizeGroup(writers, durable).front();
      if (finalized.ok()) ++owner.counts_.replicas_finalized;
      self.writer.reset();
      StepHop(id, hop_event::LocalFinalized{finalized});
    });
  }
  void Do(uint64_t id, Hop& hop, hop_action::CloseLocal& action) {
    OnDisk(id, hop, [discard = action.discard](Hop& self) {
      if (self.writer && discard) self.writer->Discard();
      self.writer.reset();
    });
  }
  void Do(uint64_t, Hop& hop, hop_action::SendUpstream& action) { hop.up->SendBackward(action.ack); }
  void Do(uint64_t, Hop& hop, hop_action::FinishUpstream& action) { hop.up->EndByAcceptor(action.status); }
  void Do(uint64_t, Hop&, hop_action::ReportReplica& action) {
    StepSession(session_event::ReplicaChanged{action.storage, action.replica});
  }

  // ---- copies --------------------------------------------------------------------------------------------------
  void StartCopies() {
    while (copies.size() < 4) {
      std::optional<protocol::CopyReplicaCommand> next = backlog.Take(now());
      if (!next.has_value()) return;
      const uint64_t id = ++next_id;
      datanode::CopyOptions options;
      options.packet_bytes = 2048;
      options.setup_timeout = std::chrono::seconds(4);
      options.ack_timeout = std::chrono::seconds(6);
      copies[id] = std::make_unique<Copy>(*std::move(next), options);
      StepCopy(id, copy_event::Start{});
    }
  }
  void StepCopy(uint64_t id, datanode::CopyEvent event) {
    auto found = copies.find(id);
    if (found == copies.end()) return;
    for (datanode::CopyAction& action : found->second->machine.Step(std::move(event), now()))
      std::visit([&](auto& one) { Do(id, *found->second, one); }, action);
    const uint64_t wake = ++found->second->wake;
    if (found->second->machine.Done()) {
      At(now(), [this, id] {
        copies.erase(id);
        StartCopies();
      });
    } else if (auto deadline = found->second->machine.NextDeadline()) {
      At(*deadline, [this, id, wake] {
        auto again = copies.find(id);
        if (again != copies.end() && again->second->wake == wake) StepCopy(id, copy_event::Tick{});
      });
    }
  }
  void Do(uint64_t id, Copy&, copy_action::OpenSource& action) {
    At(DiskDone(now()), [this, id, block = action.block] {
      auto found = copies.find(id);
      if (found == copies.end()) return;
      auto reader = store->OpenReader(block);
      if (!reader.ok()) return StepCopy(id, copy_event::SourceOpened{reader.status()});
      found->second->source = *std::move(reader);
      StepCopy(id, copy_event::SourceOpened{found->second->source->Length()});
    });
  }
  void Do(uint64_t id, Copy& copy, copy_action::ConnectPipeline& action) {
    copy.pipeline = Connect(owner.directory_.at(action.target.datanode.addresses.front().host), action.setup);
    copy.pipeline->on_backward =
        Guard<protocol::Ack>([this, id](protocol::Ack ack) { StepCopy(id, copy_event::AckArrived{std::move(ack)}); });
    copy.pipeline->on_ended = Guard<absl::Status>(
        [this, id](const absl::Status& status) { StepCopy(id, copy_event::PipelineEnded{status}); });
  }
  void Do(uint64_t id, Copy&, copy_action::ReadSource& action) {
    At(DiskDone(now()), [this, id, action] {
      auto found = copies.find(id);
      if (found == copies.end()) return;
      StepCopy(id, copy_event::ChunkRead{found->second->source->Read(action.offset, action.length,
                                                                     datanode::ReplicaReader::Check::kVerify)});
    });
  }
  void Do(uint64_t, Copy& copy, copy_action::SendPacket& action) {
    copy.pipeline->SendForward(WriteFrame(action.packet));
  }
  void Do(uint64_t, Copy& copy, copy_action::ClosePipeline& action) {
    if (copy.pipeline && action.cancel) copy.pipeline->CloseByOpener();  // else it ends by itself
  }
  void Do(uint64_t, Copy&, copy_action::ReportCorrupt& action) {
    if (auto storage = store->StorageOf(action.block.id))
      StepSession(session_event::ReplicaChanged{*storage, {action.block, protocol::ReplicaState::kCorrupt}});
  }
  void Do(uint64_t, Copy&, copy_action::Finished& action) {
    if (action.status.ok()) ++owner.counts_.copies_done;
  }

  // ---- reads ---------------------------------------------------------------------------------------------------
  void StartRead(const std::shared_ptr<ReadConnection>& connection, const protocol::ReadRequest& request) {
    reads.push_back(connection);
    if (absl::Status allowed = keys.Verify(request.token, request.block.id, BlockAccess::kRead, Wall(now()));
        !allowed.ok())
      return connection->EndByAcceptor(allowed);
    auto reader = store->OpenReader(request.block);
    if (!reader.ok()) return connection->EndByAcceptor(reader.status());
    const bool finalized = (*reader)->block().length > 0;
    auto plan = datanode::ReadPlan::Make(request, (*reader)->Length(), finalized);
    if (!plan.ok()) return connection->EndByAcceptor(plan.status());
    SendPieces(connection, std::shared_ptr<datanode::ReplicaReader>(std::move(*reader)),
               std::make_shared<datanode::ReadPlan>(*std::move(plan)));
  }
  void SendPieces(const std::shared_ptr<ReadConnection>& connection,
                  const std::shared_ptr<datanode::ReplicaReader>& reader,
                  const std::shared_ptr<datanode::ReadPlan>& plan) {
    At(DiskDone(now()), [this, connection, reader, plan] {
      if (connection->closed()) return;
      const auto piece = plan->Next();
      if (!piece.has_value()) return connection->EndByAcceptor(absl::OkStatus());
      auto chunk = reader->Read(piece->offset, piece->length, datanode::ReplicaReader::Check::kNone);
      if (!chunk.ok()) return connection->EndByAcceptor(chunk.status());
      connection->SendBackward(*std::move(chunk));
      SendPieces(connection, reader, plan);
    });
  }
  void SchedulePurge() {
    At(now() + std::chrono::seconds(5), [this] {
      for (const protocol::StorageReport& storage : store->StorageReports()) {
        LogIfError(store->PurgeTrash(storage.id, now(), 100).status(), "purged again later");
      }
      store->RefreshSpace();
      SchedulePurge();
    });
  }

  SimDatanode& owner;
  FaultyFileSystem fs;
  std::unique_ptr<BlockStore> store;
  datanode::TokenKeys keys;
  datanode::StreamLimits limits;
  std::unique_ptr<NamenodeSession> session;
  uint64_t session_wake = 0;
  uint64_t next_id = 0;
  std::map<uint64_t, std::unique_ptr<Hop>> hops;
  std::map<uint64_t, std::unique_ptr<Copy>> copies;
  datanode::CopyBacklog backlog;
  std::vector<std::weak_ptr<WriteConnection>> connections;
  std::vector<std::weak_ptr<ReadConnection>> reads;
};

SimDatanode::SimDatanode(EventQueue* events, Network* network, NodeId node, NodeId namenode_node, SimNamenode* namenode,
                         const DatanodeDirectory* directory, std::string rack, int volumes, uint64_t seed)
    : events_(*events),
      network_(*network),
      node_(node),
      namenode_node_(namenode_node),
      namenode_(namenode),
      directory_(*directory),
      rack_(std::move(rack)),
      volumes_(volumes),
      random_(seed) {}

SimDatanode::~SimDatanode() {
  if (running()) process_->CutOffDisk();
}

std::string SimDatanode::host() const { return absl::StrCat("datanode", node_); }
bool SimDatanode::running() const { return process_ != nullptr; }

void SimDatanode::Start() {
  DOLMEN_CHECK(!running());
  ++counts_.starts;
  network_.Start(node_);
  process_ = std::make_unique<Process>(this);
  process_->StepSession(session_event::Tick{});
  process_->SchedulePurge();
}

void SimDatanode::Crash() {
  DOLMEN_CHECK(running());
  ++counts_.crashes;
  network_.Stop(node_);
  process_->CutOffDisk();
  disk_.Crash();
  process_.reset();
}

void SimDatanode::PowerLoss() {
  DOLMEN_CHECK(running());
  ++counts_.power_losses;
  network_.Stop(node_);
  process_->CutOffDisk();
  disk_.PowerLoss(random_);
  process_.reset();
}

void SimDatanode::AcceptWrite(const std::shared_ptr<WriteConnection>& connection) {
  if (running()) process_->StartHop(connection);
}

void SimDatanode::AcceptRead(const std::shared_ptr<ReadConnection>& connection, const protocol::ReadRequest& request) {
  if (running()) process_->StartRead(connection, request);
}

absl::StatusOr<protocol::VisibleLengthReply> SimDatanode::VisibleLength(const protocol::VisibleLengthRequest& request) {
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t length, process_->store->VisibleLength(request.block));
  return protocol::VisibleLengthReply{length};
}

absl::StatusOr<protocol::BlockChecksumReply> SimDatanode::Checksum(const protocol::Block& block) {
  DOLMEN_ASSIGN_OR_RETURN(const auto reader, process_->store->OpenReader(block));
  return reader->Checksum(block.length);
}

std::vector<protocol::Block> SimDatanode::Finalized() const {
  std::vector<protocol::Block> blocks;
  for (const protocol::StorageReport& storage : process_->store->StorageReports())
    for (const protocol::ReportedReplica& replica : process_->store->ListRange(storage.id, BlockId(), SIZE_MAX))
      if (replica.state == protocol::ReplicaState::kFinalized) blocks.push_back(replica.block);
  return blocks;
}

std::vector<std::pair<protocol::Block, absl::Status>> SimDatanode::VerifyFinalized() {
  std::vector<std::pair<protocol::Block, absl::Status>> verified;
  for (const protocol::Block& block : Finalized()) {
    auto outcome = process_->store->Verify(block);
    verified.emplace_back(block, !outcome.ok() ? outcome.status()
                                 : outcome->outcome == datanode::VerifyOutcome::kGood
                                     ? absl::OkStatus()
                                     : MakeError(ErrorReason::kChecksum, "checksums differ"));
  }
  return verified;
}

absl::StatusOr<std::string> SimDatanode::ReadFinalized(const protocol::Block& block) {
  DOLMEN_ASSIGN_OR_RETURN(auto reader, process_->store->OpenReader(block));
  std::string bytes;
  while (bytes.size() < block.length) {
    DOLMEN_ASSIGN_OR_RETURN(protocol::ReadChunk chunk, reader->Read(bytes.size(), block.length - bytes.size(),
                                                                    datanode::ReplicaReader::Check::kVerify));
    if (chunk.payload.empty()) break;
    bytes += std::string(chunk.payload);
  }
  return bytes;
}

std::string SimDatanode::LeftOpen() const {
  if (!process_->hops.empty()) return absl::StrCat(process_->hops.size(), " write streams are left");
  if (!process_->copies.empty()) return absl::StrCat(process_->copies.size(), " copies are left");
  if (process_->store->open_writers() > 0) return "a replica writer is left";
  for (const protocol::StorageReport& storage : process_->store->StorageReports()) {
    for (const protocol::ReportedReplica& replica : process_->store->ListRange(storage.id, BlockId(), SIZE_MAX))
      if (replica.state != protocol::ReplicaState::kFinalized)
        return replica.block.id.ToString() + " is left unfinished";
  }
  return "";
}

}  // namespace dolmen::sim
