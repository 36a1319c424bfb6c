// One life of a simulated client: its calls, writers, readers and lease. Private to SimClient: sim_client_process.cc
// runs the machines, sim_client.cc has the workload that chooses what they do.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "client/core/file_checksum.h"
#include "common/error.h"
#include "tests/sim/sim_client.h"

namespace dolmen::sim {

struct SimClient::Process {
  explicit Process(SimClient* owner);

  // ---- calls ---------------------------------------------------------------------------------------------------
  template <typename Reply>
  struct Call {
    std::function<void(uint64_t call, uint64_t attempt, const protocol::CallId& id)> send;
    std::function<void(absl::StatusOr<Reply>)> done;
    uint64_t attempt = 0;
  };
  using MutationDone = std::function<void(namenode::Answer)>;
  using QueryDone = std::function<void(absl::StatusOr<protocol::QueryReply>)>;

  template <typename Reply>
  std::map<uint64_t, Call<Reply>>& calls() {
    if constexpr (std::is_same_v<Reply, protocol::MutationReply>) {
      return mutations;
    } else {
      return queries;
    }
  }
  void Mutate(protocol::Mutation request, const std::string& what, MutationDone done);
  void Ask(protocol::Query request, const std::string& what, QueryDone done);
  // An event of this life only.
  void At(MonotonicTime at, std::function<void()> run);

  // These three are defined, and so usable, in sim_client_process.cc only.
  template <typename Reply, typename Send, typename Done>
  void Begin(client::CallKind kind, const std::string& what, Send send, Done done);
  template <typename Reply>
  void Attempt(uint64_t call);
  template <typename Reply>
  void OnAnswer(uint64_t call, uint64_t attempt, absl::StatusOr<Reply> reply);

  // ---- writing -------------------------------------------------------------------------------------------------
  struct WriteJob {
    uint64_t id = 0;
    uint64_t inode = 0;
    std::string path;
    uint64_t total = 0;
    uint64_t taken = 0;
    uint64_t flush_at = UINT64_MAX;
    bool close_sent = false;
    std::unique_ptr<client::FileWriter> writer;
    std::unique_ptr<client::PacketBuilder> builder;
    std::deque<client::BuiltPacket> built;
    std::map<uint64_t, std::shared_ptr<WriteConnection>> streams;
    std::map<uint64_t, uint64_t> flush_lengths;  // operation -> length
    uint64_t next_operation = 2;                 // 1 is the close
    uint64_t wake = 0;
    bool ended = false;
    // While the last block of a file to append to is being opened again: who waits for it.
    std::function<void(const client::write_action::OperationDone&)> reopened;
  };

  // `with_flush`: once, somewhere in the bytes that are written.
  WriteJob& NewWriteJob(client::WriterFile file, client::PacketStart start, uint64_t size, bool with_flush);
  void StartWrite(const std::string& path, bool overwrite, bool create_parents, uint64_t size, bool with_flush);
  void FeedWriter(uint64_t id);
  void FeedWhileThereIsRoom(uint64_t id);
  void StepWriter(uint64_t id, client::WriteEvent event);
  void Do(uint64_t id, client::write_action::CallNamenode& action);
  void Do(uint64_t id, client::write_action::OpenStream& action);
  void Do(uint64_t id, client::write_action::SendPacket& action);
  void Do(uint64_t id, client::write_action::CloseStream& action);
  void Do(uint64_t id, client::write_action::WakeAt& action);
  void Do(uint64_t id, client::write_action::OperationDone& action);
  void EndWrite(uint64_t id, const absl::Status& status);
  void ScheduleLease();

  // ---- appending, in sim_client_append.cc ----------------------------------------------------------------------
  struct AppendJob {
    std::string path;
    uint64_t inode = 0;
    uint64_t size = 0;
    bool with_flush = false;
    uint64_t write_job = 0;  // 0: none yet
    std::unique_ptr<client::FileAppender> machine;
  };

  void StartAppend(const std::string& path, bool new_block, uint64_t size, bool with_flush);
  void StepAppend(uint64_t id, client::AppendEvent event);
  void Do(uint64_t id, client::append_action::Append& action);
  void Do(uint64_t id, client::append_action::ReadPartialChunk& action);
  void Do(uint64_t id, client::append_action::SetUp& action);
  void Do(uint64_t id, client::append_action::GetFileInfo& action);
  void Do(uint64_t id, client::append_action::RecoverLease& action);
  void Do(uint64_t id, client::append_action::WaitUntil& action);
  void Do(uint64_t id, client::append_action::Done& action);

  // ---- reading -------------------------------------------------------------------------------------------------
  struct ReadJob {
    std::string path;
    MonotonicTime started;
    uint64_t inode = 0;
    uint64_t length = 0;
    uint64_t from = 0;  // the first byte that is read
    uint64_t got = 0;
    std::string bytes;  // when somebody waits for them
    std::function<void(const absl::Status&, std::string bytes)> done;
    std::function<void(absl::StatusOr<client::OpenedFile>)> opened;  // who takes the file, instead of reading it
    std::string problem;
    std::unique_ptr<client::FileOpener> opener;
    std::unique_ptr<client::FileReader> reader;
    struct Stream {
      std::shared_ptr<ReadConnection> connection;
      std::deque<protocol::ReadChunk> arrived;
      std::optional<absl::Status> ended;
      bool wanted = false;
    };
    std::map<uint64_t, Stream> streams;
    uint64_t wake = 0;
  };

  void StartRead(const std::string& path);
  void Open(const std::string& path, std::function<void(absl::StatusOr<client::OpenedFile>)> opened);
  ReadJob& NewReadJob(const std::string& path);
  // The bytes from `from` to the end, for `done`.
  void ReadRest(client::OpenedFile file, uint64_t from,
                std::function<void(const absl::Status&, std::string bytes)> done);
  // Actions of the opener or the reader.
  void Run(uint64_t id, std::vector<client::ReadAction> actions);
  void StepReader(uint64_t id, client::ReadEvent event);
  void OnVisibleLength(uint64_t id, const client::read_event::VisibleLengthAnswer& answer);
  void PumpStream(uint64_t id, uint64_t stream);
  void Do(uint64_t id, client::read_action::CallNamenode& action);
  void Do(uint64_t id, client::read_action::AskVisibleLength& action);
  void Do(uint64_t id, client::read_action::OpenStream& action);
  void Do(uint64_t id, client::read_action::Receive& action);
  void Do(uint64_t id, client::read_action::CloseStream& action);
  void Do(uint64_t id, client::read_action::Deliver& action);
  void Do(uint64_t id, client::read_action::OperationDone& action);
  void Do(uint64_t id, client::read_action::WakeAt& action);
  void EndRead(uint64_t id, const absl::Status& status);
  void RemoveRead(uint64_t id);
  // A call to the datanode: `done` hears the answer of `ask`, or after 2 s that there is none.
  template <typename Reply>
  void AskDatanode(const protocol::ReplicaLocation& target, std::function<absl::StatusOr<Reply>(SimDatanode*)> ask,
                   std::function<void(absl::StatusOr<Reply>)> done);

  // ---- file checksums, in sim_client_checksum.cc ---------------------------------------------------------------
  struct ChecksumJob {
    MonotonicTime started;
    client::OpenedFile file;
    std::vector<protocol::LocatedBlock> blocks;
    size_t block = 0;     // the one that is asked for
    size_t location = 0;  // who is asked
    client::FileChecksumBuilder told;
    client::FileChecksumBuilder expected;
  };

  void StartChecksum(const std::string& path);
  void AskForBlock(uint64_t id);
  void EndChecksum(uint64_t id, const absl::Status& status);

  // ---- workload, in sim_client.cc ------------------------------------------------------------------------------
  std::string RandomDirectory();
  std::string RandomPath();
  void StartConcat();
  void NextOperation();
  void ScheduleNext();
  // Where operations end, the test's reads too.
  void Ended(const std::string& kind, const absl::Status& status);

  SimClient& owner;
  client::CallTracker tracker;
  client::LeaseRenewal lease;
  client::HeapPacketMemory memory;
  std::map<uint64_t, Call<protocol::MutationReply>> mutations;
  std::map<uint64_t, Call<protocol::QueryReply>> queries;
  std::map<uint64_t, std::unique_ptr<WriteJob>> jobs;
  std::map<uint64_t, std::unique_ptr<AppendJob>> appends;
  std::map<uint64_t, std::unique_ptr<ReadJob>> reads;
  std::map<uint64_t, std::unique_ptr<ChecksumJob>> checksums;
  std::vector<std::unique_ptr<ReadJob>> doomed_reads;
  uint64_t next_job = 0;
  uint64_t running = 0;
  uint64_t extra = 0;  // operations asked for by the test: no successor
  bool feeding = false;
};

template <typename Reply>
void SimClient::Process::AskDatanode(const protocol::ReplicaLocation& target,
                                     std::function<absl::StatusOr<Reply>(SimDatanode*)> ask,
                                     std::function<void(absl::StatusOr<Reply>)> done) {
  SimDatanode* datanode = owner.Find(target);
  SimClient& client = owner;
  const auto once = [&client, life = owner.processes_, done = std::move(done),
                     answered = std::make_shared<bool>(false)](absl::StatusOr<Reply> reply) {
    if (client.processes_ == life && client.running() && !std::exchange(*answered, true)) done(std::move(reply));
  };
  owner.network_.Send(owner.node_, datanode->node(), [&client, datanode, once, ask = std::move(ask)] {
    if (!datanode->running()) return;
    client.network_.Send(datanode->node(), client.node_, [once, reply = ask(datanode)] { once(reply); });
  });
  At(owner.events_.now() + std::chrono::seconds(2),
     [once] { once(MakeError(absl::StatusCode::kDeadlineExceeded, ErrorReason::kNone, "no answer")); });
}

}  // namespace dolmen::sim
