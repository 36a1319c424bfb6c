#include "tests/sim/sim_client_process.h"

#include <algorithm>

#include "common/error.h"

namespace dolmen::sim {

using client::CallKind;
using client::CallTracker;
using client::FileOpener;
using client::FileReader;
using client::FileWriter;
namespace read_action = client::read_action;
namespace read_event = client::read_event;
namespace write_action = client::write_action;
namespace write_event = client::write_event;

namespace {

CallTracker::Options TrackerOptions() {
  CallTracker::Options options;
  options.server = "namenode:7020";
  options.retry.call_timeout = std::chrono::seconds(120);
  options.retry.connect_timeout = std::chrono::seconds(120);
  options.retry.attempt_timeout = std::chrono::seconds(2);
  return options;
}

client::ReaderSettings ReadSettings() {
  client::ReaderSettings settings;
  settings.stream_timeout = std::chrono::seconds(3);
  settings.refresh_wait = std::chrono::milliseconds(500);
  settings.visible_length_wait = std::chrono::seconds(1);
  return settings;
}

}  // namespace

SimClient::Process::Process(SimClient* owner)
    : owner(*owner),
      tracker(owner->random_.Bytes(16), TrackerOptions(), owner->random_.Fork()),
      lease({.soft_limit = std::chrono::seconds(10), .hard_limit = std::chrono::seconds(40)}) {}

// ---- calls --------------------------------------------------------------------------------------------------------

void SimClient::Process::Mutate(protocol::Mutation request, const std::string& what, MutationDone done) {
  const uint64_t life = owner.processes_;
  SimClient& client = owner;
  Begin<protocol::MutationReply>(
      CallKind::kMutation, what,
      [&client, life, request = std::move(request)](uint64_t call, uint64_t attempt, const protocol::CallId& id) {
        namenode::ClientMutation operation{{.user = "root", .is_superuser = true, .host = client.Host()}, id, request};
        client.network_.Send(client.node_, client.namenode_->node(), [&client, life, call, attempt, operation] {
          client.namenode_->OnMutation(operation, [&client, life, call, attempt](namenode::Answer answer) {
            client.network_.Send(client.namenode_->node(), client.node_, [&client, life, call, attempt, answer] {
              if (client.processes_ == life && client.running())
                client.process_->OnAnswer<protocol::MutationReply>(call, attempt, answer);
            });
          });
        });
      },
      std::move(done));
}

void SimClient::Process::Ask(protocol::Query request, const std::string& what, QueryDone done) {
  const uint64_t life = owner.processes_;
  SimClient& client = owner;
  Begin<protocol::QueryReply>(
      CallKind::kQuery, what,
      [&client, life, request = std::move(request)](uint64_t call, uint64_t attempt, const protocol::CallId&) {
        client.network_.Send(client.node_, client.namenode_->node(), [&client, life, call, attempt, request] {
          namenode::Caller caller{.user = "root", .is_superuser = true, .host = client.Host()};
          client.namenode_->OnQuery(
              caller, request, [&client, life, call, attempt](const absl::StatusOr<protocol::QueryReply>& reply) {
                client.network_.Send(client.namenode_->node(), client.node_, [&client, life, call, attempt, reply] {
                  if (client.processes_ == life && client.running())
                    client.process_->OnAnswer<protocol::QueryReply>(call, attempt, reply);
                });
              });
        });
      },
      std::move(done));
}

template <typename Reply, typename Send, typename Done>
void SimClient::Process::Begin(CallKind kind, const std::string& what, Send send, Done done) {
  absl::StatusOr<uint64_t> call = tracker.Begin(kind, what, owner.events_.now());
  if (!call.ok()) return done(call.status());
  calls<Reply>()[*call] = {std::move(send), std::move(done)};
  Attempt<Reply>(*call);
}

template <typename Reply>
void SimClient::Process::Attempt(uint64_t call) {
  Call<Reply>& entry = calls<Reply>().at(call);
  const uint64_t attempt = ++entry.attempt;
  const CallTracker::Attempt started = tracker.StartAttempt(call, owner.events_.now());
  At(started.deadline, [this, call, attempt] {
    OnAnswer<Reply>(call, attempt, MakeError(absl::StatusCode::kDeadlineExceeded, ErrorReason::kNone, "no answer"));
  });
  entry.send(call, attempt, started.id);
}

template <typename Reply>
void SimClient::Process::OnAnswer(uint64_t call, uint64_t attempt, absl::StatusOr<Reply> reply) {
  auto found = calls<Reply>().find(call);
  if (found == calls<Reply>().end() || found->second.attempt != attempt) return;
  if (!reply.ok()) {
    CallTracker::Verdict verdict = tracker.OnFailure(call, reply.status(), owner.events_.now());
    if (verdict.retry) {
      ++found->second.attempt;  // the answer of the old attempt no longer counts
      const uint64_t expected = found->second.attempt;
      At(verdict.retry_at, [this, call, expected] {
        auto waiting = calls<Reply>().find(call);
        if (waiting != calls<Reply>().end() && waiting->second.attempt == expected) Attempt<Reply>(call);
      });
      return;
    }
    reply = verdict.status;
  } else {
    tracker.OnAnswer(call);
  }
  auto done = std::move(found->second.done);
  calls<Reply>().erase(found);
  done(std::move(reply));
}

void SimClient::Process::At(MonotonicTime at, std::function<void()> run) {
  SimClient& client = owner;
  const uint64_t life = owner.processes_;
  owner.events_.At(at, [&client, life, run = std::move(run)] {
    if (client.processes_ == life && client.running()) run();
  });
}

// ---- writing ------------------------------------------------------------------------------------------------------

void SimClient::Process::StartWrite(const std::string& path, bool overwrite, bool create_parents, uint64_t size,
                                    bool with_flush) {
  protocol::CreateRequest request;
  request.path = path;
  request.overwrite = overwrite;
  request.create_parents = create_parents;
  request.block_bytes = owner.workload_.block_bytes;
  request.holder = owner.holder_;
  Mutate(request, "create " + path, [this, path, size, with_flush](namenode::Answer answer) {
    if (!answer.ok()) return Ended("create", answer.status());
    const auto& status = std::get<protocol::CreateReply>(*answer).status;
    const uint64_t id =
        NewWriteJob({path, status.inode, owner.holder_, owner.workload_.block_bytes, true}, {}, size, with_flush).id;
    FeedWriter(id);
  });
}

SimClient::Process::WriteJob& SimClient::Process::NewWriteJob(client::WriterFile file, client::PacketStart start,
                                                              uint64_t size, bool with_flush) {
  auto job = std::make_unique<WriteJob>();
  job->id = ++next_job;
  job->inode = file.inode.value();
  job->path = file.path;
  job->taken = file.length;
  job->total = file.length + size;
  if (with_flush) job->flush_at = file.length + owner.random_.Uniform(size + 1);
  client::WriterSettings settings;
  settings.window_packets = owner.workload_.window_packets;
  settings.setup_timeout = std::chrono::seconds(3);
  settings.ack_timeout = std::chrono::seconds(4);
  settings.per_hop_extension = std::chrono::seconds(1);
  job->builder = std::make_unique<client::PacketBuilder>(file.block_bytes, owner.workload_.packet_bytes, &memory,
                                                         std::move(start));
  job->writer = std::make_unique<FileWriter>(std::move(file), settings, owner.random_.Fork());
  lease.FileOpened(owner.events_.now());
  WriteJob& added = *job;
  jobs[added.id] = std::move(job);
  return added;
}

void SimClient::Process::FeedWriter(uint64_t id) {
  if (feeding) return;  // further up the stack
  feeding = true;
  FeedWhileThereIsRoom(id);
  feeding = false;
}

void SimClient::Process::FeedWhileThereIsRoom(uint64_t id) {
  while (true) {
    auto found = jobs.find(id);
    if (found == jobs.end() || found->second->ended || found->second->reopened != nullptr) return;
    WriteJob& job = *found->second;
    if (!job.built.empty()) {
      if (!job.writer->HasRoom()) return;
      client::BuiltPacket packet = std::move(job.built.front());
      job.built.pop_front();
      StepWriter(id, write_event::AddPacket{std::move(packet)});
      continue;
    }
    if (job.taken == job.flush_at) {
      job.flush_at = UINT64_MAX;
      if (auto packet = job.builder->Flush(owner.random_.OneIn(2))) job.built.push_back(*std::move(packet));
      while (!job.built.empty() && job.writer->HasRoom()) {
        client::BuiltPacket packet = std::move(job.built.front());
        job.built.pop_front();
        StepWriter(id, write_event::AddPacket{std::move(packet)});
        if (!jobs.contains(id)) return;
      }
      if (!job.built.empty()) {
        job.flush_at = job.taken;  // no room yet: again when there is
        return;
      }
      const uint64_t operation = job.next_operation++;
      job.flush_lengths[operation] = job.taken;
      StepWriter(id, write_event::Flush{operation});
      continue;
    }
    if (job.taken < job.total) {
      const uint64_t until = std::min(job.total, std::max(job.taken + 1, std::min(job.flush_at, job.total)));
      const std::string bytes =
          Content(job.inode, job.taken, std::min<uint64_t>(until - job.taken, 1 + owner.random_.Uniform(5000)));
      std::string_view rest = bytes;
      while (!rest.empty())
        if (auto packet = job.builder->Append(&rest)) job.built.push_back(*std::move(packet));
      job.taken += bytes.size();
      continue;
    }
    if (job.close_sent) return;
    job.close_sent = true;
    if (auto packet = job.builder->Finish()) {
      // The last packet may have to wait for room: close is asked for after it.
      job.built.push_back(*std::move(packet));
      job.close_sent = false;
      job.total = 0;
      job.taken = 0;
      continue;
    }
    StepWriter(id, write_event::Close{1});
  }
}

void SimClient::Process::StepWriter(uint64_t id, client::WriteEvent event) {
  auto found = jobs.find(id);
  if (found == jobs.end()) return;
  for (client::WriteAction& action : found->second->writer->Step(std::move(event), owner.events_.now())) {
    if (!jobs.contains(id)) return;
    std::visit([&](auto& one) { Do(id, one); }, action);
  }
  if (auto again = jobs.find(id); again != jobs.end()) {
    WriteJob& job = *again->second;
    if (!job.writer->status().ok() && !job.ended && job.reopened == nullptr) return EndWrite(id, job.writer->status());
    FeedWriter(id);
  }
}

void SimClient::Process::Do(uint64_t id, write_action::CallNamenode& action) {
  const uint64_t tag = action.tag;
  Mutate(std::move(action.request), "write " + jobs.at(id)->path, [this, id, tag](namenode::Answer answer) {
    StepWriter(id, write_event::NamenodeAnswer{tag, std::move(answer)});
  });
}

void SimClient::Process::Do(uint64_t id, write_action::OpenStream& action) {
  SimDatanode* datanode = owner.Find(action.target);
  const uint64_t stream = action.stream;
  auto connection = std::make_shared<WriteConnection>(&owner.events_, &owner.network_, owner.node_, datanode->node());
  const uint64_t life = owner.processes_;
  SimClient& client = owner;
  connection->on_backward = [&client, life, id, stream](protocol::Ack ack) {
    if (client.processes_ == life && client.running())
      client.process_->StepWriter(id, write_event::AckArrived{stream, std::move(ack)});
  };
  connection->on_ended = [&client, life, id, stream](const absl::Status& status) {
    if (client.processes_ == life && client.running())
      client.process_->StepWriter(id, write_event::StreamEnded{stream, status});
  };
  jobs.at(id)->streams[stream] = connection;
  owner.connections_.push_back([weak = std::weak_ptr<WriteConnection>(connection)] {
    if (auto one = weak.lock()) one->Break();
  });
  connection->Open([datanode, connection] { datanode->AcceptWrite(connection); });
  connection->SendForward(WriteFrame(action.setup));
}

void SimClient::Process::Do(uint64_t id, write_action::SendPacket& action) {
  auto found = jobs.at(id)->streams.find(action.stream);
  if (found != jobs.at(id)->streams.end()) found->second->SendForward(WriteFrame(std::move(action.packet)));
}

void SimClient::Process::Do(uint64_t id, write_action::CloseStream& action) {
  auto found = jobs.at(id)->streams.find(action.stream);
  if (found == jobs.at(id)->streams.end()) return;
  found->second->CloseByOpener();
  jobs.at(id)->streams.erase(found);
}

void SimClient::Process::Do(uint64_t id, write_action::WakeAt& action) {
  const uint64_t wake = ++jobs.at(id)->wake;
  At(action.at, [this, id, wake] {
    auto found = jobs.find(id);
    if (found != jobs.end() && found->second->wake == wake) StepWriter(id, write_event::Tick{});
  });
}

void SimClient::Process::Do(uint64_t id, write_action::OperationDone& action) {
  WriteJob& job = *jobs.at(id);
  if (auto reopened = std::exchange(job.reopened, nullptr); reopened != nullptr) return reopened(action);
  if (action.operation == 1) return EndWrite(id, action.status);
  if (action.status.ok())
    owner.observer_->Acknowledged(job.inode, owner.holder_, job.flush_lengths[action.operation], false);
}

void SimClient::Process::EndWrite(uint64_t id, const absl::Status& status) {
  WriteJob& job = *jobs.at(id);
  job.ended = true;
  if (status.ok()) {
    owner.observer_->Acknowledged(job.inode, owner.holder_, job.writer->final_status().length, true);
  } else {
    owner.observer_->GaveUp(job.inode);
  }
  lease.FileClosed();
  for (auto& [stream, connection] : job.streams) connection->CloseByOpener();
  At(owner.events_.now(), [this, id] { jobs.erase(id); });
  Ended("write", status);
}

void SimClient::Process::ScheduleLease() {
  At(owner.events_.now() + std::chrono::milliseconds(500), [this] {
    const MonotonicTime now = owner.events_.now();
    if (auto at = lease.NextRenewal(); at.has_value() && *at <= now) {
      lease.OnSent(now);
      Ask(protocol::RenewLeaseRequest{owner.holder_}, "renew lease",
          [this](const absl::StatusOr<protocol::QueryReply>& reply) {
            lease.OnAnswer(reply.status(), owner.events_.now());
          });
    }
    if (absl::Status lost = lease.Verdict(now); !lost.ok()) {
      std::vector<uint64_t> ids;
      for (auto& [id, job] : jobs) ids.push_back(id);
      for (uint64_t id : ids) StepWriter(id, write_event::LeaseLost{lost});
    }
    ScheduleLease();
  });
}

// ---- reading ------------------------------------------------------------------------------------------------------

void SimClient::Process::StartRead(const std::string& path) { Open(path, nullptr); }

void SimClient::Process::Open(const std::string& path, std::function<void(absl::StatusOr<client::OpenedFile>)> opened) {
  ReadJob& job = NewReadJob(path);
  job.opened = std::move(opened);
  job.opener = std::make_unique<FileOpener>(path, ReadSettings(), owner.random_.Fork());
  Run(next_job, job.opener->Start(owner.events_.now()));
}

SimClient::Process::ReadJob& SimClient::Process::NewReadJob(const std::string& path) {
  std::unique_ptr<ReadJob>& job = reads[++next_job];
  job = std::make_unique<ReadJob>();
  job->path = path;
  job->started = owner.events_.now();
  return *job;
}

void SimClient::Process::ReadRest(client::OpenedFile file, uint64_t from,
                                  std::function<void(const absl::Status&, std::string bytes)> done) {
  ReadJob& job = NewReadJob(file.path);
  job.inode = file.status.inode.value();
  job.length = file.length;
  job.from = from;
  job.done = std::move(done);
  job.reader = std::make_unique<FileReader>(std::move(file), owner.holder_, ReadSettings(), owner.random_.Fork());
  Run(next_job, job.reader->Step(read_event::Read{1, from, job.length - from}, owner.events_.now()));
}

void SimClient::Process::Run(uint64_t id, std::vector<client::ReadAction> actions) {
  for (client::ReadAction& action : actions) {
    if (!reads.contains(id)) return;
    std::visit([&](auto& one) { Do(id, one); }, action);
  }
  auto found = reads.find(id);
  if (found == reads.end() || found->second->reader != nullptr || !found->second->opener->result().has_value()) return;
  ReadJob& job = *found->second;
  const absl::StatusOr<client::OpenedFile>& opened = *job.opener->result();
  if (job.opened != nullptr) {
    const auto take = std::move(job.opened);
    RemoveRead(id);
    return take(opened);  // the job lives until this event is over
  }
  if (!opened.ok()) return EndRead(id, opened.status());
  job.inode = opened->status.inode.value();
  job.length = opened->length;
  job.reader = std::make_unique<FileReader>(*opened, owner.holder_, ReadSettings(), owner.random_.Fork());
  Run(id, job.reader->Step(read_event::Read{1, 0, job.length}, owner.events_.now()));
}

void SimClient::Process::StepReader(uint64_t id, client::ReadEvent event) {
  auto found = reads.find(id);
  if (found == reads.end()) return;
  ReadJob& job = *found->second;
  if (job.reader != nullptr) return Run(id, job.reader->Step(std::move(event), owner.events_.now()));
  if (auto* answer = std::get_if<read_event::NamenodeAnswer>(&event))
    return Run(id, job.opener->OnNamenodeAnswer(std::move(*answer), owner.events_.now()));
  if (std::holds_alternative<read_event::Tick>(event)) Run(id, job.opener->OnTick(owner.events_.now()));
}

void SimClient::Process::OnVisibleLength(uint64_t id, const read_event::VisibleLengthAnswer& answer) {
  auto found = reads.find(id);
  if (found != reads.end() && found->second->reader == nullptr)
    Run(id, found->second->opener->OnVisibleLength(answer, owner.events_.now()));
}

void SimClient::Process::Do(uint64_t id, read_action::CallNamenode& action) {
  const uint64_t tag = action.tag;
  Ask(std::move(action.request), "read " + reads.at(id)->path,
      [this, id, tag](absl::StatusOr<protocol::QueryReply> reply) {
        StepReader(id, read_event::NamenodeAnswer{tag, std::move(reply)});
      });
}

void SimClient::Process::Do(uint64_t id, read_action::AskVisibleLength& action) {
  AskDatanode<protocol::VisibleLengthReply>(
      action.target, [request = action.request](SimDatanode* datanode) { return datanode->VisibleLength(request); },
      [this, id, tag = action.tag](absl::StatusOr<protocol::VisibleLengthReply> reply) {
        OnVisibleLength(id, read_event::VisibleLengthAnswer{tag, std::move(reply)});
      });
}

void SimClient::Process::Do(uint64_t id, read_action::OpenStream& action) {
  SimDatanode* datanode = owner.Find(action.target);
  const uint64_t stream = action.stream;
  auto connection = std::make_shared<ReadConnection>(&owner.events_, &owner.network_, owner.node_, datanode->node());
  const uint64_t life = owner.processes_;
  SimClient& client = owner;
  connection->on_backward = [&client, life, id, stream](protocol::ReadChunk chunk) {
    if (client.processes_ != life || !client.running()) return;
    auto found = client.process_->reads.find(id);
    if (found == client.process_->reads.end() || !found->second->streams.contains(stream)) return;
    found->second->streams[stream].arrived.push_back(std::move(chunk));
    client.process_->PumpStream(id, stream);
  };
  connection->on_ended = [&client, life, id, stream](const absl::Status& status) {
    if (client.processes_ != life || !client.running()) return;
    auto found = client.process_->reads.find(id);
    if (found == client.process_->reads.end() || !found->second->streams.contains(stream)) return;
    found->second->streams[stream].ended = status;
    client.process_->PumpStream(id, stream);
  };
  reads.at(id)->streams[stream].connection = connection;
  owner.connections_.push_back([weak = std::weak_ptr<ReadConnection>(connection)] {
    if (auto one = weak.lock()) one->Break();
  });
  connection->Open([datanode, connection, request = action.request] { datanode->AcceptRead(connection, request); });
}

void SimClient::Process::PumpStream(uint64_t id, uint64_t stream) {
  ReadJob::Stream& one = reads.at(id)->streams.at(stream);
  if (!one.wanted) return;
  if (!one.arrived.empty()) {
    one.wanted = false;
    protocol::ReadChunk chunk = std::move(one.arrived.front());
    one.arrived.pop_front();
    return StepReader(id, read_event::ChunkArrived{stream, std::move(chunk)});
  }
  if (one.ended.has_value()) {
    one.wanted = false;
    StepReader(id, read_event::StreamEnded{stream, *one.ended});
  }
}

void SimClient::Process::Do(uint64_t id, read_action::Receive& action) {
  auto found = reads.at(id)->streams.find(action.stream);
  if (found == reads.at(id)->streams.end()) return;
  found->second.wanted = true;
  At(owner.events_.now(), [this, id, stream = action.stream] {
    if (reads.contains(id) && reads.at(id)->streams.contains(stream)) PumpStream(id, stream);
  });
}

void SimClient::Process::Do(uint64_t id, read_action::CloseStream& action) {
  auto found = reads.at(id)->streams.find(action.stream);
  if (found == reads.at(id)->streams.end()) return;
  found->second.connection->CloseByOpener();
  reads.at(id)->streams.erase(found);
}

void SimClient::Process::Do(uint64_t id, read_action::Deliver& action) {
  ReadJob& job = *reads.at(id);
  for (absl::string_view piece : action.bytes.Chunks()) {
    const std::string expected = owner.observer_->ExpectedContent(job.inode, job.from + job.got, piece.size());
    const auto wrong = std::mismatch(piece.begin(), piece.end(), expected.begin());
    if (wrong.first != piece.end() && job.problem.empty())
      job.problem = "byte " + std::to_string(job.from + job.got + (wrong.first - piece.begin())) + " is wrong";
    if (job.done != nullptr) job.bytes.append(piece.data(), piece.size());
    job.got += piece.size();
  }
}

void SimClient::Process::Do(uint64_t id, read_action::OperationDone& action) { EndRead(id, action.status); }

void SimClient::Process::Do(uint64_t id, read_action::WakeAt& action) {
  const uint64_t wake = ++reads.at(id)->wake;
  At(action.at, [this, id, wake] {
    auto found = reads.find(id);
    if (found != reads.end() && found->second->wake == wake) StepReader(id, read_event::Tick{});
  });
}

void SimClient::Process::EndRead(uint64_t id, const absl::Status& status) {
  ReadJob& job = *reads.at(id);
  if (status.ok() && job.from + job.got != job.length && job.problem.empty()) job.problem = "the read ended early";
  owner.observer_->ReadDone(job.inode, job.path, job.length, job.started, status, job.problem);
  auto done = std::move(job.done);
  std::string bytes = std::move(job.bytes);
  RemoveRead(id);
  if (done != nullptr) return done(status, std::move(bytes));
  Ended("read", status);
}

void SimClient::Process::RemoveRead(uint64_t id) {
  ReadJob& job = *reads.at(id);
  for (auto& [stream, one] : job.streams) one.connection->CloseByOpener();
  job.streams.clear();
  ++job.wake;
  doomed_reads.push_back(std::move(reads.at(id)));
  reads.erase(id);
  At(owner.events_.now(), [this] { doomed_reads.clear(); });
}

}  // namespace dolmen::sim
