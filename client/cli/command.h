// One shell command at run time: its words, its streams, and how it reports failures.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "client/cli/session.h"

namespace dolmen::cli {

// Prints failures as "cmd: message" and counts them; the command goes on. One thread only.
class ErrorReporter {
 public:
  ErrorReporter(std::string command, std::ostream& out, std::ostream& err)
      : command_(std::move(command)), out_(out), err_(err) {}

  // OK is ignored.
  void Report(const absl::Status& status);
  // 0; 1 after a failure; 130 after an interruption.
  int exit_code() const { return interrupted_ ? 130 : failures_ > 0 ? 1 : 0; }
  int failures() const { return failures_; }
  // Prints "cmd: message" without counting a failure.
  void Warn(std::string_view message);

 private:
  const std::string command_;
  std::ostream& out_;  // flushed first, so that both streams read in order on a terminal
  std::ostream& err_;
  int failures_ = 0;
  bool interrupted_ = false;
};

struct CommandContext {
  Session& session;
  std::string name;               // as typed, without the dash
  std::vector<std::string> args;  // the words after the name
  std::ostream& out;
  ErrorReporter& errors;
  bool answer_is_no = false;  // -test: exit code 1 without a message
};

// Runs a command. Failures of single arguments go to context.errors. Returned: UsageError and FatalError end the
// command with 255; anything else is reported as a failure of the whole command.
using CommandFunction = absl::Status (*)(CommandContext& context);

absl::Status RunAppendToFile(CommandContext& context);
absl::Status RunCat(CommandContext& context);
absl::Status RunCp(CommandContext& context);
absl::Status RunGet(CommandContext& context);
absl::Status RunGetmerge(CommandContext& context);
absl::Status RunHead(CommandContext& context);
absl::Status RunHelp(CommandContext& context);
absl::Status RunLs(CommandContext& context);
absl::Status RunMkdir(CommandContext& context);
absl::Status RunMoveFromLocal(CommandContext& context);
absl::Status RunMoveToLocal(CommandContext& context);
absl::Status RunMv(CommandContext& context);
absl::Status RunPut(CommandContext& context);
absl::Status RunRm(CommandContext& context);
absl::Status RunStat(CommandContext& context);
absl::Status RunTail(CommandContext& context);
absl::Status RunTest(CommandContext& context);
absl::Status RunText(CommandContext& context);
absl::Status RunTouch(CommandContext& context);
absl::Status RunTouchz(CommandContext& context);
absl::Status RunUsage(CommandContext& context);

// Space, attributes and what else is asked of or done to whole trees.
absl::Status RunChecksum(CommandContext& context);
absl::Status RunChgrp(CommandContext& context);
absl::Status RunChmod(CommandContext& context);
absl::Status RunChown(CommandContext& context);
absl::Status RunConcat(CommandContext& context);
absl::Status RunCount(CommandContext& context);
absl::Status RunDf(CommandContext& context);
absl::Status RunDu(CommandContext& context);
absl::Status RunFind(CommandContext& context);
absl::Status RunRmdir(CommandContext& context);
absl::Status RunSetrep(CommandContext& context);
absl::Status RunTruncate(CommandContext& context);

// `dolmen dfs`: `args` begins with the "-command". Returns the process's exit code.
int RunShell(Session& session, std::vector<std::string> args);

// `dolmen dfsadmin`, likewise.
int RunAdmin(Session& session, std::vector<std::string> args);

// `dolmen fsck` and `dolmen debug`: `args` are the words after that.
int RunFsck(Session& session, std::vector<std::string> args);
int RunDebug(Session& session, std::vector<std::string> args);

}  // namespace dolmen::cli
