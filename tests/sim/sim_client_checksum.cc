#include <string>
#include <utility>

#include "client/core/file_checksum.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/md5.h"
#include "tests/sim/sim_client_process.h"

namespace dolmen::sim {
namespace {

// What a datanode has to say of a block of these bytes.
protocol::BlockChecksumReply ChecksumOf(const std::string& bytes) {
  std::string sums;
  AppendChunkChecksums(bytes, &sums);
  Md5 md5;
  md5.Update(sums);
  return {.bytes_per_crc = kBytesPerChecksum, .crc_count = sums.size() / 4, .md5 = md5.Finish()};
}

}  // namespace

void SimClient::Process::StartChecksum(const std::string& path) {
  Open(path, [this, started = owner.events_.now()](absl::StatusOr<client::OpenedFile> opened) {
    if (!opened.ok()) return Ended("checksum", opened.status());
    const uint64_t id = ++next_job;
    auto job = std::make_unique<ChecksumJob>();
    job->started = started;
    job->file = *std::move(opened);
    job->blocks = client::CutTo(job->file.length, job->file.blocks);
    checksums[id] = std::move(job);
    AskForBlock(id);
  });
}

void SimClient::Process::AskForBlock(uint64_t id) {
  ChecksumJob& job = *checksums.at(id);
  if (job.block == job.blocks.size()) return EndChecksum(id, absl::OkStatus());
  const protocol::LocatedBlock& block = job.blocks[job.block];
  if (job.location == block.locations.size())
    return EndChecksum(id, MakeError(ErrorReason::kBlockMissing, "no replica answers"));
  AskDatanode<protocol::BlockChecksumReply>(
      block.locations[job.location],
      [wanted = block.block](SimDatanode* datanode) { return datanode->Checksum(wanted); },
      [this, id](const absl::StatusOr<protocol::BlockChecksumReply>& reply) {
        ChecksumJob& job = *checksums.at(id);
        if (!reply.ok()) {
          ++job.location;
          return AskForBlock(id);
        }
        const protocol::LocatedBlock& block = job.blocks[job.block];
        absl::Status same = job.told.Add(*reply);
        if (same.ok()) {
          same = job.expected.Add(ChecksumOf(
              owner.observer_->ExpectedContent(job.file.status.inode.value(), block.offset, block.block.length)));
        }
        if (!same.ok()) return EndChecksum(id, same);
        ++job.block;
        job.location = 0;
        AskForBlock(id);
      });
}

void SimClient::Process::EndChecksum(uint64_t id, const absl::Status& status) {
  const std::unique_ptr<ChecksumJob> job = std::move(checksums.at(id));
  checksums.erase(id);
  if (status.ok()) {
    const bool right = job->told.Finish().md5 == job->expected.Finish().md5;
    owner.observer_->ReadDone(job->file.status.inode.value(), job->file.path, job->file.length, job->started, status,
                              right ? "" : "its checksum is not that of its bytes");
  }
  Ended("checksum", status);
}

}  // namespace dolmen::sim
