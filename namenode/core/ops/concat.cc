// concat: the blocks of files move to the end of another one of the same directory, and the files are gone. All of it
// is one commit, so its work is bounded.
#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/ops/tree.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode::ops {

namespace {

constexpr std::string_view kOperation = "concat";

struct Source {
  std::string name;
  InodeRecord inode;
};

absl::Status Refuse(std::string_view text) { return MakeError(ErrorReason::kIllegalArgument, text); }

absl::StatusOr<std::vector<std::string_view>> Parse(const OperationContext& context, const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(std::vector<std::string_view> names,
                          ParsePath(path, PathUse::kLookUp, kOperation, *context.settings));
  if (IsReserved(names)) {
    return MakeError(ErrorReason::kIo,
                     absl::StrCat("Concat operation doesn't support .reserved relative path : ", path));
  }
  return names;
}

absl::Status CheckIsFile(const InodePath& found, const std::string& path) {
  if (!found.Exists()) return MakeError(ErrorReason::kFileNotFound, absl::StrCat("File does not exist: ", path));
  if (found.Target().is_directory) {
    return MakeError(ErrorReason::kFileNotFound, absl::StrCat("Path is not a file: ", path));
  }
  return absl::OkStatus();
}

absl::StatusOr<InodePath> FindTarget(const OperationContext& context, const PermissionChecker& checker,
                                     const std::string& target) {
  DOLMEN_ASSIGN_OR_RETURN(std::vector<std::string_view> names, Parse(context, target));
  DOLMEN_ASSIGN_OR_RETURN(InodePath path, ResolvePath(*context.batch, checker, names, PathUse::kLookUp));
  if (path.Exists()) DOLMEN_RETURN_IF_ERROR(checker.CheckTarget(path, Access::kWrite));
  DOLMEN_RETURN_IF_ERROR(CheckIsFile(path, target));
  if (path.Target().under_construction) {
    return Refuse(absl::StrCat("concat: target file ", target, " is under construction"));
  }
  return path;
}

// A source in the target's directory, where it has to be, takes one read.
absl::StatusOr<InodePath> FindSource(const OperationContext& context, const PermissionChecker& checker,
                                     const std::string& source, const InodePath& target) {
  DOLMEN_ASSIGN_OR_RETURN(std::vector<std::string_view> names, Parse(context, source));
  const bool beside = names.size() == target.names.size() &&
                      std::equal(names.begin(), names.end() - 1, target.names.begin(), target.names.end() - 1);
  if (!beside) return ResolvePath(*context.batch, checker, names, PathUse::kLookUp);
  InodePath path;
  path.names.assign(names.begin(), names.end());
  path.inodes.assign(target.inodes.begin(), target.inodes.end() - 1);
  DOLMEN_ASSIGN_OR_RETURN(std::optional<InodeRecord> inode,
                          GetInode(*context.batch, target.Parent().id, path.names.back()));
  if (inode.has_value()) path.inodes.push_back(*std::move(inode));
  return path;
}

// In HDFS's order.
absl::Status CheckSource(const PermissionChecker& checker, const InodePath& path, const std::string& source,
                         const InodePath& target, const std::string& target_text) {
  if (path.Exists()) DOLMEN_RETURN_IF_ERROR(checker.CheckTarget(path, Access::kRead));
  DOLMEN_RETURN_IF_ERROR(checker.CheckParent(path, Access::kWrite));
  DOLMEN_RETURN_IF_ERROR(CheckIsFile(path, source));
  if (path.Parent().id != target.Parent().id) {
    return Refuse(absl::StrCat("Source file ", source, " is not in the same directory with the target ", target_text));
  }
  const InodeRecord& file = path.Target();
  if (file.id == target.Target().id) {
    return Refuse(absl::StrCat("concat: the src file ", source, " is the same with the target file ", target_text));
  }
  if (file.under_construction || file.block_count == 0) {
    return Refuse(absl::StrCat("concat: source file ", source, " is invalid or empty or underConstruction"));
  }
  if (file.block_bytes > target.Target().block_bytes) {
    return Refuse(absl::StrCat("concat: source file ", source, " has preferred block size ", file.block_bytes,
                               " which is greater than the target file's preferred block size ",
                               target.Target().block_bytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Source>> FindSources(const OperationContext& context, const PermissionChecker& checker,
                                                const protocol::ConcatRequest& request, const InodePath& target) {
  std::vector<Source> sources;
  std::set<InodeId> distinct;
  uint64_t blocks = 0;
  for (const std::string& source : request.sources) {
    DOLMEN_ASSIGN_OR_RETURN(InodePath path, FindSource(context, checker, source, target));
    DOLMEN_RETURN_IF_ERROR(CheckSource(checker, path, source, target, request.target));
    distinct.insert(path.Target().id);
    blocks += path.Target().block_count;
    sources.push_back({std::move(path.names.back()), std::move(path.Target())});
  }
  if (distinct.size() < sources.size()) return Refuse("concat: at least two of the source files are the same");
  const CoreSettings& settings = *context.settings;
  if (blocks > settings.max_concat_blocks) {
    return Refuse(absl::StrCat("concat: the source files have ", blocks, " blocks; one call moves at most ",
                               settings.max_concat_blocks, ": concatenate them in several calls"));
  }
  if (target.Target().block_count + blocks > settings.max_blocks_per_file) {
    return MakeError(ErrorReason::kIo, absl::StrCat("concat: the target file ", request.target, " would have ",
                                                    target.Target().block_count + blocks,
                                                    " blocks, more than the limit "
                                                    "(dfs.namenode.fs-limits.max-blocks-per-file): ",
                                                    settings.max_blocks_per_file));
  }
  return sources;
}

// A block before the last one is shorter than a block may be.
absl::StatusOr<bool> IsIrregular(const OperationContext& context, const InodeRecord& file) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(*context.batch, file, 1));
  return last.has_value() && file.length - last->record.length != (file.block_count - 1) * file.block_bytes;
}

}  // namespace

absl::StatusOr<protocol::ConcatReply> Decide(OperationContext& context, const Caller& caller,
                                             const protocol::ConcatRequest& request) {
  if (request.target.empty()) return Refuse("Target file name is empty");
  if (request.sources.empty()) return Refuse("No sources given");
  const PermissionChecker checker(*context.settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(InodePath path, FindTarget(context, checker, request.target));
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<Source> sources, FindSources(context, checker, request, path));

  InodeRecord& target = path.Target();
  InodeRecord& parent = path.Parent();
  TotalsDelta delta;
  for (const auto& [name, source] : sources) {
    DOLMEN_RETURN_IF_ERROR(MoveBlocks(context, source, &target));
    UnlinkInode(context, parent.id, name, source.id);
    --delta.files;
    delta.replicated_bytes[protocol::StorageType::kDisk] +=
        static_cast<int64_t>(source.length) *
        (int64_t{target.redundancy.replicas} - int64_t{source.redundancy.replicas});
  }
  DOLMEN_ASSIGN_OR_RETURN(const bool irregular, IsIrregular(context, target));
  if (irregular) target.extensions.Set(kIrregularBlocksTag, "");
  target.modified = context.now;
  PutAt(context, &path, path.names.size());
  parent.child_count -= sources.size();
  Touch(context, &parent);
  PutAt(context, &path, path.names.size() - 1);
  DOLMEN_RETURN_IF_ERROR(AddToTotals(context, path.Ids(path.names.size()), delta));
  return protocol::ConcatReply();
}

}  // namespace dolmen::namenode::ops
