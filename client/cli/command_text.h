// The table of shell commands: their names, usage and help. -help, -usage and every error that lists the commands
// print from it.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace dolmen::cli {

struct CommandText {
  std::string_view name;         // without the dash
  std::string_view arguments;    // of the usage line
  std::string_view description;  // lines; "-x: text" lines become a table
  std::string_view replaced_by;  // deprecated commands: what to use instead, e.g. "ls -R"
};

// The part of the table that is in command_text_trees.cc: space, attributes, whole trees.
std::span<const CommandText> TreeCommandTexts();

// In name order.
std::span<const CommandText> CommandTexts();
// Nothing for an unknown name.
const CommandText* FindCommandText(std::string_view name);

// "-ls [-C] ... [<path> ...]"
std::string ShortUsage(const CommandText& command);
// "Usage: hadoop fs [generic options] -ls ...\n"
std::string UsageLine(const CommandText& command);
// The usage, every command that is not deprecated, the generic options. With `help` every command's help too.
std::string CommandList(bool help);
// "-ls [...] :" and the description, indented and wrapped at 80 columns.
std::string HelpText(const CommandText& command);
// What every tool accepts before its command.
std::string GenericOptionsText();

// Breaks `line` at spaces so that no piece is wider than `width`, except words that are.
std::string WrapLine(std::string_view line, size_t width, std::string_view indent);

}  // namespace dolmen::cli
