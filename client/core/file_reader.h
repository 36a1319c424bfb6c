// Reads one opened file: any number of operations at a time, each a range of bytes delivered in order. Replicas are
// tried in the namenode's order; what was read from one is kept when the next goes on. One that falls silent is soon
// left for another; the last one is waited for. Every chunk is verified; a replica with a bad one is reported and left
// (the good chunks before it count). When every replica of a block failed, its locations are fetched anew after a
// pause, a bounded number of times.
//
// Errors of an operation (bytes delivered before are good):
//   kBlockMissing   "Could not obtain block: ..." listing each replica and why
//   kFileNotFound   the file was removed or replaced, and no replica is left
//   kIo             "Blocklist for <path> has changed!"
//   the namenode's, when it can't be asked
//
// `Step(event, now)` answers with actions; no threads, clocks or connections.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "client/core/block_map.h"
#include "client/core/file_opener.h"
#include "client/core/read_messages.h"
#include "common/random.h"

namespace dolmen::client {

// One thread only.
class FileReader {
 public:
  // `client_name` travels with reads, for the datanodes' logs.
  FileReader(const OpenedFile& file, std::string client_name, ReaderSettings settings, Random random);

  std::vector<ReadAction> Step(ReadEvent event, MonotonicTime now);
  uint64_t length() const { return length_; }

 private:
  struct Operation {
    uint64_t id = 0;
    uint64_t start = 0;
    uint64_t position = 0;  // of the next byte to deliver
    uint64_t end = 0;
    uint64_t wanted = 0;  // deliver up to here for now

    // The stream it reads from.
    uint64_t stream = 0;  // 0: none
    protocol::ReplicaLocation source;
    protocol::Block block;
    uint64_t block_start = 0;   // in the file
    uint64_t stream_end = 0;    // in the file: what was asked of this stream
    uint64_t chunk_offset = 0;  // in the block: where the next message must begin
    bool receiving = false;
    MonotonicTime receiving_since;
    bool stream_progressed = false;  // it delivered something

    // What failed since the last progress.
    bool reopened = false;                         // the same datanode was given a second chance
    bool token_refreshed = false;                  // new locations were fetched because of a token
    std::set<DatanodeUuid> tried;                  // since locations were last fetched
    std::map<DatanodeUuid, std::string> failures;  // "host:port: why" of each datanode, the latest
    uint32_t refreshes = 0;
    uint64_t locate_tag = 0;                  // GetBlockLocations under way; 0: none
    std::optional<MonotonicTime> wait_until;  // then fetch locations anew
  };

  void On(read_event::Read event);
  void On(read_event::Demand event);
  void On(read_event::Cancel event);
  void On(read_event::NamenodeAnswer event);
  void On(read_event::ChunkArrived event);
  void On(const read_event::StreamEnded& event);
  void On(read_event::Tick event);

  // Goes on with the operation as far as it can without waiting; may finish (and erase) it.
  void Advance(Operation& operation);
  void OpenFrom(Operation& operation, const protocol::LocatedBlock& block, const protocol::ReplicaLocation& source);
  void Locate(Operation& operation);
  // Every replica of `block` failed: wait and fetch locations anew, or give up.
  void AllFailed(Operation& operation, const protocol::LocatedBlock& block);
  const protocol::ReplicaLocation* Choose(const Operation& operation, const protocol::LocatedBlock& block) const;
  bool MayTry(const Operation& operation, BlockId block, const DatanodeUuid& datanode) const;
  // How long the operation's source may be silent.
  Duration Patience(const Operation& operation) const;
  // The operation's stream failed: remembers it against the datanode or the replica, closes it.
  void SourceFailed(Operation& operation, const absl::Status& why);
  // The stream has nothing more, and more was asked for: the replica is short.
  void ReplicaEnds(Operation& operation);
  void CloseStream(Operation& operation);
  void ReportBad(const Operation& operation);
  // Checks that the message is what must come next. OK, or what is wrong with it.
  absl::Status CheckShape(const Operation& operation, const protocol::ReadChunk& chunk) const;
  void Finish(Operation& operation, absl::Status status);
  Operation* ByStream(uint64_t stream);
  void EmitWake();

  const std::string path_;
  const InodeId inode_;
  const uint64_t length_;
  const std::string client_name_;
  const ReaderSettings settings_;
  Random random_;

  BlockMap blocks_;
  MonotonicTime now_;
  std::vector<ReadAction> actions_;
  std::map<uint64_t, Operation> operations_;  // by id
  std::map<uint64_t, uint64_t> streams_;      // stream -> operation
  std::map<uint64_t, uint64_t> locating_;     // tag -> operation
  uint64_t next_stream_ = 1;
  uint64_t next_tag_ = 1;

  // Datanodes that could not be reached or fell silent, for all operations of this reader; forgotten for a block's
  // datanodes when its locations are fetched anew.
  std::set<DatanodeUuid> dead_;
  // Replicas that are missing, short or damaged; forgotten likewise.
  using Replica = std::pair<BlockId, DatanodeUuid>;
  std::set<Replica> bad_;
  std::set<Replica> reported_;  // to the namenode, once each
  std::optional<MonotonicTime> wake_emitted_;
};

}  // namespace dolmen::client
