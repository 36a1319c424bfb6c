#include "client/core/file_reader.h"

#include <algorithm>

#include "client/core/text.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/error.h"

namespace dolmen::client {
namespace {

// The datanode as a whole is to blame, not one replica.
bool NodeFailed(const absl::Status& status) {
  if (ReasonOf(status) == ErrorReason::kUnreachable) return true;
  return ReasonOf(status) == ErrorReason::kNone &&
         (status.code() == absl::StatusCode::kUnavailable || status.code() == absl::StatusCode::kDeadlineExceeded ||
          status.code() == absl::StatusCode::kUnknown || status.code() == absl::StatusCode::kInternal ||
          status.code() == absl::StatusCode::kCancelled);
}

uint64_t ChunkStart(uint64_t offset) { return offset / kBytesPerChecksum * kBytesPerChecksum; }

}  // namespace

FileReader::FileReader(const OpenedFile& file, std::string client_name, ReaderSettings settings, Random random)
    : path_(file.path),
      inode_(file.status.inode),
      length_(file.length),
      client_name_(std::move(client_name)),
      settings_(settings),
      random_(random),
      blocks_(file.path, file.length) {
  DOLMEN_CHECK(blocks_.Merge(file.blocks).ok(), "blocks of one answer overlap");
}

std::vector<ReadAction> FileReader::Step(ReadEvent event, MonotonicTime now) {
  now_ = std::max(now_, now);
  std::visit([this](auto&& one) { On(std::forward<decltype(one)>(one)); }, std::move(event));
  EmitWake();
  return std::exchange(actions_, {});
}

// ---- events -------------------------------------------------------------------------------------------------------

void FileReader::On(read_event::Read event) {
  if (operations_.size() >= settings_.max_operations) {
    actions_.push_back(read_action::OperationDone{
        event.operation, MakeError(ErrorReason::kBusy, absl::StrCat("Reading ", path_, ": ", operations_.size(),
                                                                    " reads of this stream are under way"))});
    return;
  }
  Operation operation;
  operation.id = event.operation;
  operation.start = operation.position = std::min(event.offset, length_);
  operation.end = operation.start + std::min(event.length, length_ - operation.start);
  operation.wanted = operation.start + std::min(event.demand, operation.end - operation.start);
  const auto [place, inserted] = operations_.emplace(event.operation, std::move(operation));
  DOLMEN_CHECK(inserted, "an operation id used twice");
  Advance(place->second);
}

void FileReader::On(read_event::Demand event) {
  const auto found = operations_.find(event.operation);
  if (found == operations_.end()) return;
  Operation& operation = found->second;
  operation.wanted =
      std::max(operation.wanted, operation.start + std::min(event.bytes, operation.end - operation.start));
  Advance(operation);
}

void FileReader::On(read_event::Cancel event) {
  const auto found = operations_.find(event.operation);
  if (found == operations_.end()) return;
  CloseStream(found->second);
  locating_.erase(found->second.locate_tag);
  operations_.erase(found);
}

void FileReader::On(read_event::NamenodeAnswer event) {
  const auto waiting = locating_.find(event.tag);
  if (waiting == locating_.end()) return;
  Operation& operation = operations_.at(waiting->second);
  locating_.erase(waiting);
  operation.locate_tag = 0;
  if (!event.answer.ok()) {
    absl::Status status = event.answer.status();
    if (ReasonOf(status) == ErrorReason::kFileNotFound) {
      status = MakeError(
          ErrorReason::kFileNotFound,
          absl::StrCat("File does not exist: ", path_, " (it was removed or replaced while it was being read)"));
    }
    return Finish(operation, std::move(status));
  }
  const auto* reply = std::get_if<protocol::GetBlockLocationsReply>(&*event.answer);
  if (reply == nullptr)
    return Finish(operation, MakeError(ErrorReason::kIo,
                                       absl::StrCat("Reading ", path_, ": the namenode answered something else")));
  if (absl::Status merged = blocks_.Merge(reply->blocks); !merged.ok()) return Finish(operation, std::move(merged));
  const protocol::LocatedBlock* block = blocks_.Find(operation.position);
  const bool answered = std::any_of(reply->blocks.begin(), reply->blocks.end(), [&](const protocol::LocatedBlock& one) {
    return block != nullptr && one.offset == block->offset;
  });
  if (!answered) {
    return Finish(operation,
                  MakeError(ErrorReason::kIo, absl::StrCat("Blocklist for ", path_,
                                                           " has changed! The namenode knows no block at offset ",
                                                           operation.position, " any more; open it again.")));
  }
  for (const protocol::ReplicaLocation& location : block->locations) {
    dead_.erase(location.datanode.uuid);
    bad_.erase({block->block.id, location.datanode.uuid});
  }
  operation.tried.clear();
  operation.reopened = false;
  Advance(operation);
}

void FileReader::On(read_event::ChunkArrived event) {
  Operation* const found = ByStream(event.stream);
  if (found == nullptr) return;
  Operation& operation = *found;
  operation.receiving = false;
  protocol::ReadChunk& chunk = event.chunk;
  if (absl::Status shape = CheckShape(operation, chunk); !shape.ok()) {
    SourceFailed(operation, shape);
    return Advance(operation);
  }
  if (chunk.payload.empty()) return ReplicaEnds(operation);
  const int64_t bad_chunk = FirstBadChunk(chunk.payload, chunk.checksums);
  const uint64_t good_bytes =
      bad_chunk < 0 ? chunk.payload.size() : static_cast<uint64_t>(bad_chunk) * kBytesPerChecksum;
  const uint64_t first = operation.block_start + chunk.offset;  // in the file
  const uint64_t from = std::max(operation.position, first);
  const uint64_t to = std::min(operation.stream_end, first + good_bytes);
  if (to > from) {
    operation.position = to;
    operation.stream_progressed = true;
    operation.reopened = operation.token_refreshed = false;
    operation.tried.clear();
    operation.failures.clear();
    operation.refreshes = 0;
    actions_.push_back(read_action::Deliver{operation.id, to - from == chunk.payload.size()
                                                              ? std::move(chunk.payload)
                                                              : chunk.payload.Subcord(from - first, to - from)});
  }
  operation.chunk_offset = chunk.offset + good_bytes;
  if (bad_chunk >= 0) {
    ReportBad(operation);
    SourceFailed(operation,
                 MakeError(ErrorReason::kChecksum, absl::StrCat("checksum error in ", operation.block.id.ToString(),
                                                                " at offset ", chunk.offset + good_bytes)));
  }
  Advance(operation);
}

absl::Status FileReader::CheckShape(const Operation& operation, const protocol::ReadChunk& chunk) const {
  if (chunk.offset != operation.chunk_offset || chunk.offset % kBytesPerChecksum != 0) {
    return MakeError(ErrorReason::kIo, absl::StrCat("it sent bytes at offset ", chunk.offset, " while ",
                                                    operation.chunk_offset, " was due"));
  }
  if (chunk.payload.size() > protocol::kMaxPacketBytes ||
      chunk.checksums.size() != ChecksumBytesFor(chunk.payload.size())) {
    return MakeError(ErrorReason::kIo, absl::StrCat("it sent ", chunk.payload.size(), " bytes with ",
                                                    chunk.checksums.size(), " bytes of checksums"));
  }
  return absl::OkStatus();
}

void FileReader::On(const read_event::StreamEnded& event) {
  Operation* const operation = ByStream(event.stream);
  if (operation == nullptr) return;
  if (event.status.ok()) return ReplicaEnds(*operation);
  SourceFailed(*operation, event.status);
  Advance(*operation);
}

void FileReader::ReplicaEnds(Operation& operation) {
  SourceFailed(operation, MakeError(ErrorReason::kReplicaNotFound,
                                    absl::StrCat("its replica of ", operation.block.id.ToString(),
                                                 " ends before offset ", operation.stream_end - operation.block_start,
                                                 ", at or before ", operation.position - operation.block_start)));
  Advance(operation);
}

void FileReader::On(read_event::Tick) {
  std::vector<uint64_t> due;
  for (const auto& [id, operation] : operations_) {
    const bool silent = operation.receiving && now_ - operation.receiving_since >= Patience(operation);
    const bool waited = operation.wait_until.has_value() && now_ >= *operation.wait_until;
    if (silent || waited) due.push_back(id);
  }
  for (const uint64_t id : due) {
    Operation& operation = operations_.at(id);
    if (operation.wait_until.has_value()) {
      operation.wait_until.reset();
      Locate(operation);
    } else {
      operation.reopened = true;  // no second chance for the silent
      SourceFailed(operation, absl::DeadlineExceededError(
                                  absl::StrCat("no data for ", SecondsText(now_ - operation.receiving_since))));
      Advance(operation);
    }
  }
}

// ---- going on -----------------------------------------------------------------------------------------------------

void FileReader::Advance(Operation& operation) {
  if (operation.position >= operation.end) return Finish(operation, absl::OkStatus());
  if (operation.locate_tag != 0 || operation.wait_until.has_value()) return;
  if (operation.stream != 0 && operation.position >= operation.stream_end) {
    CloseStream(operation);  // this block is done
  }
  if (operation.position >= operation.wanted) return;  // later
  if (operation.stream == 0) {
    const protocol::LocatedBlock* block = blocks_.Find(operation.position);
    if (block == nullptr) return Locate(operation);
    const protocol::ReplicaLocation* source = Choose(operation, *block);
    if (source == nullptr) return AllFailed(operation, *block);
    OpenFrom(operation, *block, *source);
  }
  if (!operation.receiving) {
    operation.receiving = true;
    operation.receiving_since = now_;
    actions_.push_back(read_action::Receive{operation.stream});
  }
}

const protocol::ReplicaLocation* FileReader::Choose(const Operation& operation,
                                                    const protocol::LocatedBlock& block) const {
  for (const protocol::ReplicaLocation& location : block.locations) {
    if (MayTry(operation, block.block.id, location.datanode.uuid)) return &location;
  }
  return nullptr;
}

bool FileReader::MayTry(const Operation& operation, BlockId block, const DatanodeUuid& datanode) const {
  return !operation.tried.contains(datanode) && !dead_.contains(datanode) && !bad_.contains({block, datanode});
}

Duration FileReader::Patience(const Operation& operation) const {
  const protocol::LocatedBlock* const block = blocks_.Find(operation.position);
  if (block == nullptr) return settings_.stream_timeout;
  const bool others =
      std::any_of(block->locations.begin(), block->locations.end(), [&](const protocol::ReplicaLocation& location) {
        const DatanodeUuid& uuid = location.datanode.uuid;
        return uuid != operation.source.datanode.uuid && MayTry(operation, block->block.id, uuid);
      });
  return others ? std::min(settings_.silence_with_others, settings_.stream_timeout) : settings_.stream_timeout;
}

void FileReader::OpenFrom(Operation& operation, const protocol::LocatedBlock& block,
                          const protocol::ReplicaLocation& source) {
  operation.stream = next_stream_++;
  streams_.emplace(operation.stream, operation.id);
  operation.source = source;
  operation.block = block.block;
  operation.block_start = block.offset;
  operation.stream_end = std::min(operation.end, blocks_.EndOf(block));
  const uint64_t offset = operation.position - block.offset;
  operation.chunk_offset = ChunkStart(offset);
  operation.stream_progressed = false;
  operation.receiving = false;
  actions_.push_back(read_action::OpenStream{operation.stream, source,
                                             protocol::ReadRequest{.block = block.block,
                                                                   .offset = offset,
                                                                   .length = operation.stream_end - operation.position,
                                                                   .token = block.token,
                                                                   .client_name = client_name_}});
}

void FileReader::Locate(Operation& operation) {
  operation.locate_tag = next_tag_++;
  locating_.emplace(operation.locate_tag, operation.id);
  const uint64_t length = std::min(settings_.locate_bytes, length_ - operation.position);
  actions_.push_back(read_action::CallNamenode{
      operation.locate_tag, protocol::GetBlockLocationsRequest{
                                .path = path_, .offset = operation.position, .length = length, .inode = inode_}});
}

void FileReader::AllFailed(Operation& operation, const protocol::LocatedBlock& block) {
  if (operation.refreshes >= settings_.refreshes) {
    std::string text = absl::StrCat("Could not obtain block: ", block.block.id.ToString(), " file=", path_, ": ");
    if (operation.failures.empty()) {
      text += block.locations.empty() ? "no datanode that is alive has a replica"
                                      : "every replica was found missing or damaged before:";
      for (const protocol::ReplicaLocation& location : block.locations)
        absl::StrAppend(&text, " ", AddressText(location.datanode));
    }
    bool first = true;
    for (const auto& [uuid, failure] : operation.failures) {
      absl::StrAppend(&text, first ? "" : "; ", failure);
      first = false;
    }
    return Finish(operation, MakeError(ErrorReason::kBlockMissing, text));
  }
  const auto round = static_cast<int64_t>(operation.refreshes++);
  const auto spread = static_cast<uint64_t>((settings_.refresh_wait * (round + 1)).count());
  operation.wait_until = now_ + settings_.refresh_wait * round + Duration(random_.Uniform(spread + 1));
}

// ---- failures -----------------------------------------------------------------------------------------------------

void FileReader::SourceFailed(Operation& operation, const absl::Status& why) {
  const protocol::ReplicaLocation source = operation.source;
  const DatanodeUuid& uuid = source.datanode.uuid;
  const bool progressed = operation.stream_progressed;
  CloseStream(operation);
  operation.failures[uuid] = absl::StrCat(AddressText(source.datanode), ": ", why.message());
  if (ReasonOf(why) == ErrorReason::kBadToken && !operation.token_refreshed) {
    operation.token_refreshed = true;
    return Locate(operation);  // tokens expire: fresh ones come with the locations
  }
  if (NodeFailed(why)) {
    // A stream that was idle, or long, may break without the datanode being gone.
    if (progressed && !operation.reopened) {
      operation.reopened = true;
      return;
    }
    dead_.insert(uuid);
  } else if (ReasonOf(why) != ErrorReason::kBusy && ReasonOf(why) != ErrorReason::kBadToken) {
    bad_.insert({operation.block.id, uuid});
  }
  operation.tried.insert(uuid);
}

void FileReader::ReportBad(const Operation& operation) {
  if (!reported_.insert({operation.block.id, operation.source.datanode.uuid}).second) return;
  actions_.push_back(read_action::CallNamenode{
      next_tag_++,
      protocol::ReportBadReplicaRequest{
          .block = operation.block, .datanode = operation.source.datanode.uuid, .storage = operation.source.storage}});
}

void FileReader::CloseStream(Operation& operation) {
  if (operation.stream == 0) return;
  actions_.push_back(read_action::CloseStream{operation.stream});
  streams_.erase(operation.stream);
  operation.stream = 0;
  operation.receiving = false;
}

void FileReader::Finish(Operation& operation, absl::Status status) {
  CloseStream(operation);
  actions_.push_back(read_action::OperationDone{operation.id, std::move(status)});
  operations_.erase(operation.id);
}

FileReader::Operation* FileReader::ByStream(uint64_t stream) {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? nullptr : &operations_.at(found->second);
}

void FileReader::EmitWake() {
  std::optional<MonotonicTime> next;
  for (const auto& [id, operation] : operations_) {
    std::optional<MonotonicTime> due = operation.wait_until;
    if (operation.receiving) due = operation.receiving_since + Patience(operation);
    if (due.has_value() && (!next.has_value() || *due < *next)) next = due;
  }
  if (wake_emitted_.has_value() && *wake_emitted_ <= now_) wake_emitted_.reset();
  // An earlier wake-up that was asked for already finds out that nothing is due yet, and asks anew.
  if (!next.has_value() || (wake_emitted_.has_value() && *wake_emitted_ <= *next)) return;
  wake_emitted_ = next;
  actions_.push_back(read_action::WakeAt{*next});
}

}  // namespace dolmen::client
