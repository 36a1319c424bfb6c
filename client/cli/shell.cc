// Finds the command, runs it, turns what it says into HDFS's messages and exit codes.
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/command_text.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr int kExitUsage = 255;

CommandFunction FindCommand(std::string_view name) {
  constexpr std::pair<std::string_view, CommandFunction> kFunctions[] = {
      {"cat", RunCat},
      {"copyFromLocal", RunPut},
      {"copyToLocal", RunGet},
      {"get", RunGet},
      {"help", RunHelp},
      {"ls", RunLs},
      {"lsr", RunLs},
      {"mkdir", RunMkdir},
      {"mv", RunMv},
      {"put", RunPut},
      {"rm", RunRm},
      {"rmr", RunRm},
      {"stat", RunStat},
      {"test", RunTest},
      {"usage", RunUsage},
      {"appendToFile", RunAppendToFile},
      {"cp", RunCp},
      {"getmerge", RunGetmerge},
      {"head", RunHead},
      {"moveFromLocal", RunMoveFromLocal},
      {"moveToLocal", RunMoveToLocal},
      {"tail", RunTail},
      {"text", RunText},
      {"touch", RunTouch},
      {"touchz", RunTouchz},
  };
  // Space, attributes, whole trees.
  constexpr std::pair<std::string_view, CommandFunction> kTreeFunctions[] = {
      {"checksum", RunChecksum},
      {"chgrp", RunChgrp},
      {"chmod", RunChmod},
      {"chown", RunChown},
      {"concat", RunConcat},
      {"count", RunCount},
      {"df", RunDf},
      {"du", RunDu},
      {"dus", RunDu},
      {"find", RunFind},
      {"rmdir", RunRmdir},
      {"setrep", RunSetrep},
      {"truncate", RunTruncate},
  };
  for (const auto& [known, function] : kFunctions) {
    if (known == name) return function;
  }
  for (const auto& [known, function] : kTreeFunctions) {
    if (known == name) return function;
  }
  return nullptr;
}

// "<cmd>: <line>" for each line of the message, and a hint when only the dash is missing.
void ShowFailure(Session& session, const std::string& typed, std::string_view message) {
  session.out().flush();
  std::string_view rest = message;
  while (true) {
    const size_t newline = rest.find('\n');
    session.err() << typed << ": " << rest.substr(0, newline) << "\n";
    if (newline == std::string_view::npos) break;
    rest.remove_prefix(newline + 1);
  }
  if (!typed.starts_with('-') && FindCommandText(typed) != nullptr) {
    session.err() << "Did you mean -" << typed << "?  This command begins with a dash.\n";
  }
}

}  // namespace

void ErrorReporter::Report(const absl::Status& status) {
  if (status.ok()) return;
  out_.flush();
  ++failures_;
  // Many files can be interrupted at once; one line says it.
  if (IsInterrupted(status) && std::exchange(interrupted_, true)) return;
  err_ << absl::StrCat(command_, ": ", ShownMessage(status), "\n");  // one write
}

void ErrorReporter::Warn(std::string_view message) {
  out_.flush();
  err_ << command_ << ": " << message << "\n";
}

int RunShell(Session& session, std::vector<std::string> args) {
  if (args.empty()) {
    session.err() << CommandList(/*help=*/false);
    return kExitUsage;
  }
  const std::string typed = args[0];
  const CommandText* text = typed.starts_with('-') ? FindCommandText(std::string_view(typed).substr(1)) : nullptr;
  if (text == nullptr) {
    ShowFailure(session, typed, "Unknown command");
    session.err() << CommandList(/*help=*/false);
    return kExitUsage;
  }
  const std::string name(text->name);
  args.erase(args.begin());
  if (!text->replaced_by.empty()) {
    session.err() << name << ": DEPRECATED: Please use '" << text->replaced_by << "' instead.\n";
    args.insert(args.begin(), name == "lsr" ? "-R" : name == "dus" ? "-s" : "-r");
  }
  ErrorReporter errors(name, session.out(), session.err());
  CommandContext context{
      .session = session, .name = name, .args = std::move(args), .out = session.out(), .errors = errors};
  const absl::Status status = FindCommand(name)(context);
  if (IsUsageError(status)) {
    ShowFailure(session, typed, MessageOf(status));
    session.err() << CommandList(/*help=*/false) << UsageLine(*text);
    return kExitUsage;
  }
  if (IsFatalError(status)) {
    ShowFailure(session, typed, "Fatal internal error");
    session.err() << MessageOf(status) << "\n";
    return kExitUsage;
  }
  errors.Report(status);
  session.out().flush();
  if (!session.out() && errors.exit_code() == 0) {
    session.err() << name << ": Unable to write to output stream.\n";
    return 1;
  }
  return errors.exit_code() == 0 && context.answer_is_no ? 1 : errors.exit_code();
}

}  // namespace dolmen::cli
