// Copying files and trees: HDFS's destination rules, temporaries, and what goes on after a failure.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/progress_bar.h"
#include "client/cli/tree.h"

namespace dolmen::cli {

// The destination as one place in a tree, with the rules that put, get and mv share.
struct Destination {
  Tree* tree = nullptr;  // not owned
  Node node;
};

// Several sources need an existing directory; one source needs an existing parent, and no file in the way unless
// `overwrite`.
absl::Status CheckDestination(const Destination& destination, size_t source_count, bool overwrite);

// Where a source of that name goes: below the destination if that is a directory or looks like one, else to the
// destination itself. The target is looked up.
absl::StatusOr<Node> TargetFor(const Destination& destination, std::string_view source_name);

// A directory can't be copied or moved onto or below itself. Paths are fully qualified.
absl::Status CheckNotInside(const std::string& source_shown, const std::string& source_qualified,
                            const std::string& target_shown, const std::string& target_qualified);

struct CopyOptions {
  bool overwrite = false;     // -f
  AttributeSet preserve;      // -p
  bool direct = false;        // -d: no temporary
  bool lazy_persist = false;  // -l
  // -t: this many files at once, whatever the sources. Nothing: sources one after another, the files of a directory
  // kDefaultThreads at once.
  std::optional<size_t> threads;
  // Each source is removed once it was copied; directories are not merged then.
  bool move = false;
  ProgressBar* progress = nullptr;  // told how it goes; not owned, may be null

  static constexpr size_t kDefaultThreads = 8;
  static constexpr size_t kMaxThreads = 64;
};

// -t as typed: at least 1, at most kMaxThreads. -q, HDFS's length of the queue of jobs, has a fixed value here and is
// only looked at. Error (usage): not a number.
absl::StatusOr<std::optional<size_t>> ParseThreads(const ParsedOptions& options);

struct CopySource {
  Tree* tree = nullptr;  // not owned
  Node node;
};

// Copies all sources. A failing file does not stop the others; failures are reported in the order of the walk,
// whatever the number of threads. `interrupted` (may be null) stops it: unfinished temporaries are removed. So does a
// namenode that cannot be reached any more, which is reported once.
// Returned: a destination that breaks the rules, before anything was copied.
absl::Status CopyAll(const std::vector<CopySource>& sources, const Destination& destination, const CopyOptions& options,
                     const std::atomic<bool>* interrupted, ErrorReporter& errors);

// Copies all that `reader` gives; does not close `writer`. `length_hint` is what is expected; `interrupted` may be
// null.
absl::Status CopyBytes(Reader& reader, Writer& writer, uint64_t length_hint, FileProgress& progress,
                       const std::atomic<bool>* interrupted);

// Copies what `reader` gives to one file: `<target>._COPYING_`, then renamed, unless options.direct.
// Error: the target exists and is a directory or options.overwrite is off.
absl::Status CopyStream(Reader& reader, uint64_t length_hint, Tree& tree, const Node& target,
                        const CopyOptions& options, FileProgress& progress, const std::atomic<bool>* interrupted);

}  // namespace dolmen::cli
