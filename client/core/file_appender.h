// Opens a closed file to write at its end: takes it (Append), reads the bytes of the last block's partial chunk, which
// the first packet repeats, and has the pipeline of the last block set up. When that fails, the file is given back
// (RecoverLease, until it is closed: its replicas are then of one length and stamp again) and taken once more without
// the datanode to blame. A file whose last block has no room needs none of this: its next byte begins a new block.
//
// `Step(event, now)` answers with the one thing to do next, whose outcome is the next event; no threads, clocks or
// connections.
//
//   action            answered with          then
//   Append            AppendAnswer           ReadPartialChunk, SetUp or Done; WaitUntil while it says "not yet"
//   ReadPartialChunk  PartialChunk           SetUp; GetFileInfo when it fails
//   SetUp             SetUpDone              Done; GetFileInfo when it fails
//   GetFileInfo       FileInfoAnswer         RecoverLease, WaitUntil, Append, Done
//   RecoverLease      RecoverLeaseAnswer     Append, WaitUntil, Done
//   WaitUntil         TimeCame               Append, GetFileInfo
//   Done: final
//
// Errors: the namenode's; kPipelineFailed listing every attempt with its datanodes and what they said; what reading the
// partial chunk said. After an error nothing is held: the recovery of the lease was asked for if it had been taken.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/core/file_opener.h"
#include "client/core/file_writer.h"
#include "client/core/packet_builder.h"
#include "common/clock.h"
#include "common/protocol/client_namenode.h"
#include "common/random.h"

namespace dolmen::client {

namespace append_event {

struct Start {};
// The final outcome of a call (retries are the channel's business).
struct AppendAnswer {
  absl::StatusOr<protocol::AppendReply> reply;
};
struct PartialChunk {
  absl::StatusOr<std::string> bytes;
};
// What the writer answered to Reopen.
struct SetUpDone {
  absl::Status status;
  std::optional<DatanodeUuid> culprit;
};
struct FileInfoAnswer {
  absl::StatusOr<protocol::GetFileInfoReply> reply;
};
struct RecoverLeaseAnswer {
  absl::StatusOr<protocol::RecoverLeaseReply> reply;
};
struct TimeCame {};

}  // namespace append_event
using AppendEvent =
    std::variant<append_event::Start, append_event::AppendAnswer, append_event::PartialChunk, append_event::SetUpDone,
                 append_event::FileInfoAnswer, append_event::RecoverLeaseAnswer, append_event::TimeCame>;

// The file, ready to be written to.
struct AppendedFile {
  WriterFile file;
  PacketStart start;
};

namespace append_action {

struct Append {
  protocol::AppendRequest request;
};
// Read the last `bytes` (1..511) of `file`, verified. It names the last block alone, with the stamp its replicas have.
struct ReadPartialChunk {
  OpenedFile file;
  uint64_t bytes = 0;
};
// Make a FileWriter of it and let it Reopen. When it succeeds, that is the writer to use.
struct SetUp {
  AppendedFile file;
};
struct GetFileInfo {
  protocol::GetFileInfoRequest request;
};
struct RecoverLease {
  protocol::RecoverLeaseRequest request;
};
struct WaitUntil {
  MonotonicTime at;
};
// With a last block: its pipeline was set up. Without: a FileWriter is still to be made.
struct Done {
  absl::StatusOr<AppendedFile> result;
};

}  // namespace append_action
using AppendAction = std::variant<append_action::Append, append_action::ReadPartialChunk, append_action::SetUp,
                                  append_action::GetFileInfo, append_action::RecoverLease, append_action::WaitUntil,
                                  append_action::Done>;

struct AppenderSettings {
  uint32_t setup_retries = 3;                            // HDFS: 3 new pipelines for a block
  uint32_t namenode_retries = 10;                        // while Append says "not replicated yet"
  Duration first_wait = std::chrono::milliseconds(100);  // before these retries; doubles, with jitter
  Duration longest_wait = std::chrono::seconds(5);
  // How long the recovery of the last block may take, and how often its end is asked for (first, longest). Longer than
  // the namenode waits before a new attempt.
  Duration recovery_limit = std::chrono::seconds(90);
  Duration first_poll = std::chrono::milliseconds(50);
  Duration longest_poll = std::chrono::seconds(2);
};

// One thread only; one use.
class FileAppender {
 public:
  // `holder`: the client's lease holder. `new_block`: never fill up the last block.
  FileAppender(std::string path, std::string holder, bool new_block, bool sync_on_close, AppenderSettings settings,
               Random random)
      : path_(std::move(path)),
        holder_(std::move(holder)),
        new_block_(new_block),
        sync_on_close_(sync_on_close),
        settings_(settings),
        random_(random) {}

  AppendAction Step(AppendEvent event, MonotonicTime now);

 private:
  AppendAction On(const append_event::Start& event);
  AppendAction On(append_event::AppendAnswer event);
  AppendAction On(append_event::PartialChunk event);
  AppendAction On(const append_event::SetUpDone& event);
  AppendAction On(const append_event::FileInfoAnswer& event);
  AppendAction On(const append_event::RecoverLeaseAnswer& event);
  AppendAction On(const append_event::TimeCame& event);

  AppendAction AskToAppend();
  AppendAction AskFileInfo();
  // Gives the file back; `error` is the end unless it is empty: then it is tried again.
  AppendAction GiveBack(absl::Status error);
  // The file is closed again.
  AppendAction GivenBack();
  AppendAction PollLater();
  AppendAction Fail(absl::Status status) { return append_action::Done{std::move(status)}; }
  std::string AttemptsText(std::string_view end) const;

  const std::string path_;
  const std::string holder_;
  const bool new_block_;
  const bool sync_on_close_;
  const AppenderSettings settings_;
  Random random_;
  MonotonicTime now_;

  AppendedFile file_;  // of the attempt under way
  std::vector<DatanodeUuid> excluded_;
  std::vector<std::string> attempts_;  // what went wrong, one text each
  uint32_t not_yet_answers_ = 0;

  // While it is given back.
  bool giving_back_ = false;
  absl::Status error_;  // the end, once it is given back; OK: try again
  MonotonicTime recovery_deadline_;
  bool recovery_asked_ = false;
  uint32_t polls_ = 0;
};

}  // namespace dolmen::client
