#include "client/core/file_opener.h"

#include <algorithm>
#include <utility>

#include "client/core/text.h"
#include "common/error.h"

namespace dolmen::client {

std::vector<ReadAction> FileOpener::Start(MonotonicTime now) {
  now_ = now;
  AskNamenode(0, settings_.locate_bytes);
  return std::exchange(actions_, {});
}

void FileOpener::AskNamenode(uint64_t offset, uint64_t length) {
  protocol::GetBlockLocationsRequest request{.path = path_, .offset = offset, .length = length};
  if (has_first_answer_) request.inode = file_.status.inode;
  tag_ = next_tag_++;
  actions_.push_back(read_action::CallNamenode{tag_, std::move(request)});
}

std::vector<ReadAction> FileOpener::OnNamenodeAnswer(read_event::NamenodeAnswer event, MonotonicTime now) {
  now_ = now;
  if (event.tag != tag_ || result_.has_value()) return {};
  if (!event.answer.ok()) {
    result_ = event.answer.status();
    return {};
  }
  auto* reply = std::get_if<protocol::GetBlockLocationsReply>(&*event.answer);
  if (reply == nullptr) {
    result_ = MakeError(ErrorReason::kIo, absl::StrCat("Opening ", path_, ": the namenode answered something else"));
    return {};
  }
  const bool first = !has_first_answer_;
  has_first_answer_ = true;
  const uint64_t committed = reply->status.length;
  file_.path = path_;
  file_.status = reply->status;
  file_.last_is_open = reply->last_is_open;
  open_block_.reset();
  for (protocol::LocatedBlock& block : reply->blocks) {
    if (reply->last_is_open && block.offset >= reply->open_offset) {
      open_block_ = block;
    } else if (first) {
      file_.blocks.push_back(std::move(block));
    }
  }
  if (!reply->last_is_open) {
    Finish(committed);
  } else if (open_block_.has_value()) {
    next_location_ = 0;
    all_said_not_found_ = true;
    AskNextDatanode();
  } else if (first) {
    AskNamenode(reply->open_offset, UINT64_MAX - reply->open_offset);  // beyond what was asked for at first
  } else {
    Finish(committed);  // no block was added since the last complete one
  }
  return std::exchange(actions_, {});
}

void FileOpener::AskNextDatanode() {
  if (next_location_ < open_block_->locations.size()) {
    tag_ = next_tag_++;
    actions_.push_back(read_action::AskVisibleLength{
        tag_, open_block_->locations[next_location_], {.block = open_block_->block, .token = open_block_->token}});
    return;
  }
  // Nobody has it (yet): allocated, and nothing arrived. Or nobody has more than what was committed.
  if (all_said_not_found_) return Finish(file_.status.length);
  TryAgainLater();
}

std::vector<ReadAction> FileOpener::OnVisibleLength(const read_event::VisibleLengthAnswer& event, MonotonicTime now) {
  now_ = now;
  if (event.tag != tag_ || result_.has_value() || !open_block_.has_value()) return {};
  // One that was started anew, or has no part in an append, knows of no more than what was committed: others may.
  const uint64_t committed = open_block_->block.length;
  if (event.answer.ok() && (committed == 0 || event.answer->length > committed)) {
    Finish(std::max(file_.status.length, open_block_->offset + event.answer->length));
    return std::exchange(actions_, {});
  }
  if (!event.answer.ok()) {
    const absl::Status& status = event.answer.status();
    if (ReasonOf(status) != ErrorReason::kReplicaNotFound) all_said_not_found_ = false;
    absl::StrAppend(&failures_, failures_.empty() ? "" : "; ",
                    AddressText(open_block_->locations[next_location_].datanode), ": ", status.message());
  }
  ++next_location_;
  AskNextDatanode();
  return std::exchange(actions_, {});
}

void FileOpener::TryAgainLater() {
  if (retries_++ >= settings_.refreshes) {
    // Of a block that is appended to some bytes are committed: whoever reads them will find who has them.
    if (open_block_->block.length > 0) return Finish(file_.status.length);
    result_ = MakeError(ErrorReason::kBlockMissing,
                        absl::StrCat("Could not obtain the last block locations. ", open_block_->block.id.ToString(),
                                     " file=", path_, ": ", failures_));
    return;
  }
  failures_.clear();
  tag_ = 0;
  const auto half = static_cast<uint64_t>(settings_.visible_length_wait.count() / 2);
  wait_until_ = now_ + Duration(half + random_.Uniform(half + 1));
  actions_.push_back(read_action::WakeAt{*wait_until_});
}

std::vector<ReadAction> FileOpener::OnTick(MonotonicTime now) {
  now_ = now;
  if (result_.has_value() || !wait_until_.has_value() || now < *wait_until_) return {};
  wait_until_.reset();
  const uint64_t from = open_block_->offset;
  AskNamenode(from, UINT64_MAX - from);
  return std::exchange(actions_, {});
}

void FileOpener::Finish(uint64_t length) {
  file_.length = length;
  if (open_block_.has_value() && length > open_block_->offset) {
    open_block_->block.length = length - open_block_->offset;
    file_.blocks.push_back(*open_block_);
  }
  result_ = std::move(file_);
}

}  // namespace dolmen::client
