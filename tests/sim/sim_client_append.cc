#include <utility>

#include "common/error.h"
#include "tests/sim/sim_client_process.h"

namespace dolmen::sim {

namespace append_action = client::append_action;
namespace append_event = client::append_event;
namespace write_action = client::write_action;
namespace write_event = client::write_event;

namespace {

template <typename Reply, typename Variant>
absl::StatusOr<Reply> Get(const absl::StatusOr<Variant>& answer) {
  if (!answer.ok()) return answer.status();
  return std::get<Reply>(*answer);
}

}  // namespace

void SimClient::Process::StartAppend(const std::string& path, bool new_block, uint64_t size, bool with_flush) {
  const uint64_t id = ++next_job;
  auto job = std::make_unique<AppendJob>();
  job->path = path;
  job->size = size;
  job->with_flush = with_flush;
  job->machine = std::make_unique<client::FileAppender>(path, owner.holder_, new_block, /*sync_on_close=*/true,
                                                        client::AppenderSettings(), owner.random_.Fork());
  appends[id] = std::move(job);
  StepAppend(id, append_event::Start{});
}

void SimClient::Process::StepAppend(uint64_t id, client::AppendEvent event) {
  auto found = appends.find(id);
  if (found == appends.end()) return;
  client::AppendAction action = found->second->machine->Step(std::move(event), owner.events_.now());
  std::visit([&](auto& one) { Do(id, one); }, action);
}

void SimClient::Process::Do(uint64_t id, append_action::Append& action) {
  Mutate(std::move(action.request), "append " + appends.at(id)->path, [this, id](const namenode::Answer& answer) {
    if (answer.ok()) appends.at(id)->inode = std::get<protocol::AppendReply>(*answer).status.inode.value();
    StepAppend(id, append_event::AppendAnswer{Get<protocol::AppendReply>(answer)});
  });
}

void SimClient::Process::Do(uint64_t id, append_action::ReadPartialChunk& action) {
  const uint64_t from = action.file.length - action.bytes;
  ReadRest(std::move(action.file), from, [this, id](const absl::Status& status, std::string bytes) {
    append_event::PartialChunk event{std::move(bytes)};
    if (!status.ok()) event.bytes = status;
    StepAppend(id, std::move(event));
  });
}

void SimClient::Process::Do(uint64_t id, append_action::SetUp& action) {
  AppendJob& append = *appends.at(id);
  WriteJob& job =
      NewWriteJob(std::move(action.file.file), std::move(action.file.start), append.size, append.with_flush);
  const uint64_t writing = append.write_job = job.id;
  job.reopened = [this, id, writing](const write_action::OperationDone& done) {
    if (!done.status.ok()) {
      WriteJob& failed = *jobs.at(writing);
      failed.ended = true;
      lease.FileClosed();
      for (auto& [stream, connection] : failed.streams) connection->CloseByOpener();
      At(owner.events_.now(), [this, writing] { jobs.erase(writing); });
    }
    // Not in the middle of the writer's step.
    At(owner.events_.now(),
       [this, id, event = append_event::SetUpDone{done.status, done.culprit}] { StepAppend(id, event); });
  };
  StepWriter(writing, write_event::Reopen{job.next_operation++});
}

void SimClient::Process::Do(uint64_t id, append_action::GetFileInfo& action) {
  Ask(std::move(action.request), "stat " + appends.at(id)->path,
      [this, id](const absl::StatusOr<protocol::QueryReply>& reply) {
        StepAppend(id, append_event::FileInfoAnswer{Get<protocol::GetFileInfoReply>(reply)});
      });
}

void SimClient::Process::Do(uint64_t id, append_action::RecoverLease& action) {
  Mutate(std::move(action.request), "recover lease of " + appends.at(id)->path,
         [this, id](const namenode::Answer& answer) {
           StepAppend(id, append_event::RecoverLeaseAnswer{Get<protocol::RecoverLeaseReply>(answer)});
         });
}

void SimClient::Process::Do(uint64_t id, append_action::WaitUntil& action) {
  At(action.at, [this, id] { StepAppend(id, append_event::TimeCame{}); });
}

void SimClient::Process::Do(uint64_t id, append_action::Done& action) {
  const std::unique_ptr<AppendJob> append = std::move(appends.at(id));
  appends.erase(id);
  if (!action.result.ok()) {
    if (append->inode != 0) owner.observer_->GaveUp(append->inode);
    return Ended("append", action.result.status());
  }
  owner.observer_->OperationDone("append opened", absl::OkStatus());
  client::AppendedFile& file = *action.result;
  const uint64_t writing =
      file.file.last.has_value()
          ? append->write_job
          : NewWriteJob(std::move(file.file), std::move(file.start), append->size, append->with_flush).id;
  FeedWriter(writing);
}

}  // namespace dolmen::sim
