// Opens one file for reading: asks the namenode for its blocks and, when the last block is being written, one of that
// block's datanodes how much of it readers may see (in pipeline order; the first that answers decides). The length
// found is fixed for the reader.
//
// Errors: the namenode's; kBlockMissing when no datanode of an open last block answers within the retries.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/core/read_messages.h"
#include "common/random.h"

namespace dolmen::client {

struct OpenedFile {
  std::string path;
  protocol::FileStatus status;
  uint64_t length = 0;
  bool last_is_open = false;
  std::vector<protocol::LocatedBlock> blocks;  // the first ones; an open last block has its visible length
};

// One thread only; one use.
class FileOpener {
 public:
  FileOpener(std::string path, ReaderSettings settings, Random random)
      : path_(std::move(path)), settings_(settings), random_(random) {}

  // The actions it answers with: CallNamenode, AskVisibleLength, WakeAt.
  std::vector<ReadAction> Start(MonotonicTime now);
  std::vector<ReadAction> OnNamenodeAnswer(read_event::NamenodeAnswer event, MonotonicTime now);
  std::vector<ReadAction> OnVisibleLength(const read_event::VisibleLengthAnswer& event, MonotonicTime now);
  std::vector<ReadAction> OnTick(MonotonicTime now);

  // Set once it is decided; nothing happens afterwards.
  const std::optional<absl::StatusOr<OpenedFile>>& result() const { return result_; }

 private:
  void AskNamenode(uint64_t offset, uint64_t length);
  void AskNextDatanode();
  void TryAgainLater();
  void Finish(uint64_t length);

  const std::string path_;
  const ReaderSettings settings_;
  Random random_;
  std::vector<ReadAction> actions_;
  std::optional<absl::StatusOr<OpenedFile>> result_;

  uint64_t next_tag_ = 1;
  uint64_t tag_ = 0;  // of the question under way
  OpenedFile file_;
  bool has_first_answer_ = false;
  std::optional<protocol::LocatedBlock> open_block_;
  size_t next_location_ = 0;
  bool all_said_not_found_ = true;
  std::string failures_;  // "host:port: why; ..."
  uint32_t retries_ = 0;
  std::optional<MonotonicTime> wait_until_;
  MonotonicTime now_;
};

}  // namespace dolmen::client
