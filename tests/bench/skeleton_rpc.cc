#include "tests/bench/skeleton_rpc.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/coding.h"
#include "common/error.h"
#include "common/mutex.h"
#include "common/rpc/channel_arguments.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/support/async_unary_call.h"
#include "proto/client_namenode.grpc.pb.h"
#include "rocksdb/db.h"
#include "tests/bench/skeleton_process.h"

namespace dolmen::bench {
namespace {

constexpr char kModelFile[] = "/model";
constexpr size_t kMaxBatch = 256;  // as the namenode's
constexpr int kPostedCalls = 256;  // of each kind: no call waits for its place

std::string ReplyFile(const std::string& directory, const std::string& call) {
  return absl::StrCat(directory, "/", call, ".reply");
}

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

bool WriteAll(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out << bytes;
  out.close();
  return !out.fail();
}

// A call that waits for its commit.
class Waiting {
 public:
  virtual ~Waiting() = default;
  virtual void Answer() = 0;
  const OperationWrites* writes = nullptr;
};

// One thread, one RocksDB, one synced write for all that wait.
class Committer {
 public:
  absl::Status Start(const std::string& path) {
    rocksdb::DBOptions options;
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    options.max_background_jobs = 2;
    std::vector<rocksdb::ColumnFamilyDescriptor> families = {{rocksdb::kDefaultColumnFamilyName, {}}};
    for (int i = 0; i < namenode::kFamilyCount; ++i)
      families.emplace_back(absl::StrCat("f", i), rocksdb::ColumnFamilyOptions());
    rocksdb::DB* db = nullptr;
    const rocksdb::Status opened = rocksdb::DB::Open(options, path, families, &families_, &db);
    if (!opened.ok()) return MakeError(ErrorReason::kIo, absl::StrCat("opening ", path, ": ", opened.ToString()));
    db_.reset(db);
    next_key_ = db_->GetLatestSequenceNumber() + 1;
    thread_ = std::thread([this] { Run(); });
    return absl::OkStatus();
  }

  void Add(Waiting* call) {
    MutexLock lock(&mutex_);
    queue_.push_back(call);
    if (queue_.size() == 1) wake_.SignalOne();
  }

 private:
  void Run() {
    std::vector<Waiting*> batch;
    for (;;) {
      batch.clear();
      {
        MutexLock lock(&mutex_);
        while (queue_.empty()) wake_.Wait(&mutex_);
        const size_t count = std::min(queue_.size(), kMaxBatch);
        batch.assign(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(count));
        queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(count));
      }
      Commit(batch);
      for (Waiting* call : batch) call->Answer();
    }
  }

  // The calls of a batch are of one kind but at the seam between two measurements.
  void Commit(const std::vector<Waiting*>& batch) {
    rocksdb::WriteBatch writes;
    const double operations = static_cast<double>(batch.size());
    for (size_t family = 0; family < namenode::kFamilyCount; ++family) {
      const FamilyWrites& model = (*batch.front()->writes)[family];
      const auto puts = static_cast<uint64_t>(std::lround(model.puts.Of(operations)));
      const auto deletes = static_cast<uint64_t>(std::lround(model.deletes.Of(operations)));
      const auto changed_again = static_cast<uint64_t>(std::max(0.0, std::round(model.puts.per_batch)));
      for (uint64_t i = 0; i < puts; ++i) {
        const double bytes = std::max(1.0, model.put_bytes.Of(operations) / static_cast<double>(puts) - kKeyBytes);
        value_.resize(static_cast<size_t>(bytes), 'v');
        const uint64_t key = i < changed_again ? i : next_key_++;
        Check(writes.Put(families_[family + 1], Key(key), value_));
      }
      for (uint64_t i = 0; i < deletes; ++i) {
        Check(writes.Delete(families_[family + 1], Key(next_key_ - std::min(next_key_, deletes - i))));
      }
    }
    rocksdb::WriteOptions synced;
    synced.sync = true;
    Check(db_->Write(synced, &writes));
  }

  // Spread over some places in the order of keys, as names over directories.
  static std::string Key(uint64_t number) {
    std::string key;
    AppendBigEndian64(&key, number % 16);
    AppendBigEndian64(&key, number);
    return key;
  }
  static void Check(const rocksdb::Status& status) { DOLMEN_CHECK(status.ok(), status.ToString()); }

  static constexpr double kKeyBytes = 16;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
  uint64_t next_key_ = 1;
  std::string value_;
  Mutex mutex_;
  CondVar wake_;
  std::vector<Waiting*> queue_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

// One thread, one completion queue, one object per call.
class Server {
 public:
  absl::Status Start(const std::string& directory) {
    directory_ = directory;
    DOLMEN_ASSIGN_OR_RETURN(model_, FromText(ReadAll(directory + kModelFile)));
    DOLMEN_RETURN_IF_ERROR(committer_.Start(directory + "/db"));
    grpc::ServerBuilder builder;
    rpc::ApplyServerArguments(&builder);
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    queue_ = builder.AddCompletionQueue();
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ == 0) return MakeError(ErrorReason::kIo, "the skeleton cannot listen");
#define DOLMEN_SERVE(Op, committed) \
  Serve<v1::Op##Request, v1::Op##Reply>(#Op, committed, &v1::ClientNamenode::AsyncService::Request##Op);
    DOLMEN_SERVE(Create, true)
    DOLMEN_SERVE(Mkdirs, true)
    DOLMEN_SERVE(Rename, true)
    DOLMEN_SERVE(Delete, true)
    DOLMEN_SERVE(GetFileInfo, false)
    DOLMEN_SERVE(GetListing, false)
    DOLMEN_SERVE(GetBlockLocations, false)
#undef DOLMEN_SERVE
    return absl::OkStatus();
  }
  int port() const { return port_; }

  void Run() {
    void* tag;
    bool ok;
    while (queue_->Next(&tag, &ok)) static_cast<Call*>(tag)->Proceed(ok);
  }

 private:
  using Service = v1::ClientNamenode::AsyncService;
  class Call {
   public:
    virtual ~Call() = default;
    virtual void Proceed(bool ok) = 0;
  };
  template <typename Request, typename Reply>
  struct Kind {
    void (Service::*post)(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Reply>*,
                          grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*);
    Reply reply;
    const OperationWrites* writes = nullptr;  // none: answered at once
  };
  template <typename Request, typename Reply>
  class TypedCall final : public Call, public Waiting {
   public:
    TypedCall(Server* server, const Kind<Request, Reply>* kind) : server_(server), kind_(kind), responder_(&context_) {
      writes = kind->writes;
      (server->service_.*kind->post)(&context_, &request_, &responder_, server->queue_.get(), server->queue_.get(),
                                     static_cast<Call*>(this));
    }
    void Proceed(bool ok) override {
      if (arrived_ || !ok) {
        delete this;
        return;
      }
      arrived_ = true;
      new TypedCall(server_, kind_);
      if (kind_->writes != nullptr) return server_->committer_.Add(this);
      Answer();
    }
    void Answer() override { responder_.Finish(kind_->reply, grpc::Status::OK, static_cast<Call*>(this)); }

   private:
    Server* const server_;
    const Kind<Request, Reply>* const kind_;
    bool arrived_ = false;
    grpc::ServerContext context_;
    Request request_;
    grpc::ServerAsyncResponseWriter<Reply> responder_;
  };

  // A kind without a canned reply is answered with an empty one.
  template <typename Request, typename Reply>
  void Serve(const std::string& name, bool committed, decltype(Kind<Request, Reply>::post) post) {
    auto* kind = new Kind<Request, Reply>{.post = post, .reply = {}, .writes = nullptr};  // as long as the process
    DOLMEN_CHECK(kind->reply.ParseFromString(ReadAll(ReplyFile(directory_, name))), name);
    if (committed) kind->writes = &model_.at(name);
    for (int i = 0; i < kPostedCalls; ++i) new TypedCall<Request, Reply>(this, kind);
  }

  std::string directory_;
  CommitModel model_;
  Committer committer_;
  int port_ = 0;
  Service service_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::Status PrepareRpcSkeleton(const std::string& directory, const CannedReplies& replies, const CommitModel& model) {
  bool written = WriteAll(directory + kModelFile, ToText(model));
  for (const auto& [call, reply] : replies) written = WriteAll(ReplyFile(directory, call), reply) && written;
  return written ? absl::OkStatus() : MakeError(ErrorReason::kIo, absl::StrCat("cannot write below ", directory));
}

absl::Status ServeRpcSkeleton(const std::string& directory, const std::string& port_file) {
  Server server;
  DOLMEN_RETURN_IF_ERROR(server.Start(directory));
  DOLMEN_RETURN_IF_ERROR(TellPort(port_file, server.port()));
  server.Run();
  return MakeError(ErrorReason::kStopped, "the skeleton's queue ended");
}

}  // namespace dolmen::bench
