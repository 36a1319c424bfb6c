// What flows between clients and datanodes: one bidirectional stream per pipeline hop for writes, one server stream per
// read. Payload is an absl::Cord that owns or shares its memory: it is never copied on its way (data path rules).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "common/protocol/types.h"

namespace dolmen::protocol {

inline constexpr uint32_t kMaxPacketBytes = 1 << 20;  // payload of one packet

// First message of a write stream. Resources are taken here, on all hops, or not at all.
struct WriteSetup {
  Block block;                              // length 0 for a new replica
  StorageId storage;                        // where this hop stores it; empty: the datanode chooses
  std::vector<ReplicaLocation> downstream;  // the hops after this one, in order
  std::string token;
  std::string client_name;
  bool is_copy = false;         // re-replication: a temporary replica until finalized
  bool sync_on_close = true;    // finalize durably before the last ack
  uint64_t expected_bytes = 0;  // the most the block may grow to: reserved on the volume
  // Reopen the finalized replica that has this stamp and block.length bytes; it takes block.stamp. Nothing: a new one.
  std::optional<GenerationStamp> append_to;
  friend bool operator==(const WriteSetup&, const WriteSetup&) = default;
};

// One run of bytes at `offset`. Offsets are contiguous and start on a multiple of 512 except right after a flush, when
// a packet starts again at the last chunk boundary: a packet always begins on a chunk boundary, may overlap the partial
// chunk sent before (same bytes first), and carries one checksum per chunk, the last chunk maybe short.
struct Packet {
  uint64_t sequence = 0;        // 0, 1, 2, ... within the stream
  uint64_t offset = 0;          // in the block, multiple of 512
  bool last = false;            // the block is complete; may carry no bytes
  bool sync = false;            // hsync: durable before the ack
  uint64_t visible_length = 0;  // bytes acknowledged by the whole pipeline when it was sent: readers may see these
  std::string checksums;        // 4 bytes big-endian per chunk
  absl::Cord payload;           // <= kMaxPacketBytes
  uint64_t EndOffset() const { return offset + payload.size(); }
};

// What a hop answers, per packet and for the setup (sequence kSetupAck). One entry per hop from the answering one on:
// the first that is not OK is the culprit.
inline constexpr uint64_t kSetupAck = UINT64_MAX;
struct HopStatus {
  DatanodeUuid datanode;
  absl::Status status;
  uint32_t service_micros = 0;  // time this hop needed for the packet itself
};
struct Ack {
  uint64_t sequence = 0;
  std::vector<HopStatus> hops;
  StorageId storage;  // in setup acks: where this hop stores it
  bool ok() const {
    for (const HopStatus& hop : hops)
      if (!hop.status.ok()) return false;
    return true;
  }
};

struct ReadRequest {
  Block block;  // length: what the client believes; ignored for a replica being written
  uint64_t offset = 0;
  uint64_t length = 0;
  std::string token;
  std::string client_name;
  friend bool operator==(const ReadRequest&, const ReadRequest&) = default;
};

// Answer stream of a read: chunks in order. The first begins at the chunk boundary at or before the asked offset, the
// last ends at the chunk boundary at or after the asked end (or the replica's end), so that every chunk can be
// verified.
struct ReadChunk {
  uint64_t offset = 0;  // multiple of 512
  std::string checksums;
  absl::Cord payload;
  uint64_t replica_length = 0;  // visible length of the replica, in every chunk
};

struct VisibleLengthRequest {
  Block block;
  std::string token;
  friend bool operator==(const VisibleLengthRequest&, const VisibleLengthRequest&) = default;
};
struct VisibleLengthReply {
  uint64_t length = 0;
  friend bool operator==(const VisibleLengthReply&, const VisibleLengthReply&) = default;
};

// The checksum of the first block.length bytes of a replica: the MD5 of the CRC32Cs of their chunks. What remains of a
// chunk that ends behind block.length gets a CRC of its own.
struct BlockChecksumRequest {
  Block block;
  std::string token;
  friend bool operator==(const BlockChecksumRequest&, const BlockChecksumRequest&) = default;
};
struct BlockChecksumReply {
  uint32_t bytes_per_crc = 0;
  uint64_t crc_count = 0;
  std::string md5;  // 16 bytes
  friend bool operator==(const BlockChecksumReply&, const BlockChecksumReply&) = default;
};

}  // namespace dolmen::protocol
