#include "client/input_stream.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "client/core/file_opener.h"
#include "client/core/file_reader.h"
#include "client/core/read_ahead.h"
#include "client/data_streams.h"
#include "client/serial_inbox.h"
#include "client/transport_error.h"
#include "client/waiter.h"
#include "common/error.h"
#include "common/rpc/convert_data.h"
#include "common/rpc/frames.h"
#include "proto/data_transfer.grpc.pb.h"

namespace dolmen::client {
namespace {

// A consumer's progress is told to the reader in steps of this, not per small read.
constexpr uint64_t kDemandStep = 512 << 10;

ReaderSettings SettingsFor(const ClientOptions& options) {
  ReaderSettings settings;
  settings.stream_timeout = options.stream_timeout;
  return settings;
}

// What one read operation has received and nobody has taken yet. Waited on by one thread.
class Arrivals {
 public:
  void Add(absl::Cord bytes) {
    MutexLock lock(&mutex_);
    cords_.push_back(std::move(bytes));
    changed_.SignalAll();
  }
  void End(absl::Status status) {
    MutexLock lock(&mutex_);
    if (end_.has_value()) return;
    end_ = std::move(status);
    changed_.SignalAll();
  }
  // The next bytes; nothing when the operation has ended and all were taken: see status().
  std::optional<absl::Cord> Next() {
    MutexLock lock(&mutex_);
    while (cords_.empty() && !end_.has_value()) changed_.Wait(&mutex_);
    if (cords_.empty()) return std::nullopt;
    absl::Cord first = std::move(cords_.front());
    cords_.pop_front();
    return first;
  }
  bool HasMore() {
    MutexLock lock(&mutex_);
    return !cords_.empty();
  }
  absl::Status status() {
    MutexLock lock(&mutex_);
    return end_.value_or(absl::OkStatus());
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<absl::Cord> cords_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
};

// Copies from the front of `from` and removes it there. Returns how many bytes.
size_t TakeBytes(absl::Cord* from, std::span<char> to) {
  size_t taken = 0;
  for (const absl::string_view piece : from->Chunks()) {
    if (taken == to.size()) break;
    const size_t bytes = std::min(piece.size(), to.size() - taken);
    std::memcpy(to.data() + taken, piece.data(), bytes);
    taken += bytes;
  }
  if (taken == from->size()) {
    from->Clear();
  } else {
    from->RemovePrefix(taken);
  }
  return taken;
}

// The file reader and what carries out its actions. Callbacks hold it, so that it outlives the stream object.
class ReaderDriver : public std::enable_shared_from_this<ReaderDriver> {
 public:
  ReaderDriver(Runtime* runtime, OpenedFile file)
      : runtime_(runtime),
        path_(file.path),
        machine_(std::move(file), runtime->leases()->holder(), SettingsFor(runtime->options()),
                 Random(runtime->NextSeed())),
        inbox_([this](ReadEvent event) { Handle(std::move(event)); }) {}

  // Begins to read. The handle goes to Demand and Cancel.
  uint64_t Begin(uint64_t offset, uint64_t length, uint64_t demand, std::shared_ptr<Arrivals> arrivals) {
    uint64_t operation = 0;
    bool refused = false;
    {
      MutexLock lock(&mutex_);
      operation = next_operation_++;
      refused = closed_;
      if (!refused) arrivals_.emplace(operation, arrivals);
    }
    if (refused) {
      arrivals->End(MakeError(ErrorReason::kCancelled, absl::StrCat(path_, ": Stream closed")));
    } else {
      inbox_.Post(read_event::Read{operation, offset, length, demand});
    }
    return operation;
  }
  void Demand(uint64_t operation, uint64_t bytes) { inbox_.Post(read_event::Demand{operation, bytes}); }
  void Cancel(uint64_t operation) {
    {
      MutexLock lock(&mutex_);
      arrivals_.erase(operation);
    }
    inbox_.Post(read_event::Cancel{operation});
  }
  // Ends every operation with kCancelled; later ones too.
  void Close() {
    std::map<uint64_t, std::shared_ptr<Arrivals>> ended;
    {
      MutexLock lock(&mutex_);
      closed_ = true;
      ended.swap(arrivals_);
      runtime_->loop()->CancelTimer(std::exchange(timer_, 0));
    }
    for (const auto& [operation, arrivals] : ended) {
      inbox_.Post(read_event::Cancel{operation});
      arrivals->End(MakeError(ErrorReason::kCancelled, absl::StrCat(path_, ": Stream closed")));
    }
  }

 private:
  // One stream: being connected (no call yet) or open.
  struct Stream {
    std::shared_ptr<StreamCall> call;
    bool receive = false;  // asked for before there was a call
  };

  void Handle(ReadEvent event) {
    for (ReadAction& action : machine_.Step(std::move(event), runtime_->clock().Now())) {
      std::visit([this](auto& one) { Do(one); }, action);
    }
  }

  std::shared_ptr<Arrivals> FindArrivals(uint64_t operation, bool remove) {
    MutexLock lock(&mutex_);
    const auto found = arrivals_.find(operation);
    if (found == arrivals_.end()) return nullptr;
    std::shared_ptr<Arrivals> arrivals = found->second;
    if (remove) arrivals_.erase(found);
    return arrivals;
  }
  void Do(read_action::Deliver& action) {
    if (const auto arrivals = FindArrivals(action.operation, /*remove=*/false)) arrivals->Add(std::move(action.bytes));
  }
  void Do(read_action::OperationDone& action) {
    if (const auto arrivals = FindArrivals(action.operation, /*remove=*/true)) arrivals->End(std::move(action.status));
  }

  void Do(read_action::CallNamenode& action) {
    runtime_->namenode()->Query(
        std::move(action.request), absl::StrCat("read ", path_),
        [self = shared_from_this(), tag = action.tag](absl::StatusOr<protocol::QueryReply> answer) {
          self->inbox_.Post(read_event::NamenodeAnswer{tag, std::move(answer)});
        });
  }
  void Do(const read_action::AskVisibleLength&) {}  // the opener's

  void Do(read_action::OpenStream& action) {
    const uint64_t stream = action.stream;
    {
      MutexLock lock(&mutex_);
      streams_[stream] = {};
    }
    auto request = std::make_shared<grpc::ByteBuffer>(rpc::EncodeReadRequest(action.request));
    runtime_->datanodes()->Connect(action.target.datanode,
                                   [self = shared_from_this(), stream, request, uuid = action.target.datanode.uuid](
                                       absl::StatusOr<std::shared_ptr<grpc::Channel>> channel) {
                                     if (!channel.ok())
                                       return self->inbox_.Post(read_event::StreamEnded{stream, channel.status()});
                                     self->Connected(stream, uuid, *std::move(channel), std::move(*request));
                                   });
  }

  void Connected(uint64_t stream, const DatanodeUuid& uuid, std::shared_ptr<grpc::Channel> channel,
                 grpc::ByteBuffer request) {
    {
      MutexLock lock(&mutex_);
      if (!streams_.contains(stream)) return;  // closed in the meantime
    }
    const std::weak_ptr<ReaderDriver> weak = weak_from_this();
    std::shared_ptr<StreamCall> call = StreamCall::Start(
        runtime_->loop(), std::move(channel), rpc::kReadBlockMethod, StreamCall::Receiving::kWhenAsked,
        {.on_message =
             [weak, stream](grpc::ByteBuffer message) {
               if (const auto self = weak.lock()) self->OnMessage(stream, std::move(message));
             },
         .on_end =
             [weak, stream, uuid](absl::Status status) {
               const auto self = weak.lock();
               if (self == nullptr) return;
               if (ReasonOf(status) == ErrorReason::kUnreachable) self->runtime_->datanodes()->Forget(uuid);
               self->inbox_.Post(read_event::StreamEnded{stream, std::move(status)});
             }});
    call->Write(std::move(request));
    call->WritesDone();
    bool receive = false;
    bool wanted = false;
    {
      MutexLock lock(&mutex_);
      const auto place = streams_.find(stream);
      wanted = place != streams_.end();
      if (wanted) {
        place->second.call = call;
        receive = std::exchange(place->second.receive, false);
      }
    }
    if (!wanted) return call->Cancel();
    if (receive) call->Receive();
  }

  void OnMessage(uint64_t stream, grpc::ByteBuffer message) {
    absl::StatusOr<protocol::ReadChunk> chunk = rpc::DecodeReadChunk(std::move(message));
    if (!chunk.ok()) return inbox_.Post(read_event::StreamEnded{stream, chunk.status()});
    inbox_.Post(read_event::ChunkArrived{stream, *std::move(chunk)});
  }

  void Do(const read_action::Receive& action) {
    std::shared_ptr<StreamCall> call;
    {
      MutexLock lock(&mutex_);
      const auto place = streams_.find(action.stream);
      if (place == streams_.end()) return;
      call = place->second.call;
      if (call == nullptr) place->second.receive = true;
    }
    if (call != nullptr) call->Receive();
  }

  void Do(const read_action::CloseStream& action) {
    std::shared_ptr<StreamCall> call;
    {
      MutexLock lock(&mutex_);
      const auto place = streams_.find(action.stream);
      if (place == streams_.end()) return;
      call = std::move(place->second.call);
      streams_.erase(place);
    }
    if (call != nullptr) call->Cancel();
  }

  void Do(const read_action::WakeAt& action) {
    MutexLock lock(&mutex_);
    if (closed_) return;
    runtime_->loop()->CancelTimer(timer_);
    timer_ = runtime_->loop()->RunAt(action.at, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->inbox_.Post(read_event::Tick{});
    });
  }

  Runtime* const runtime_;
  const std::string path_;
  FileReader machine_;  // in Handle only
  SerialInbox<ReadEvent> inbox_;

  Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t next_operation_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, std::shared_ptr<Arrivals>> arrivals_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, Stream> streams_ ABSL_GUARDED_BY(mutex_);
  uint64_t timer_ ABSL_GUARDED_BY(mutex_) = 0;
};

class InputStreamImpl final : public InputStream {
 public:
  InputStreamImpl(Runtime* runtime, OpenedFile file)
      : length_(file.length),
        read_ahead_(runtime->options().read_ahead_bytes),
        driver_(std::make_shared<ReaderDriver>(runtime, std::move(file))),
        planner_(read_ahead_ > 0) {}
  ~InputStreamImpl() override { driver_->Close(); }

  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) override {
    if (closed_) return MakeError(ErrorReason::kCancelled, "Stream closed");
    if (out.empty() || offset >= length_) return 0;
    const auto arrivals = std::make_shared<Arrivals>();
    driver_->Begin(offset, out.size(), UINT64_MAX, arrivals);
    size_t filled = 0;
    while (std::optional<absl::Cord> bytes = arrivals->Next()) filled += TakeBytes(&*bytes, out.subspan(filled));
    if (filled == 0) DOLMEN_RETURN_IF_ERROR(arrivals->status());
    return filled;
  }

  absl::StatusOr<size_t> Read(std::span<char> out) override {
    if (closed_) return MakeError(ErrorReason::kCancelled, "Stream closed");
    MutexLock lock(&mutex_);
    const uint64_t position = position_;
    if (out.empty() || position >= length_) return 0;
    if (arrivals_ == nullptr) {
      const uint64_t wanted = std::min<uint64_t>(out.size(), length_ - position);
      begun_at_ = position;
      ends_at_ = position + std::min(planner_.NextFetch(position, wanted), length_ - position);
      demanded_ = std::max<uint64_t>(read_ahead_, wanted);
      arrivals_ = std::make_shared<Arrivals>();
      operation_ = driver_->Begin(begun_at_, ends_at_ - begun_at_, demanded_, arrivals_);
    }
    size_t filled = 0;
    while (filled < out.size()) {
      if (front_.empty()) {
        if (filled > 0 && !arrivals_->HasMore()) break;  // some is enough
        std::optional<absl::Cord> bytes = arrivals_->Next();
        if (!bytes.has_value()) {
          const absl::Status status = arrivals_->status();
          arrivals_ = nullptr;
          if (filled == 0) DOLMEN_RETURN_IF_ERROR(status);
          break;
        }
        front_ = *std::move(bytes);
      }
      filled += TakeBytes(&front_, out.subspan(filled));
    }
    position_ = position + filled;
    DemandMoreLocked();
    return filled;
  }

  absl::Status Seek(uint64_t offset) override {
    if (closed_) return MakeError(ErrorReason::kCancelled, "Stream is closed!");
    if (offset > length_) return MakeError(absl::StatusCode::kOutOfRange, ErrorReason::kIo, "Cannot seek after EOF");
    MutexLock lock(&mutex_);
    // A little further on: what was read ahead holds it already, maybe.
    uint64_t position = position_;
    while (arrivals_ != nullptr && position < offset && (!front_.empty() || arrivals_->HasMore())) {
      if (front_.empty()) front_ = arrivals_->Next().value_or(absl::Cord());
      const uint64_t skip = std::min<uint64_t>(front_.size(), offset - position);
      front_.RemovePrefix(skip);
      position += skip;
    }
    if (position != offset) StopReadingLocked();
    position_ = offset;
    if (position == offset) DemandMoreLocked();
    return absl::OkStatus();
  }

  uint64_t Position() const override { return position_; }
  uint64_t Length() const override { return length_; }

  absl::Status Close() override {
    closed_ = true;
    driver_->Close();
    return absl::OkStatus();
  }

 private:
  void StopReadingLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (arrivals_ != nullptr) driver_->Cancel(operation_);
    arrivals_ = nullptr;
    front_.Clear();
  }
  void DemandMoreLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (arrivals_ == nullptr) return;
    if (position_ >= ends_at_) {  // all of it was taken
      arrivals_ = nullptr;
      return;
    }
    if (demanded_ >= ends_at_ - begun_at_) return;
    const uint64_t demand = position_ - begun_at_ + std::max<uint64_t>(read_ahead_, 1);
    const uint64_t step = std::clamp<uint64_t>(read_ahead_ / 2, 1, kDemandStep);
    if (demand < demanded_ + step) return;
    demanded_ = demand;
    driver_->Demand(operation_, demanded_);
  }

  const uint64_t length_;
  const uint64_t read_ahead_;
  const std::shared_ptr<ReaderDriver> driver_;
  std::atomic<bool> closed_ = false;
  std::atomic<uint64_t> position_ = 0;  // changed under mutex_

  Mutex mutex_;  // held by a sequential read while it waits: there is one position
  ReadAheadPlanner planner_ ABSL_GUARDED_BY(mutex_);
  // The read under way that sequential reads take from; nothing: none.
  std::shared_ptr<Arrivals> arrivals_ ABSL_GUARDED_BY(mutex_);
  absl::Cord front_ ABSL_GUARDED_BY(mutex_);  // taken from it, not used yet
  uint64_t operation_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t begun_at_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t ends_at_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t demanded_ ABSL_GUARDED_BY(mutex_) = 0;  // bytes, from begun_at_
};

absl::StatusOr<protocol::VisibleLengthReply> AskVisibleLength(Runtime* runtime,
                                                              const read_action::AskVisibleLength& action) {
  using Channel = std::shared_ptr<grpc::Channel>;
  const auto connected = std::make_shared<Waiter<absl::StatusOr<Channel>>>();
  runtime->datanodes()->Connect(action.target.datanode,
                                [connected](absl::StatusOr<Channel> channel) { connected->Set(std::move(channel)); });
  DOLMEN_ASSIGN_OR_RETURN(const Channel channel, connected->Get());
  const std::shared_ptr<v1::DataTransfer::Stub> stub = v1::DataTransfer::NewStub(channel);
  const auto answered = std::make_shared<Waiter<absl::StatusOr<v1::VisibleLengthReply>>>();
  const auto timeout = std::min<std::chrono::milliseconds>(runtime->options().stream_timeout, std::chrono::seconds(10));
  runtime->namenode()->unary()->Call(
      stub.get(), &v1::DataTransfer::Stub::PrepareAsyncGetVisibleLength, rpc::ToProto(action.request),
      {.timeout = timeout},
      std::function<void(absl::StatusOr<v1::VisibleLengthReply>)>(
          [answered, stub](absl::StatusOr<v1::VisibleLengthReply> reply) { answered->Set(std::move(reply)); }));
  absl::StatusOr<v1::VisibleLengthReply> reply = answered->Get();
  if (!reply.ok()) {
    const absl::Status status = FromTransport(reply.status());
    if (ReasonOf(status) == ErrorReason::kUnreachable) runtime->datanodes()->Forget(action.target.datanode.uuid);
    return status;
  }
  return rpc::FromProto(*reply);
}

}  // namespace

std::unique_ptr<InputStream> MakeInputStream(Runtime* runtime, OpenedFile file) {
  return std::make_unique<InputStreamImpl>(runtime, std::move(file));
}

absl::StatusOr<OpenedFile> OpenForReading(Runtime* runtime, const std::string& path) {
  FileOpener opener(path, SettingsFor(runtime->options()), Random(runtime->NextSeed()));
  std::vector<ReadAction> actions = opener.Start(runtime->clock().Now());
  while (!opener.result().has_value()) {
    if (actions.empty())
      return MakeError(ErrorReason::kCancelled, absl::StrCat("opening ", path, ": the client is shutting down"));
    const ReadAction action = std::move(actions.front());
    if (const auto* call = std::get_if<read_action::CallNamenode>(&action)) {
      absl::StatusOr<protocol::GetBlockLocationsReply> reply =
          runtime->namenode()->QueryAndWait<protocol::GetBlockLocationsReply>(call->request,
                                                                              absl::StrCat("open ", path));
      absl::StatusOr<protocol::QueryReply> answer = absl::UnknownError("unset");
      if (reply.ok()) {
        answer = protocol::QueryReply(*std::move(reply));
      } else {
        answer = reply.status();
      }
      actions = opener.OnNamenodeAnswer({call->tag, std::move(answer)}, runtime->clock().Now());
    } else if (const auto* ask = std::get_if<read_action::AskVisibleLength>(&action)) {
      actions = opener.OnVisibleLength({ask->tag, AskVisibleLength(runtime, *ask)}, runtime->clock().Now());
    } else if (const auto* wake = std::get_if<read_action::WakeAt>(&action)) {
      runtime->WaitUntil(wake->at);
      actions = opener.OnTick(runtime->clock().Now());
    }
  }
  return *opener.result();
}

absl::StatusOr<std::unique_ptr<InputStream>> OpenInputStream(Runtime* runtime, const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(OpenedFile file, OpenForReading(runtime, path));
  return MakeInputStream(runtime, std::move(file));
}

}  // namespace dolmen::client
