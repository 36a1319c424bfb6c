#include "datanode/service/volume_workers.h"

#include <algorithm>

namespace dolmen::datanode {

VolumeWorkers::VolumeWorkers(BlockStore* store, StorageId storage, const VolumeWorkerOptions& options,
                             const Clock* clock)
    : store_(store),
      storage_(std::move(storage)),
      writes_("volume-write", 1, options.max_queued, clock),
      reads_("volume-read", options.read_threads, options.max_queued, clock),
      background_("volume-back", 1, options.max_queued, clock),
      sync_helpers_("volume-syncs", options.sync_helpers, clock),
      syncs_("volume-sync", 1, SIZE_MAX, clock) {}

VolumeWorkers::~VolumeWorkers() { Stop(); }

void VolumeWorkers::Stop() {
  background_.Stop();
  reads_.Stop();
  writes_.Stop();
  syncs_.Stop();
}

Duration VolumeWorkers::LongestRunning() const {
  return std::max({writes_.LongestRunning(), reads_.LongestRunning(), syncs_.LongestRunning()});
}

void VolumeWorkers::Sync(std::shared_ptr<ReplicaWriter> writer, Done done) {
  Enqueue({.writer = std::move(writer), .done = std::move(done)});
}

void VolumeWorkers::Finalize(std::shared_ptr<ReplicaWriter> writer, bool durable, Done done) {
  Enqueue({.writer = std::move(writer), .finalize = true, .durable = durable, .done = std::move(done)});
}

void VolumeWorkers::Enqueue(Waiting waiting) {
  {
    MutexLock lock(&mutex_);
    waiting_.push_back(std::move(waiting));
    if (waiting_.size() > 1) return;  // the turn that was posted for the first takes this one, too
  }
  syncs_.Post([this] { SyncWhatWaits(); });
}

void VolumeWorkers::SyncWhatWaits() {
  std::vector<Waiting> batch;
  {
    MutexLock lock(&mutex_);
    batch.swap(waiting_);
  }
  const ParallelRunner run = [this](std::vector<std::function<void()>> tasks) { sync_helpers_.Run(std::move(tasks)); };
  std::vector<absl::Status> answers(batch.size());
  // hsyncs first: the finalize of the same replica may be in this batch, and closes it.
  std::vector<std::function<void()>> syncs;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (!batch[i].finalize) syncs.push_back([&, i] { answers[i] = batch[i].writer->Sync(); });
  }
  run(std::move(syncs));
  for (const bool durable : {true, false}) {
    std::vector<ReplicaWriter*> writers;
    std::vector<size_t> positions;
    for (size_t i = 0; i < batch.size(); ++i) {
      if (!batch[i].finalize || batch[i].durable != durable) continue;
      writers.push_back(batch[i].writer.get());
      positions.push_back(i);
    }
    if (writers.empty()) continue;
    const std::vector<absl::Status> finalized = store_->FinalizeGroup(writers, durable, run);
    for (size_t j = 0; j < finalized.size(); ++j) answers[positions[j]] = finalized[j];
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i].writer.reset();  // closed before its stream hears of it
    batch[i].done(answers[i]);
  }
}

}  // namespace dolmen::datanode
