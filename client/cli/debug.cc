// `dolmen debug`: HDFS's tools for those who know what they do.
#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/command_text.h"
#include "client/cli/path_text.h"
#include "client/cli/shell_error.h"
#include "client/cli/verify_meta.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr int kExitFailure = 1;
constexpr std::chrono::milliseconds kRetryPause{1000};

struct DebugText {
  std::string_view name;
  std::string_view usage;
  std::string_view help;
};

constexpr DebugText kTexts[] = {
    {"verifyMeta", "verifyMeta -meta <metadata-file> [-block <block-file>]",
     "  Verify HDFS metadata and block files.  If a block file is specified, we\n"
     "  will verify that the checksums in the metadata file match the block\n"
     "  file."},
    {"recoverLease", "recoverLease -path <path> [-retries <num-retries>]",
     "  Recover the lease on the specified path.  The path must reside on an\n"
     "  HDFS file system.  The default number of retries is 1."},
    {"help", "help [command-name]", "  Get help on a command."},
};

const DebugText* FindText(std::string_view name) {
  for (const DebugText& text : kTexts) {
    if (text.name == name) return &text;
  }
  return nullptr;
}

int PrintUsage(Session& session) {
  session.out() << "Usage: hdfs debug <command> [arguments]\n\n"
                   "These commands are for advanced users only.\n\n"
                   "Incorrect usages may result in data loss. Use at your own risk.\n\n";
  for (const DebugText& text : kTexts) {
    if (text.name != "help") session.out() << text.usage << "\n";
  }
  session.out() << "\n" << GenericOptionsText();
  return kExitFailure;
}

int PrintHelp(Session& session, const DebugText& text, int code) {
  session.out() << text.usage << "\n" << text.help << "\n\n";
  return code;
}

// Takes "name value" out of `args`. Error when the value is missing.
absl::StatusOr<std::optional<std::string>> PopOption(std::string_view name, std::vector<std::string>* args) {
  const auto found = std::find(args->begin(), args->end(), name);
  if (found == args->end()) return std::optional<std::string>();
  if (found + 1 == args->end()) {
    return UsageError(absl::StrCat("option ", ToAbsl(name), " requires 1 argument."));
  }
  std::string value = *(found + 1);
  args->erase(found, found + 2);
  return std::optional<std::string>(std::move(value));
}

absl::StatusOr<int> RunVerifyMeta(Session& session, std::vector<std::string> args) {
  if (args.empty()) return PrintHelp(session, *FindText("verifyMeta"), kExitFailure);
  DOLMEN_ASSIGN_OR_RETURN(const std::optional<std::string> block, PopOption("-block", &args));
  DOLMEN_ASSIGN_OR_RETURN(const std::optional<std::string> meta, PopOption("-meta", &args));
  if (!meta.has_value()) {
    session.err() << "You must specify a meta file with -meta\n";
    return kExitFailure;
  }
  return VerifyMeta(*meta, block.value_or(""), session.out(), session.err());
}

struct Target {
  FileSystemClient* fs = nullptr;
  std::string path;
};

absl::StatusOr<Target> FindTarget(Session& session, const std::string& typed) {
  DOLMEN_ASSIGN_OR_RETURN(const PathText text, ParsePathText(typed));
  if (!text.scheme.empty() && text.scheme != "hdfs" && text.scheme != "dolmen") {
    return MakeError(ErrorReason::kIllegalArgument, absl::StrCat("Invalid filesystem for path ", typed,
                                                                 ": needed scheme hdfs, but got: ", text.scheme));
  }
  Target target;
  DOLMEN_ASSIGN_OR_RETURN(target.fs, session.FileSystemFor(text));
  DOLMEN_ASSIGN_OR_RETURN(target.path, NormalizePath(text.path, target.fs->HomeDirectory()));
  return target;
}

absl::StatusOr<int> RunRecoverLease(Session& session, std::vector<std::string> args) {
  if (args.empty()) return PrintHelp(session, *FindText("recoverLease"), kExitFailure);
  DOLMEN_ASSIGN_OR_RETURN(const std::optional<std::string> typed, PopOption("-path", &args));
  DOLMEN_ASSIGN_OR_RETURN(const std::optional<std::string> tries_text, PopOption("-retries", &args));
  std::ostream& err = session.err();
  if (!typed.has_value()) {
    err << "You must supply a -path argument to recoverLease.\n";
    return kExitFailure;
  }
  int32_t tries = 1;
  if (tries_text.has_value() && !absl::SimpleAtoi(*tries_text, &tries)) {
    err << "Failed to parse the argument to -retries: For input string: \"" << *tries_text << "\"\n";
    return kExitFailure;
  }
  const absl::StatusOr<Target> target = FindTarget(session, *typed);
  if (!target.ok()) {
    err << ShownMessage(target.status()) << "\n";
    return kExitFailure;
  }
  for (int32_t retry = 0;;) {
    const absl::StatusOr<bool> recovered = target->fs->RecoverLease(target->path);
    if (recovered.ok() && *recovered) {
      session.out() << "recoverLease SUCCEEDED on " << *typed << "\n";
      return 0;
    }
    if (recovered.ok()) {
      err << "recoverLease returned false.\n";
    } else {
      err << "recoverLease got exception: " << ShownMessage(recovered.status()) << "\n";
    }
    if (ReasonOf(recovered.status()) == ErrorReason::kFileNotFound) {
      err << "Giving up on recoverLease for " << *typed << " after 1 try\n";
      return kExitFailure;
    }
    if (++retry >= tries) break;
    err << "Retrying in " << kRetryPause.count() << " ms...\n";
    err.flush();
    std::this_thread::sleep_for(kRetryPause);
    err << "Retry #" << retry << "\n";
  }
  err << "Giving up on recoverLease for " << *typed << " after " << tries << (tries == 1 ? " try." : " tries.") << "\n";
  return kExitFailure;
}

int Help(Session& session, const std::vector<std::string>& args) {
  const DebugText* const text = args.empty() ? nullptr : FindText(args[0]);
  if (text != nullptr) return PrintHelp(session, *text, 0);
  if (!args.empty()) {
    session.out() << "I couldn't find a command named " << args[0] << "\n";
    return kExitFailure;
  }
  PrintUsage(session);
  return 0;
}

}  // namespace

int RunDebug(Session& session, std::vector<std::string> args) {
  std::string name = args.empty() ? "" : args[0];
  while (name.starts_with('-')) name.erase(0, 1);
  if (!args.empty()) args.erase(args.begin());
  absl::StatusOr<int> code = kExitFailure;
  if (name == "verifyMeta") {
    code = RunVerifyMeta(session, std::move(args));
  } else if (name == "recoverLease") {
    code = RunRecoverLease(session, std::move(args));
  } else if (name == "help") {
    code = Help(session, args);
  } else {
    code = PrintUsage(session);
  }
  if (!code.ok()) session.err() << ShownMessage(code.status()) << "\n";
  session.out().flush();
  return code.value_or(kExitFailure);
}

}  // namespace dolmen::cli
