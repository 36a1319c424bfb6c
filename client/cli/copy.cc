#include "client/cli/copy.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/ordered_jobs.h"
#include "client/cli/path_text.h"
#include "client/cli/shell_error.h"
#include "common/error.h"
#include "common/mutex.h"

namespace dolmen::cli {
namespace {

constexpr char kTemporarySuffix[] = "._COPYING_";
constexpr uint64_t kMaxBufferBytes = 1 << 20;
constexpr uint64_t kMinBufferBytes = 4096;

bool Set(const std::atomic<bool>* flag) { return flag != nullptr && flag->load(std::memory_order_relaxed); }

std::string TemporaryOf(const std::string& path) { return path + kTemporarySuffix; }

// The names that unfinished jobs write: targets and their temporaries. Thread-safe.
class NamesInFlight {
 public:
  void Add(const std::string& target) {
    MutexLock lock(&mutex_);
    names_.insert(target);
    names_.insert(TemporaryOf(target));
  }
  void Remove(const std::string& target) {
    MutexLock lock(&mutex_);
    names_.erase(target);
    names_.erase(TemporaryOf(target));
  }
  // Whether `target` or its temporary is a name in flight. The name of a temporary can be a target too: a killed copy
  // leaves such a file.
  bool Touches(const std::string& target) const {
    MutexLock lock(&mutex_);
    return names_.contains(target) || names_.contains(TemporaryOf(target));
  }

 private:
  mutable Mutex mutex_;
  std::set<std::string> names_ ABSL_GUARDED_BY(mutex_);
};

// Where a source of that name goes, not looked up unless it is the destination itself.
Node PlaceFor(const Destination& destination, std::string_view source_name) {
  const Node& node = destination.node;
  const bool below = node.info.has_value() ? node.info->is_directory : LooksLikeDirectory(node.shown);
  return below && !source_name.empty() ? ChildNode(node, source_name) : node;
}

// One copy of several sources: the walk, its jobs and its bookkeeping.
class Copier {
 public:
  Copier(const Destination& destination, const CopyOptions& options, const std::atomic<bool>* interrupted,
         ErrorReporter& errors, bool several)
      : destination_(destination),
        options_(options),
        interrupted_(interrupted),
        errors_(errors),
        several_(several),
        jobs_(options.threads.value_or(CopyOptions::kDefaultThreads),
              [this](const absl::Status& status) { Report(status); }) {}

  void CopyEach(const std::vector<CopySource>& sources) {
    size_t walks = 0;
    for (const CopySource& source : sources) walks += IsDirectory(source) ? 1 : 0;
    if (options_.progress != nullptr) AnnounceFiles(sources);
    if (walks == 0) AllFound();
    for (const CopySource& source : sources) Copy(source, IsDirectory(source) && --walks == 0);
  }

 private:
  static bool IsDirectory(const CopySource& source) {
    return source.node.info.has_value() && source.node.info->is_directory;
  }
  void AnnounceFiles(const std::vector<CopySource>& sources) {
    for (const CopySource& source : sources) {
      if (!source.node.info.has_value() || source.node.info->is_directory) continue;
      if (source.node.info->is_regular) {
        options_.progress->FileFound(source.node.info->length);
      } else {
        options_.progress->StreamFound();
      }
    }
  }
  void AllFound() {
    if (options_.progress != nullptr) options_.progress->AllFound();
  }

  void Copy(const CopySource& source, bool last_walk) {
    if (Set(&lost_)) return;
    CopyArgument(source);
    if (last_walk) AllFound();
    if (!options_.threads.has_value()) jobs_.Drain();
  }

  // A failing file does not stop the others, but a namenode that is gone would be waited for once per file.
  bool Stopped() const { return Set(interrupted_) || Set(&lost_); }
  absl::Status Noted(absl::Status status) const {
    if (ReasonOf(status) == ErrorReason::kUnreachable) lost_.store(true, std::memory_order_relaxed);
    return status;
  }
  void Report(const absl::Status& status) {
    if (status.ok()) return;
    if (ReasonOf(status) != ErrorReason::kUnreachable) return Show(status);
    if (std::exchange(reported_lost_, true)) return;
    Show(several_
             ? MakeError(ErrorReason::kUnreachable, absl::StrCat(status.message(), "; what is left was not copied"))
             : status);
  }
  void Show(const absl::Status& status) {
    if (options_.progress == nullptr) return errors_.Report(status);
    options_.progress->Print([&] { errors_.Report(status); });
  }

  void CopyArgument(const CopySource& source) {
    if (Set(interrupted_)) return jobs_.AddResult(InterruptedError());
    if (!source.node.info.has_value()) return jobs_.AddResult(NoSuchFile(source.node.shown));
    const std::string name(BaseName(source.tree->AbsolutePath(source.node.path)));
    WaitForJobsAt(PlaceFor(destination_, name).path);
    absl::StatusOr<Node> target = TargetFor(destination_, name);
    if (!target.ok()) return jobs_.AddResult(Noted(target.status()));
    if (source.node.info->is_directory) {
      const absl::Status apart = CheckNotInside(source.node.shown, source.tree->Qualified(source.node.path),
                                                target->shown, destination_.tree->Qualified(target->path));
      if (!apart.ok()) return jobs_.AddResult(apart);
      CopyDirectory(*source.tree, source.node, *std::move(target), /*parent_is_new=*/false);
    } else if (options_.threads.has_value()) {
      CopyFile(*source.tree, source.node, *std::move(target));
    } else {
      jobs_.AddResult(CopyOneFile(*source.tree, source.node, *target));
    }
  }

  // `target` is looked up unless its parent was made by this copy, which is then empty.
  void CopyDirectory(Tree& tree, const Node& source, Node target, bool parent_is_new) {
    several_ = true;
    if (Stopped()) return;
    const std::pair<uint64_t, uint64_t> identity(source.info->device, source.info->inode);
    if (std::find(open_directories_.begin(), open_directories_.end(), identity) != open_directories_.end()) {
      return jobs_.AddResult(PathError(source.shown, "Too many levels of symbolic links"));
    }
    bool is_new = parent_is_new;
    if (target.info.has_value()) {
      if (!target.info->is_directory) return jobs_.AddResult(IsNotADirectory(target.shown));
      if (options_.move) return jobs_.AddResult(FileExists(target.shown));
    } else {
      const absl::Status made = destination_.tree->MakeDirectory(target.path);
      if (!made.ok()) return jobs_.AddResult(Noted(made));
      is_new = true;
    }
    absl::StatusOr<std::vector<NamedInfo>> entries = tree.List(source.path);
    if (!entries.ok()) return jobs_.AddResult(Noted(entries.status()));
    open_directories_.push_back(identity);
    for (NamedInfo& entry : *entries) {
      if (Set(interrupted_)) {
        jobs_.AddResult(InterruptedError());
        break;
      }
      if (Set(&lost_)) break;
      Node child = ChildNode(source, entry.name);
      child.info = std::move(entry.info);
      CopyEntry(tree, child, ChildNode(target, entry.name), is_new);
    }
    open_directories_.pop_back();
    if ((options_.preserve.any() || options_.move) && !Stopped()) {
      jobs_.Drain();  // files made below would change the directory's time again
      jobs_.AddResult(Noted(EndOf(tree, source, target)));
    }
  }

  void CopyEntry(Tree& tree, const Node& source, Node target, bool parent_is_new) {
    if (!source.info.has_value()) return jobs_.AddResult(NoSuchFile(source.shown));
    WaitForJobsAt(target.path);
    if (!parent_is_new) {
      absl::StatusOr<std::optional<NodeInfo>> info = destination_.tree->Stat(target.path);
      if (!info.ok()) return jobs_.AddResult(Noted(info.status()));
      target.info = *std::move(info);
    }
    if (source.info->is_directory) {
      CopyDirectory(tree, source, std::move(target), parent_is_new);
    } else if (!source.info->is_regular) {
      jobs_.AddResult(PathError(source.shown, "Operation not supported"));
    } else {
      if (options_.progress != nullptr) options_.progress->FileFound(source.info->length);
      CopyFile(tree, source, std::move(target));
    }
  }

  // Comes before a target is looked up: what is there, and what its temporary may overwrite, is then settled.
  void WaitForJobsAt(const std::string& target) {
    if (in_flight_.Touches(target)) jobs_.Drain();
  }

  void CopyFile(Tree& tree, const Node& source, Node target) {
    in_flight_.Add(target.path);
    jobs_.Add([this, &tree, source, target = std::move(target)] {
      absl::Status status = CopyOneFile(tree, source, target);
      in_flight_.Remove(target.path);
      return status;
    });
  }

  // Runs on the jobs' threads: touches only constant members and `lost_`.
  absl::Status CopyOneFile(Tree& tree, const Node& source, const Node& target) const {
    if (Set(interrupted_)) return InterruptedError();
    if (Set(&lost_)) return absl::OkStatus();  // the reported loss stands for it
    FileProgress progress(options_.progress, source.info->length);
    return Noted(CopyFileNow(tree, source, target, progress));
  }

  absl::Status CopyFileNow(Tree& tree, const Node& source, const Node& target, FileProgress& progress) const {
    // Without a temporary the source would be emptied before it is read.
    if (options_.direct && tree.Qualified(source.path) == destination_.tree->Qualified(target.path)) {
      return PathError(PathMessage{.path = source.shown, .target = target.shown, .error = "are identical"});
    }
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<Reader> reader, tree.Open(source.path));
    DOLMEN_RETURN_IF_ERROR(
        CopyStream(*reader, source.info->length, *destination_.tree, target, options_, progress, interrupted_));
    return EndOf(tree, source, target);
  }

  // What is left to do when the content is there.
  absl::Status EndOf(Tree& tree, const Node& source, const Node& target) const {
    if (options_.preserve.any()) {
      DOLMEN_RETURN_IF_ERROR(
          destination_.tree->SetAttributes(target.path, Attributes(tree, source), options_.preserve));
    }
    return options_.move ? tree.Remove(source) : absl::OkStatus();
  }

  // The attributes as names, whatever the source knows them by.
  static NodeInfo Attributes(Tree& tree, const Node& source) { return tree.WithOwnerNames(*source.info); }

  const Destination& destination_;
  const CopyOptions& options_;
  const std::atomic<bool>* const interrupted_;  // not owned
  mutable std::atomic<bool> lost_{false};       // the namenode cannot be reached any more
  ErrorReporter& errors_;
  bool several_;  // more than one file is to be copied
  bool reported_lost_ = false;
  std::vector<std::pair<uint64_t, uint64_t>> open_directories_;  // from the argument down to where the walk is
  NamesInFlight in_flight_;
  OrderedJobs jobs_;  // last: its destructor waits for jobs that use the rest
};

}  // namespace

absl::Status CheckDestination(const Destination& destination, size_t source_count, bool overwrite) {
  const Node& node = destination.node;
  if (source_count > 1) {
    if (!node.info.has_value()) return NoSuchFile(node.shown);
    if (!node.info->is_directory) return IsNotADirectory(node.shown);
    return absl::OkStatus();
  }
  if (node.info.has_value()) {
    return node.info->is_directory || overwrite ? absl::OkStatus() : FileExists(node.shown);
  }
  // "dir/" does not exist itself, so its parent's existence does not help.
  bool parent_exists = false;
  if (!LooksLikeDirectory(node.shown)) {
    const std::string absolute = destination.tree->AbsolutePath(node.path);
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<NodeInfo> parent,
                            destination.tree->Stat(std::string(ParentPath(absolute))));
    parent_exists = parent.has_value();
  }
  return parent_exists ? absl::OkStatus() : NoSuchFile(node.shown, destination.tree->Qualified(node.path));
}

absl::StatusOr<Node> TargetFor(const Destination& destination, std::string_view source_name) {
  Node target = PlaceFor(destination, source_name);
  if (target.path == destination.node.path) return target;  // looked up already
  DOLMEN_ASSIGN_OR_RETURN(target.info, destination.tree->Stat(target.path));
  return target;
}

absl::Status CheckNotInside(const std::string& source_shown, const std::string& source_qualified,
                            const std::string& target_shown, const std::string& target_qualified) {
  if (source_qualified == target_qualified) {
    return PathError(PathMessage{.path = source_shown, .target = target_qualified, .error = "are identical"});
  }
  const std::string below = source_qualified.ends_with('/') ? source_qualified : source_qualified + "/";
  if (target_qualified.starts_with(below)) {
    return PathError(PathMessage{.path = source_shown, .target = target_shown, .error = "is a subdirectory of itself"});
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<size_t>> ParseThreads(const ParsedOptions& options) {
  if (const auto queue = options.values.find("q"); queue != options.values.end()) {
    DOLMEN_RETURN_IF_ERROR(ParseInteger(queue->second).status());
  }
  const auto given = options.values.find("t");
  if (given == options.values.end()) return std::nullopt;
  DOLMEN_ASSIGN_OR_RETURN(const int64_t number, ParseInteger(given->second));
  return static_cast<size_t>(std::clamp<int64_t>(number, 1, CopyOptions::kMaxThreads));
}

absl::Status CopyAll(const std::vector<CopySource>& sources, const Destination& destination, const CopyOptions& options,
                     const std::atomic<bool>* interrupted, ErrorReporter& errors) {
  DOLMEN_RETURN_IF_ERROR(CheckDestination(destination, sources.size(), options.overwrite));
  Copier copier(destination, options, interrupted, errors, sources.size() > 1);
  copier.CopyEach(sources);
  return absl::OkStatus();
}

absl::Status CopyBytes(Reader& reader, Writer& writer, uint64_t length_hint, FileProgress& progress,
                       const std::atomic<bool>* interrupted) {
  // One byte more than the file has, so that one read sees its end.
  std::vector<char> buffer(std::clamp(length_hint + 1, kMinBufferBytes, kMaxBufferBytes));
  while (true) {
    if (Set(interrupted)) return InterruptedError();
    DOLMEN_ASSIGN_OR_RETURN(const size_t count, reader.Read(buffer));
    if (count == 0) return absl::OkStatus();
    DOLMEN_RETURN_IF_ERROR(writer.Write(std::string_view(buffer.data(), count)));
    progress.Copied(count);
  }
}

absl::Status CopyStream(Reader& reader, uint64_t length_hint, Tree& tree, const Node& target,
                        const CopyOptions& options, FileProgress& progress, const std::atomic<bool>* interrupted) {
  if (target.info.has_value() && (target.info->is_directory || !options.overwrite)) return FileExists(target.shown);
  Node written = target;
  if (!options.direct) {
    written.shown += kTemporarySuffix;
    written.path = TemporaryOf(target.path);
  }
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<Writer> writer, tree.Create(written.path, options.lazy_persist));
  absl::Status status = CopyBytes(reader, *writer, length_hint, progress, interrupted);
  if (status.ok()) status = writer->Close();
  if (!status.ok()) writer->Abort();
  if (options.direct) return status;
  if (status.ok()) status = tree.Rename(written, target, options.overwrite);
  if (!status.ok()) tree.Discard(written.path, status);
  return status;
}

}  // namespace dolmen::cli
