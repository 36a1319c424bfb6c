#include "tests/sim/sim_client.h"

#include "common/check.h"
#include "tests/sim/sim_client_process.h"

namespace dolmen::sim {

char ContentAt(uint64_t inode, uint64_t offset) {
  uint64_t x = inode * 0x9E3779B97F4A7C15ull + offset / 8;
  x = (x ^ (x >> 29)) * 0xBF58476D1CE4E5B9ull;
  return static_cast<char>((x >> (8 * (offset % 8))) & 0xff);
}

std::string Content(uint64_t inode, uint64_t offset, size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; ++i) out[i] = ContentAt(inode, offset + i);
  return out;
}

SimClient::SimClient(EventQueue* events, Network* network, NodeId node, SimNamenode* namenode,
                     const DatanodeDirectory* datanodes, WorkloadSettings workload, uint64_t seed,
                     ClientObserver* observer)
    : events_(*events),
      network_(*network),
      node_(node),
      namenode_(namenode),
      datanodes_(*datanodes),
      workload_(workload),
      random_(seed),
      observer_(observer) {}

SimClient::~SimClient() = default;

void SimClient::Start() {
  DOLMEN_CHECK(!running());
  ++processes_;
  holder_ = "client" + std::to_string(node_) + "_" + std::to_string(processes_);
  network_.Start(node_);
  process_ = std::make_unique<Process>(this);
  process_->ScheduleNext();
  process_->ScheduleLease();
}

void SimClient::Kill() {
  DOLMEN_CHECK(running());
  network_.Stop(node_);
  ++processes_;
  for (auto& break_connection : connections_) break_connection();
  connections_.clear();
  process_.reset();
}

std::string SimClient::UnderWay() const {
  if (process_ == nullptr) return "";
  std::string text;
  for (const auto& [id, job] : process_->jobs) {
    text += "writing " + job->path + " inode " + std::to_string(job->inode) + ": " + std::to_string(job->taken) +
            " of " + std::to_string(job->total) + " taken, " + std::to_string(job->writer->acknowledged_bytes()) +
            " acknowledged, " + std::to_string(job->built.size()) + " packets built, close " +
            (job->close_sent ? "sent" : "not sent") + "; ";
  }
  for (const auto& [id, job] : process_->appends) text += "opening " + job->path + " to append; ";
  for (const auto& [id, job] : process_->reads)
    text += "reading " + job->path + ": " + std::to_string(job->got) + " of " + std::to_string(job->length) + "; ";
  for (const auto& [id, job] : process_->checksums) text += "checksum of " + job->file.path + "; ";
  if (text.empty() && process_->running > 0) text = std::to_string(process_->running) + " calls";
  return text;
}

void SimClient::ReadFile(const std::string& path) {
  ++process_->extra;
  ++process_->running;
  process_->StartRead(path);
}

std::string SimClient::Host() const { return "client" + std::to_string(node_); }

SimDatanode* SimClient::Find(const protocol::ReplicaLocation& location) const {
  return datanodes_.at(location.datanode.addresses.front().host);
}

const std::string& SimClient::holder() const { return holder_; }

// ---- workload -----------------------------------------------------------------------------------------------------

std::string SimClient::Process::RandomDirectory() {
  static constexpr const char* kDirectories[] = {"/", "/a", "/b", "/a/c", "/b/d"};
  return kDirectories[owner.random_.Uniform(5)];
}

std::string SimClient::Process::RandomPath() {
  const std::string directory = RandomDirectory();
  return (directory == "/" ? "/" : directory + "/") + "f" + std::to_string(owner.random_.Uniform(8));
}

// Mostly of files in one directory, as anything else is refused.
void SimClient::Process::StartConcat() {
  Random& random = owner.random_;
  protocol::ConcatRequest request{.target = RandomPath()};
  const std::string directory = request.target.substr(0, request.target.rfind('/') + 1);
  for (uint64_t i = random.Between(1, 3); i > 0; --i) {
    request.sources.push_back(random.OneIn(12) ? RandomPath() : directory + "f" + std::to_string(random.Uniform(8)));
  }
  Mutate(request, "concat", [this](const namenode::Answer& answer) { Ended("concat", answer.status()); });
}

void SimClient::Process::NextOperation() {
  if (owner.stopping_) return;
  ++owner.operations_;
  ++running;
  Random& random = owner.random_;
  const auto simple = [this](const std::string& kind) {
    return [this, kind](const namenode::Answer& answer) { Ended(kind, answer.status()); };
  };
  const auto asked = [this](const std::string& kind) {
    return [this, kind](const absl::StatusOr<protocol::QueryReply>& reply) { Ended(kind, reply.status()); };
  };
  switch (random.Uniform(30)) {
    case 0:
    case 1:
      return Mutate(protocol::MkdirsRequest{RandomDirectory(), 0755, !random.OneIn(4)}, "mkdirs", simple("mkdirs"));
    case 2:
    case 3:
    case 4: {
      protocol::RenameRequest request{random.OneIn(3) ? RandomDirectory() : RandomPath(),
                                      random.OneIn(3) ? RandomDirectory() : RandomPath(),
                                      static_cast<protocol::RenameKind>(1 + random.Uniform(3))};
      return Mutate(request, "rename", simple("rename"));
    }
    case 5:
    case 6:
      return Mutate(protocol::DeleteRequest{random.OneIn(8) ? RandomDirectory() : RandomPath(), random.OneIn(2)},
                    "delete", simple("delete"));
    case 7:
      if (random.OneIn(4)) return Ask(protocol::CheckFilesRequest{.path = RandomDirectory()}, "check", asked("check"));
      return Ask(protocol::GetListingRequest{RandomDirectory(), "", 1000}, "list", asked("list"));
    case 8:
      return Ask(protocol::GetFileInfoRequest{RandomPath()}, "stat", asked("stat"));
    case 9:
    case 10:
    case 11:
    case 12:
      return StartRead(RandomPath());
    case 13:
    case 14:
      return StartConcat();
    case 15:
    case 16:
      return Mutate(protocol::SetReplicationRequest{random.OneIn(8) ? RandomDirectory() : RandomPath(),
                                                    static_cast<uint32_t>(random.Between(1, 4))},
                    "set replication", simple("set replication"));
    case 17:
      switch (random.Uniform(3)) {
        case 0:
          return Ask(protocol::GetContentSummaryRequest{RandomDirectory()}, "count", asked("count"));
        case 1:
          return Ask(protocol::IsFileClosedRequest{RandomPath()}, "is closed", asked("is closed"));
        default:
          return Ask(protocol::ListOpenFilesRequest{.path = RandomDirectory()}, "open files", asked("open files"));
      }
    case 18:
      return Mutate(protocol::RecoverLeaseRequest{RandomPath()}, "recoverLease", simple("recoverLease"));
    case 19:
      return Mutate(protocol::TruncateRequest{RandomPath(), random.Uniform(owner.workload_.max_file_bytes)}, "truncate",
                    simple("truncate"));
    case 20:
    case 21:
      return StartAppend(RandomPath(), random.OneIn(5), random.Uniform(owner.workload_.max_file_bytes / 2),
                         random.OneIn(2));
    case 22:
      return StartChecksum(RandomPath());
    default: {
      const uint64_t sizes[] = {0,
                                1,
                                511,
                                512,
                                513,
                                owner.workload_.block_bytes,
                                owner.workload_.block_bytes + 1,
                                random.Uniform(owner.workload_.max_file_bytes)};
      return StartWrite(RandomPath(), random.OneIn(2), !random.OneIn(8), sizes[random.Uniform(8)], random.OneIn(3));
    }
  }
}

void SimClient::Process::Ended(const std::string& kind, const absl::Status& status) {
  owner.observer_->OperationDone(kind, status);
  if (running > 0) --running;
  if (extra > 0) {
    --extra;
    return;
  }
  ScheduleNext();
}

void SimClient::Process::ScheduleNext() {
  if (owner.stopping_) return;
  const auto pause = Duration(owner.random_.Uniform(2 * owner.workload_.think_time.count()));
  At(owner.events_.now() + pause, [this] { NextOperation(); });
}

}  // namespace dolmen::sim
