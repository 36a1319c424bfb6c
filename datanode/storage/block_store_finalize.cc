// Group finalize. Order of disk steps, for each group on one volume:
//   1 sync each data file and each checksum file   a crash before 3: being written, cut to what verifies
//   2 the finalized directories exist, durably
//   3 rename each data file, then its checksums     a crash between: the halves are in two directories; the next start
//                                                   finds both synced, verifies them and finishes the move
//   4 sync each directory once                      a crash before: any of these renames may be undone, see 1 and 3
//   5 answer
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/fault_point.h"
#include "datanode/storage/block_store.h"

namespace dolmen::datanode {

struct BlockStore::Group {
  Volume* volume = nullptr;
  std::vector<OpenReplica*> replicas;
  std::vector<absl::Status> answers;  // of `replicas`
  std::vector<bool> moved;            // both names are in finalized/
  std::vector<size_t> positions;      // in the caller's order

  // Gives the error to all that have none yet.
  void FailRest(const absl::Status& error) {
    for (absl::Status& answer : answers) {
      if (answer.ok()) answer = error;
    }
  }
};

namespace {

absl::Status BeforeSync() {
  DOLMEN_FAULT_POINT("datanode.finalize.before_sync");
  return absl::OkStatus();
}
absl::Status AfterSync() {
  DOLMEN_FAULT_POINT("datanode.finalize.after_sync");
  return absl::OkStatus();
}
absl::Status AfterRename() {
  DOLMEN_FAULT_POINT("datanode.finalize.after_rename");
  return absl::OkStatus();
}
absl::Status AfterDirectorySync() {
  DOLMEN_FAULT_POINT("datanode.finalize.after_directory_sync");
  return absl::OkStatus();
}

}  // namespace

absl::Status BlockStore::RenameOne(Volume& volume, BlockId block, ReplicaPlace from) {
  FileSystem& fs = volume.fs();
  const std::string data_from = volume.DataPath(from, block);
  const std::string data_to = volume.DataPath(ReplicaPlace::kFinalized, block);
  DOLMEN_RETURN_IF_ERROR(fs.Rename(data_from, data_to));
  const auto rename_meta = [&]() -> absl::Status {
    DOLMEN_FAULT_POINT("datanode.finalize.after_first_rename");
    return fs.Rename(volume.MetaPath(from, block), volume.MetaPath(ReplicaPlace::kFinalized, block));
  };
  absl::Status renamed = rename_meta();
  if (!renamed.ok()) LogIfError(fs.Rename(data_to, data_from), "the halves are joined at the next start");
  return renamed;
}

void BlockStore::FinalizeOnVolume(Group* group, bool durable, const ParallelRunner& run) {
  Volume& volume = *group->volume;
  const size_t count = group->replicas.size();
  if (absl::Status fault = BeforeSync(); !fault.ok()) return group->FailRest(fault);
  if (durable) {
    std::vector<absl::Status> synced(2 * count);
    std::vector<std::function<void()>> tasks;
    for (size_t i = 0; i < count; ++i) {
      if (!group->answers[i].ok()) continue;
      tasks.push_back([&, i] { synced[2 * i] = group->replicas[i]->SyncData(); });
      tasks.push_back([&, i] { synced[2 * i + 1] = group->replicas[i]->SyncChecksums(); });
    }
    run(std::move(tasks));
    for (size_t i = 0; i < count; ++i) {
      if (!synced[2 * i].ok()) group->answers[i] = synced[2 * i];
      if (!synced[2 * i + 1].ok()) group->answers[i] = synced[2 * i + 1];
    }
  }
  if (absl::Status fault = AfterSync(); !fault.ok()) return group->FailRest(fault);

  std::set<std::string> directories;
  for (size_t i = 0; i < count; ++i) {
    absl::Status& answer = group->answers[i];
    if (!answer.ok()) continue;
    const OpenReplica& replica = *group->replicas[i];
    answer = volume.EnsureFinalizedDirectory(replica.block());
    if (answer.ok()) answer = RenameOne(volume, replica.block(), replica.place());
    if (!answer.ok()) {
      volume.NoteError(answer);
      continue;
    }
    group->moved[i] = true;
    directories.insert(volume.DirectoryFor(ReplicaPlace::kFinalized, replica.block()));
    directories.insert(volume.DirectoryFor(replica.place(), replica.block()));
  }
  if (absl::Status fault = AfterRename(); !fault.ok()) return group->FailRest(fault);
  if (durable) {
    for (const std::string& directory : directories) {
      const absl::Status synced = volume.fs().SyncDirectory(directory);
      if (synced.ok()) continue;
      volume.NoteError(synced);
      return group->FailRest(synced);
    }
  }
  if (absl::Status fault = AfterDirectorySync(); !fault.ok()) group->FailRest(fault);
}

std::vector<absl::Status> BlockStore::FinalizeGroup(std::span<ReplicaWriter* const> writers, bool durable,
                                                    const ParallelRunner& run) {
  std::vector<absl::Status> answers(writers.size());
  std::vector<Group> groups;
  {
    MutexLock lock(&mutex_);
    for (size_t i = 0; i < writers.size(); ++i) {
      OpenReplica& replica = *writers[i]->replica_;
      Index& index = SlotOf(replica.volume().id())->index;
      const auto found = index.find(replica.block());
      absl::Status failure = replica.failure();
      if (failure.ok() && (found == index.end() || found->second.open.get() != &replica ||
                           (found->second.state != State::kBeingWritten && found->second.state != State::kTemporary))) {
        failure = MakeError(ErrorReason::kReplicaNotFound, absl::StrCat(replica.block().ToString(), " is not open"));
      }
      if (!failure.ok()) {
        answers[i] = failure;
        continue;
      }
      found->second.state = State::kFinalizing;
      auto group =
          std::find_if(groups.begin(), groups.end(), [&](const Group& one) { return one.volume == &replica.volume(); });
      if (group == groups.end()) group = groups.insert(groups.end(), Group{.volume = &replica.volume()});
      group->replicas.push_back(&replica);
      group->answers.emplace_back();
      group->moved.push_back(false);
      group->positions.push_back(i);
    }
  }
  for (Group& group : groups) FinalizeOnVolume(&group, durable, run);

  MutexLock lock(&mutex_);
  for (Group& group : groups) {
    for (size_t i = 0; i < group.replicas.size(); ++i) {
      OpenReplica& replica = *group.replicas[i];
      ReplicaWriter& writer = *writers[group.positions[i]];
      absl::Status& answer = answers[group.positions[i]];
      answer = group.answers[i];
      Entry& entry = SlotOf(group.volume->id())->index[replica.block()];
      if (!answer.ok()) {
        replica.Fail(answer);
        answer = Annotate(answer, absl::StrCat("finalizing ", replica.block().ToString()));
        if (!group.moved[i]) {
          entry.state = replica.place() == ReplicaPlace::kTemporary ? State::kTemporary : State::kBeingWritten;
          continue;
        }
        // Its files are in finalized/, but whether they stay there is unknown: not served, and told to the namenode.
        entry.state = State::kCorrupt;
      } else {
        replica.SetVisible(replica.written());
        entry.state = State::kFinalized;
      }
      entry.length = replica.written();
      entry.open = nullptr;
      group.volume->RemoveReplica(0);
      group.volume->AddReplica(entry.length);
      writer.done_ = true;
      --writers_;
    }
  }
  return answers;
}

}  // namespace dolmen::datanode
