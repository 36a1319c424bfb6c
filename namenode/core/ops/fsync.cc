// fsync: the block list is durable since addBlock answered, so what is left is to tell the writer whether the file is
// still its own.
#include "common/error.h"
#include "namenode/core/ops/open_file.h"
#include "namenode/core/ops/ops.h"

namespace dolmen::namenode::ops {

absl::StatusOr<protocol::FsyncReply> Decide(OperationContext& context, const Caller& caller,
                                            const protocol::FsyncRequest& request) {
  DOLMEN_ASSIGN_OR_RETURN(WrittenFile file,
                          FindWrittenFile(context, caller, request.path, request.inode, request.holder, "fsync"));
  DOLMEN_RETURN_IF_ERROR(CheckLease(file, request.holder));
  return protocol::FsyncReply();
}

}  // namespace dolmen::namenode::ops
