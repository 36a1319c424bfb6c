#include "client/cli/command_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr size_t kHelpWidth = 80;

constexpr std::string_view kPutArguments =
    "[-f] [-p] [-l] [-d] [-t <thread count>] [-q <thread pool queue size>] [--no-progress] <localsrc> ... <dst>";
constexpr std::string_view kGetArguments =
    "[-f] [-p] [-ignoreCrc] [-crc] [-t <thread count>] [-q <thread pool queue size>] [--no-progress] <src> ... "
    "<localdst>";

// In any order.
constexpr CommandText kCommands[] = {
    {"cat", "[-ignoreCrc] <src> ...",
     "Write the bytes of every file that matches <src> to standard output.\n"
     "-ignoreCrc: Accepted for compatibility; every byte is verified all the same."},
    {"copyFromLocal", kPutArguments, "Identical to the -put command."},
    {"copyToLocal", kGetArguments, "Identical to the -get command."},
    {"get", kGetArguments,
     "Copy the files and directories that match <src> to the local file system. With several sources the destination "
     "must be a directory.\n"
     "-f: Overwrite the destination if it exists.\n"
     "-p: Keep access and modification times, owner and mode.\n"
     "-ignoreCrc: Accepted for compatibility; every byte is verified all the same.\n"
     "-crc: Write a checksum file (.name.crc) beside each file.\n"
     "-t <threads>: Copy this many files at once; directories are copied 8 at once by default.\n"
     "-q <size>: Accepted for compatibility.\n"
     "--no-progress: Don't show on a terminal how a long copy goes on."},
    {"help", "[cmd ...]", "Show the help of the given commands, or of all."},
    {"ls", "[-C] [-d] [-h] [-q] [-R] [-t] [-S] [-r] [-u] [-e] [<path> ...]",
     "List what matches <path>; without a path, the home directory. Of a directory its entries are listed, one line "
     "each:\n"
     "permissions replicas owner group bytes modification_date(yyyy-MM-dd HH:mm) path\n"
     "-C: Show the paths only.\n"
     "-d: List directories themselves, not what is in them.\n"
     "-h: Show sizes with unit prefixes rather than as a number of bytes.\n"
     "-q: Show ? in place of characters that can't be printed.\n"
     "-R: List directories recursively.\n"
     "-t: Sort by modification time, newest first.\n"
     "-S: Sort by size, largest first.\n"
     "-r: Reverse the order.\n"
     "-u: Show and sort by the access time.\n"
     "-e: Show the erasure coding policy."},
    {"lsr", "", "(DEPRECATED) Same as 'ls -R'", "ls -R"},
    {"mkdir", "[-p] <path> ...",
     "Create directories.\n"
     "-p: Create missing parents too, and don't fail if the directory exists."},
    {"mv", "<src> ... <dst>",
     "Move what matches <src> to <dst>. With several sources the destination must be a directory. Moving from one file "
     "system to another is not possible."},
    {"put", kPutArguments,
     "Copy local files and directories into the file system; - reads standard input. With several sources the "
     "destination must be a directory. Each file is written under a temporary name (._COPYING_) and renamed when it is "
     "complete.\n"
     "-f: Overwrite the destination if it exists.\n"
     "-p: Keep access and modification times, owner and mode.\n"
     "-l: One replica that need not be on disk when the command ends.\n"
     "-d: Write straight to the final name, without the temporary one.\n"
     "-t <threads>: Copy this many files at once; by default a directory's files are copied 8 at once and several "
     "sources one after another.\n"
     "-q <size>: Accepted for compatibility.\n"
     "--no-progress: Don't show on a terminal how a long copy goes on."},
    {"rm", "[-f] [-r|-R] [-skipTrash] [-safely] <src> ...",
     "Delete what matches <src>.\n"
     "-f: Say nothing about, and don't fail for, files that don't exist.\n"
     "-[rR]: Delete directories with all they hold.\n"
     "-skipTrash: Delete at once rather than move to the trash.\n"
     "-safely: Ask before a directory with more than hadoop.shell.safely.delete.limit.num.files files (100) is "
     "deleted."},
    {"rmr", "", "(DEPRECATED) Same as '-rm -r'", "-rm -r"},
    {"stat", "[format] <path> ...",
     "Print facts about files and directories in the given format, %y by default.\n"
     "%a: Mode as an octal number; %A as letters\n"
     "%b: Size in bytes\n"
     "%F: Type\n"
     "%g: Group; %u owner\n"
     "%n: Name\n"
     "%o: Block size\n"
     "%r: Replication\n"
     "%x, %y: Access and modification time in UTC, yyyy-MM-dd HH:mm:ss; %X, %Y in milliseconds since 1970"},
    {"test", "-[defswrz] <path>",
     "Answer a question about <path> with the exit code: 0 for yes, 1 for no.\n"
     "-d: Is it a directory?\n"
     "-e: Does it exist?\n"
     "-f: Is it a file?\n"
     "-s: Is it larger than 0 bytes?\n"
     "-w: Does it exist and may it be written?\n"
     "-r: Does it exist and may it be read?\n"
     "-z: Is it 0 bytes long?"},
    {"usage", "[cmd ...]", "Show the usage of the given commands, or of all."},

    {"appendToFile", "[-n] [--no-progress] <localsrc> ... <dst>",
     "Append local files to the end of <dst>, which is made if it does not exist; - reads standard input, and must be "
     "the only source then.\n"
     "-n: Begin a new block instead of filling up the last one.\n"
     "--no-progress: Don't show on a terminal how a long copy goes on."},
    {"cp",
     "[-f] [-p | -p[topax]] [-d] [-t <thread count>] [-q <thread pool queue size>] [--no-progress] <src> ... <dst>",
     "Copy the files and directories that match <src>. With several sources the destination must be a directory. Each "
     "file is written under a temporary name (._COPYING_) and renamed when it is complete.\n"
     "-f: Overwrite the destination if it exists.\n"
     "-p[topax]: Keep times (t), owner and group (o), mode (p, a); x, extended attributes, is accepted. Without "
     "letters "
     "t, o and p.\n"
     "-d: Write straight to the final name, without the temporary one.\n"
     "-t <threads>: Copy this many files at once; by default a directory's files are copied 8 at once and several "
     "sources one after another.\n"
     "-q <size>: Accepted for compatibility.\n"
     "--no-progress: Don't show on a terminal how a long copy goes on."},
    {"getmerge", "[-nl] [-skip-empty-file] [--no-progress] <src> ... <localdst>",
     "Write all files that match <src>, and those directly in directories that do, one after another into one local "
     "file, which is overwritten.\n"
     "-nl: Add a newline after each file.\n"
     "-skip-empty-file: Add none after an empty file.\n"
     "--no-progress: Don't show on a terminal how a long copy goes on."},
    {"head", "<file>", "Print the first 1024 bytes of the file."},
    {"moveFromLocal", "[-f] [-p] [-l] [-d] [--no-progress] <localsrc> ... <dst>",
     "Same as -put, except that each source is deleted after it was copied, that directories are not merged into "
     "existing ones, and that there is no -t."},
    {"moveToLocal", "<src> <localdst>", "Not implemented yet"},
    {"tail", "[-f] [-s <sleep interval>] <file>",
     "Print the last 1024 bytes of the file.\n"
     "-f: Go on with what is appended while the file grows, until interrupted.\n"
     "-s <milliseconds>: With -f, how long to sleep between two looks at the file; 5000 by default."},
    {"text", "[-ignoreCrc] <src> ...",
     "Print every file that matches <src> as text: gzip files by their first bytes, .gz, .deflate, .bz2 and .zst by "
     "their names are unpacked, others are printed as they are. SequenceFiles, Avro files, .snappy and .lz4 are not "
     "understood.\n"
     "-ignoreCrc: Accepted for compatibility; every byte is verified all the same."},
    {"touch", "[-a] [-m] [-t TIMESTAMP (yyyyMMdd:HHmmss) ] [-c] <path> ...",
     "Set the access and modification times of files to now. A file that does not exist is made, empty.\n"
     "-a: Change the access time only.\n"
     "-m: Change the modification time only.\n"
     "-t <timestamp>: Set this local time instead, as yyyyMMdd, a colon and HHmmss.\n"
     "-c: Make no files."},
    {"touchz", "<path> ...",
     "Make files of no bytes at <path>. A file of that name must be empty already, and is made anew."},
};

constexpr std::string_view kUsagePrefix = "Usage: hadoop fs [generic options]";

struct TableRow {
  std::string_view option;
  std::string_view text;
};

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

void AppendTable(std::string& help, std::vector<TableRow>& rows) {
  size_t width = 0;
  for (const TableRow& row : rows) width = std::max(width, row.option.size());
  const std::string indent(2 + width + 2, ' ');
  for (const TableRow& row : rows) {
    // The first line of the text stands beside the option.
    std::string text = WrapLine(row.text, kHelpWidth - 2 - width, indent);
    text.replace(0, indent.size(),
                 absl::StrCat("  ", ToAbsl(row.option), std::string(width - row.option.size() + 2, ' ')));
    help += text;
  }
  rows.clear();
}

}  // namespace

std::span<const CommandText> CommandTexts() {
  static const std::vector<CommandText> all = [] {
    std::vector<CommandText> texts(std::begin(kCommands), std::end(kCommands));
    const std::span<const CommandText> trees = TreeCommandTexts();
    texts.insert(texts.end(), trees.begin(), trees.end());
    std::sort(texts.begin(), texts.end(), [](const CommandText& a, const CommandText& b) { return a.name < b.name; });
    return texts;
  }();
  return all;
}

const CommandText* FindCommandText(std::string_view name) {
  for (const CommandText& command : CommandTexts()) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

std::string ShortUsage(const CommandText& command) {
  return absl::StrCat("-", ToAbsl(command.name), command.arguments.empty() ? "" : " ", ToAbsl(command.arguments));
}

std::string UsageLine(const CommandText& command) {
  return absl::StrCat(ToAbsl(kUsagePrefix), " ", ShortUsage(command), "\n");
}

std::string WrapLine(std::string_view line, size_t width, std::string_view indent) {
  std::string wrapped;
  std::string_view rest = line;
  do {
    std::string_view piece = rest;
    if (rest.size() > width) {
      size_t cut = rest.rfind(' ', width);
      if (cut == std::string_view::npos || cut == 0) cut = rest.find(' ', width);
      piece = rest.substr(0, cut);
    }
    absl::StrAppend(&wrapped, piece.empty() ? "" : ToAbsl(indent), ToAbsl(piece), "\n");
    rest = Trim(rest.substr(piece.size()));
  } while (!rest.empty());
  return wrapped;
}

std::string HelpText(const CommandText& command) {
  std::string help = absl::StrCat(ShortUsage(command), " :\n");
  std::vector<TableRow> rows;
  std::string_view rest = command.description;
  while (!rest.empty()) {
    const size_t newline = rest.find('\n');
    const std::string_view line = rest.substr(0, newline);
    rest = newline == std::string_view::npos ? std::string_view() : rest.substr(newline + 1);
    const size_t colon = line.find(':');
    if ((line.starts_with('-') || line.starts_with('<')) && colon != std::string_view::npos &&
        line.find(':', colon + 1) == std::string_view::npos) {
      rows.push_back({Trim(line.substr(0, colon)), Trim(line.substr(colon + 1))});
      continue;
    }
    AppendTable(help, rows);
    help += WrapLine(line, kHelpWidth, "  ");
  }
  AppendTable(help, rows);
  return help;
}

std::string CommandList(bool help) {
  std::string list = absl::StrCat(ToAbsl(kUsagePrefix), "\n");
  for (const CommandText& command : CommandTexts()) {
    if (command.replaced_by.empty()) absl::StrAppend(&list, "\t[", ShortUsage(command), "]\n");
  }
  if (help) {
    for (const CommandText& command : CommandTexts()) {
      if (command.replaced_by.empty()) absl::StrAppend(&list, "\n", HelpText(command));
    }
  }
  absl::StrAppend(&list, "\n", GenericOptionsText());
  return list;
}

std::string GenericOptionsText() {
  return "Generic options supported are:\n"
         "-conf <configuration file>        read settings from this TOML file\n"
         "-D <property=value>               set one property\n"
         "-fs <dolmen://namenode:port>      the default file system; overrides every other way to name it\n"
         "\n"
         "The general command line syntax is:\n"
         "command [genericOptions] [commandOptions]\n"
         "\n";
}

}  // namespace dolmen::cli
