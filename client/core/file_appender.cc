#include "client/core/file_appender.h"

#include <algorithm>
#include <utility>

#include "client/core/retry_policy.h"
#include "client/core/text.h"
#include "common/crc32c.h"
#include "common/error.h"

namespace dolmen::client {

AppendAction FileAppender::Step(AppendEvent event, MonotonicTime now) {
  now_ = std::max(now_, now);
  return std::visit([this](auto&& one) { return On(std::forward<decltype(one)>(one)); }, std::move(event));
}

AppendAction FileAppender::On(const append_event::Start&) { return AskToAppend(); }

AppendAction FileAppender::On(const append_event::TimeCame&) { return giving_back_ ? AskFileInfo() : AskToAppend(); }

AppendAction FileAppender::AskToAppend() {
  return append_action::Append{{.path = path_, .holder = holder_, .new_block = new_block_, .excluded = excluded_}};
}

AppendAction FileAppender::On(append_event::AppendAnswer event) {
  if (!event.reply.ok()) {
    const absl::Status& status = event.reply.status();
    // A namenode that was started again a moment ago has not heard from all replicas. Or no replica is left to go to:
    // better those that failed before than none.
    if (ReasonOf(status) == ErrorReason::kNotReplicatedYet && ++not_yet_answers_ <= settings_.namenode_retries) {
      excluded_.clear();
      return append_action::WaitUntil{
          now_ + JitteredBackoff(settings_.first_wait, settings_.longest_wait, not_yet_answers_, &random_)};
    }
    if (attempts_.empty()) return Fail(status);
    return Fail(Annotate(status, AttemptsText("then")));
  }
  const protocol::AppendReply& reply = *event.reply;
  file_ = {};
  file_.file = {.path = path_,
                .inode = reply.status.inode,
                .holder = holder_,
                .block_bytes = reply.status.block_bytes,
                .sync_on_close = sync_on_close_,
                .length = reply.status.length};
  if (file_.file.block_bytes == 0 || file_.file.block_bytes % kBytesPerChecksum != 0) {
    return GiveBack(
        MakeError(ErrorReason::kIo,
                  absl::StrCat("append ", path_, ": the namenode answered a block size of ", file_.file.block_bytes)));
  }
  file_.start.block_offset = file_.file.length;
  if (!reply.last.has_value()) return append_action::Done{file_};
  const protocol::LocatedBlock& last = *reply.last;
  if (last.locations.empty() || last.block.length > file_.file.block_bytes) {
    return GiveBack(MakeError(
        ErrorReason::kIo, absl::StrCat("append ", path_, ": the namenode answered ", last.block.id.ToString(), " of ",
                                       last.block.length, " bytes on ", last.locations.size(), " datanodes")));
  }
  file_.file.length = last.offset + last.block.length;
  file_.file.last = {.block = last, .stamp_before = reply.last_stamp};
  file_.start = {.block_offset = last.offset, .bytes_in_block = last.block.length};
  const uint64_t partial = last.block.length % kBytesPerChecksum;
  if (partial == 0) return append_action::SetUp{file_};
  OpenedFile as_it_was{.path = path_, .status = reply.status, .length = file_.file.length, .blocks = {last}};
  as_it_was.status.length = file_.file.length;
  as_it_was.blocks.front().block.stamp = reply.last_stamp;
  return append_action::ReadPartialChunk{std::move(as_it_was), partial};
}

AppendAction FileAppender::On(append_event::PartialChunk event) {
  if (!event.bytes.ok()) {
    return GiveBack(Annotate(event.bytes.status(), absl::StrCat("Unable to append to ", path_)));
  }
  const uint64_t wanted = *file_.start.bytes_in_block % kBytesPerChecksum;
  if (event.bytes->size() != wanted) {
    return GiveBack(MakeError(ErrorReason::kIo, absl::StrCat("Unable to append to ", path_, ": ", event.bytes->size(),
                                                             " of the last ", wanted, " bytes could be read")));
  }
  file_.start.partial_chunk = *std::move(event.bytes);
  return append_action::SetUp{file_};
}

AppendAction FileAppender::On(const append_event::SetUpDone& event) {
  if (event.status.ok()) return append_action::Done{std::move(file_)};
  if (!event.culprit.has_value()) return GiveBack(event.status);  // the lease is lost, the client shuts down
  attempts_.emplace_back(MessageOf(event.status));
  if (ReasonOf(event.status) != ErrorReason::kBusy) excluded_.push_back(*event.culprit);
  return GiveBack(attempts_.size() > settings_.setup_retries ? MakeError(ErrorReason::kPipelineFailed, AttemptsText(""))
                                                             : absl::OkStatus());
}

AppendAction FileAppender::GiveBack(absl::Status error) {
  giving_back_ = true;
  error_ = std::move(error);
  recovery_deadline_ = now_ + settings_.recovery_limit;
  recovery_asked_ = false;
  polls_ = 0;
  return AskFileInfo();
}

// By inode: another file may have the name by now, and its writer must keep it.
AppendAction FileAppender::AskFileInfo() { return append_action::GetFileInfo{{.path = path_}}; }

AppendAction FileAppender::On(const append_event::FileInfoAnswer& event) {
  if (!event.reply.ok()) {
    if (!error_.ok()) return Fail(error_);
    return Fail(Annotate(event.reply.status(), AttemptsText("then")));
  }
  const std::optional<protocol::FileStatus>& status = event.reply->status;
  if (!status.has_value() || status->inode != file_.file.inode) {
    if (!error_.ok()) return Fail(error_);
    return Fail(MakeError(ErrorReason::kFileNotFound, AttemptsText("then: File does not exist")));
  }
  if (!status->under_construction) return GivenBack();
  if (!recovery_asked_) return append_action::RecoverLease{{.path = path_, .holder = holder_}};
  return PollLater();
}

AppendAction FileAppender::On(const append_event::RecoverLeaseAnswer& event) {
  recovery_asked_ = event.reply.ok();
  if (event.reply.ok() && event.reply->closed) return GivenBack();
  // Somebody else took the file, and writes to it by now.
  const bool is_lost = ReasonOf(event.reply.status()) == ErrorReason::kLeaseExpired;
  if (is_lost && error_.ok()) return Fail(Annotate(event.reply.status(), AttemptsText("then")));
  if (!error_.ok()) return Fail(error_);  // nobody waits for the recovery's end
  return PollLater();
}

AppendAction FileAppender::GivenBack() {
  giving_back_ = false;
  return error_.ok() ? AskToAppend() : Fail(error_);
}

AppendAction FileAppender::PollLater() {
  if (now_ >= recovery_deadline_) {
    const std::string end =
        absl::StrCat("its last block was not recovered within ", SecondsText(settings_.recovery_limit));
    return Fail(MakeError(ErrorReason::kPipelineFailed, AttemptsText(end)));
  }
  return append_action::WaitUntil{now_ +
                                  JitteredBackoff(settings_.first_poll, settings_.longest_poll, ++polls_, &random_)};
}

// `end`: what came after the last attempt.
std::string FileAppender::AttemptsText(std::string_view end) const {
  std::string text = absl::StrCat("Unable to append to ", path_, ": ");
  for (size_t i = 0; i < attempts_.size(); ++i) {
    absl::StrAppend(&text, i > 0 ? "; " : "", "attempt ", i + 1, ": ", attempts_[i]);
  }
  if (!end.empty()) absl::StrAppend(&text, "; ", ToAbsl(end));
  return text;
}

}  // namespace dolmen::client
