#include "client/cli/command_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr size_t kHelpWidth = 80;

constexpr std::string_view kPutArguments = "[-f] [-p] [-l] [-d] [-t <thread count>] <localsrc> ... <dst>";
constexpr std::string_view kGetArguments = "[-f] [-p] [-ignoreCrc] [-crc] <src> ... <localdst>";

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
     "-t <threads>: Copy this many files at once; directories are copied 8 at once by default."},
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
     "sources one after another."},
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

std::span<const CommandText> CommandTexts() { return kCommands; }

const CommandText* FindCommandText(std::string_view name) {
  for (const CommandText& command : kCommands) {
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
  for (const CommandText& command : kCommands) {
    if (command.replaced_by.empty()) absl::StrAppend(&list, "\t[", ShortUsage(command), "]\n");
  }
  if (help) {
    for (const CommandText& command : kCommands) {
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
