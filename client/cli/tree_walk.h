// Commands that do the same to each of their arguments and, with -R, to all below.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "client/cli/command.h"
#include "client/cli/remote_item.h"

namespace dolmen::cli {

// `item` has a status.
using ItemVisitor = std::function<absl::Status(const RemoteItem& item)>;

// Visits everything the words of the command line match; with `recursive` also all that is below: a directory before
// what it holds, names in byte order. Directories are read page by page while the walk goes on. What is missing or
// fails is reported, and nothing below a directory whose visit failed is visited. Error: only what must end the command
// (usage errors of a visit or a malformed path).
absl::Status VisitArguments(CommandContext& context, bool recursive, const ItemVisitor& visit);

}  // namespace dolmen::cli
