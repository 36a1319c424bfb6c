#include "datanode/service/relay_stream.h"

#include <optional>
#include <type_traits>
#include <utility>

#include "common/error.h"
#include "common/rpc/frames.h"
#include "common/rpc/handoff.h"
#include "common/rpc/relay.h"
#include "common/rpc/status_grpc.h"
#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/client_callback.h"

namespace dolmen::datanode {
namespace {

using Buffer = grpc::ByteBuffer;
using Channel = std::shared_ptr<grpc::Channel>;

// A stream that does not say what it wants for so long is ended (limit for handshakes: 10 s).
constexpr Duration kFirstMessageWait = std::chrono::seconds(10);

// Shorter than callers try a way, so that they hear what is wrong with it.
constexpr Duration kConnectTimeout = std::chrono::seconds(3);

const char* const kStopping = "the datanode is stopping";

// One stream. `Reactor` is what gRPC wants of a server: bidirectional for writes, where the first message of the caller
// is read from it; write-only for reads, where it is given. Lives until gRPC is done with both ends.
template <typename Reactor>
class RelayStream final : public Reactor, public LiveStream, public std::enable_shared_from_this<RelayStream<Reactor>> {
  static constexpr bool kReads = std::is_same_v<Reactor, grpc::ServerBidiReactor<Buffer, Buffer>>;

 public:
  RelayStream(Node* node, grpc::CallbackServerContext* context, const char* method)
      : node_(node), method_(method), begun_(node->clock().Now()), context_(context) {}

  ~RelayStream() override {
    slot_.reset();
    node_->Remove(this);  // the node may be gone after this
  }

  // `request`: the first message, of a call that has but one.
  void Begin(const Buffer* request) {
    node_->Add(this->shared_from_this());
    {
      MutexLock lock(&mutex_);
      self_ = this->shared_from_this();
      if (finished_) return;
      if (absl::Status ready = PrepareLocked(); !ready.ok()) return EndLocked(rpc::ToGrpc(ready));
      if constexpr (kReads) return this->StartRead(&from_caller_);
      from_caller_ = *request;
    }
    Connect();
  }

  void Tick(MonotonicTime now) override {
    MutexLock lock(&mutex_);
    if (!connecting_ && !finished_ && now - begun_ >= kFirstMessageWait) {
      EndLocked(rpc::ToGrpc(MakeError(ErrorReason::kCancelled, "no setup came")));
    }
    if (writing_ && now - writing_since_ >= node_->options().reader_timeout && context_ != nullptr) {
      context_->TryCancel();  // the caller takes nothing; ends the write that hangs
    }
  }

  void Cancel() override {
    MutexLock lock(&mutex_);
    GiveUpLocked(kStopping);
    if (context_ != nullptr) context_->TryCancel();
  }

 private:
  // The end towards the other datanode.
  class Peer final : public grpc::ClientBidiReactor<Buffer, Buffer> {
   public:
    explicit Peer(RelayStream* stream) : stream_(stream) {}
    void OnReadDone(bool ok) override {
      rpc::TakeFromGrpc(this);
      stream_->OnPeerRead(ok);
    }
    void OnWriteDone(bool ok) override {
      rpc::TakeFromGrpc(this);
      stream_->OnPeerTook(ok);
    }
    void OnDone(const grpc::Status& status) override {
      rpc::TakeFromGrpc(this);
      stream_->OnPeerDone(status);
    }

   private:
    RelayStream* const stream_;
  };

  // ---- connecting ------------------------------------------------------------------------------------------------

  absl::Status PrepareLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    DOLMEN_ASSIGN_OR_RETURN(target_, rpc::RelayTarget(*context_));
    DOLMEN_ASSIGN_OR_RETURN(slot_, node_->Acquire(StreamKind::kRelay, StorageId()));
    return absl::OkStatus();
  }

  absl::Status CheckToken() {
    if constexpr (kReads) {
      DOLMEN_ASSIGN_OR_RETURN(const auto frame, rpc::DecodeWriteFrame(from_caller_));
      const auto* setup = std::get_if<protocol::WriteSetup>(&frame);
      if (setup == nullptr) return MakeError(ErrorReason::kIllegalArgument, "the first frame of a write is its setup");
      return node_->keys().Verify(setup->token, setup->block.id, BlockAccess::kWrite, node_->clock().WallNow());
    } else {
      DOLMEN_ASSIGN_OR_RETURN(const protocol::ReadRequest request, rpc::DecodeReadRequest(from_caller_));
      return node_->keys().Verify(request.token, request.block.id, BlockAccess::kRead, node_->clock().WallNow());
    }
  }

  // The first message is there.
  void Connect() {
    {
      MutexLock lock(&mutex_);
      if (finished_) return;
      if (absl::Status allowed = CheckToken(); !allowed.ok()) return EndLocked(rpc::ToGrpc(allowed));
      connecting_ = true;
    }
    node_->relay_peers().Pick(
        target_, kConnectTimeout, node_->clock().Now(),
        [self = this->shared_from_this()](absl::StatusOr<Channel> channel) { self->Connected(std::move(channel)); });
  }

  void Connected(absl::StatusOr<Channel> channel) {
    MutexLock lock(&mutex_);
    if (finished_) return;
    if (!channel.ok()) return EndLocked(rpc::ToGrpc(Annotate(channel.status(), "passing the call on")));
    // The caller's deadline, and its cancellation, are the other datanode's too.
    peer_context_ = grpc::ClientContext::FromCallbackServerContext(*context_);
    stub_ = std::make_unique<grpc::TemplatedGenericStub<Buffer, Buffer>>(*std::move(channel));
    stub_->PrepareBidiStreamingCall(peer_context_.get(), method_, {}, &peer_);
    peer_self_ = this->shared_from_this();
    peer_runs_ = true;
    peer_.AddHold();  // operations are started from other threads; given back when its answers end
    rpc::GiveToGrpc(&peer_);
    if constexpr (kReads) {
      peer_.StartWrite(&from_caller_);
    } else {
      peer_.StartWriteLast(&from_caller_, {});
    }
    peer_.StartRead(&from_peer_);
    peer_.StartCall();
  }

  // ---- caller -> other datanode ----------------------------------------------------------------------------------

  void OnReadDone(bool ok) {
    {
      MutexLock lock(&mutex_);
      if (connecting_) {
        if (!peer_runs_) return;
        if (ok) return peer_.StartWrite(&from_caller_);
        return peer_.StartWritesDone();
      }
      if (!ok) return EndLocked(rpc::ToGrpc(MakeError(ErrorReason::kCancelled, "the sender is gone")));
    }
    Connect();
  }

  void OnPeerTook(bool ok) {
    MutexLock lock(&mutex_);
    // Otherwise the other datanode takes no more, and its last word says why.
    if constexpr (kReads) {
      if (!ok || finished_) return;
      from_caller_.Clear();
      this->StartRead(&from_caller_);
    }
  }

  // ---- other datanode -> caller ----------------------------------------------------------------------------------

  void OnPeerRead(bool ok) {
    MutexLock lock(&mutex_);
    if (ok && !finished_) {
      writing_ = true;
      writing_since_ = node_->clock().Now();
      this->StartWrite(&from_peer_);
    } else {
      PeerIsOverLocked();
    }
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(&mutex_);
    writing_ = false;
    if (!peer_runs_) return;
    if (ok) {
      from_peer_.Clear();
      peer_.StartRead(&from_peer_);
      return;
    }
    peer_context_->TryCancel();
    PeerIsOverLocked();
  }

  void PeerIsOverLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    peer_runs_ = false;
    rpc::GiveToGrpc(&peer_);
    peer_.RemoveHold();
  }

  void OnPeerDone(const grpc::Status& status) {
    std::shared_ptr<RelayStream> last;  // maybe the last reference; outlives the lock
    MutexLock lock(&mutex_);
    EndLocked(status);
    last.swap(peer_self_);
  }

  // ---- end -------------------------------------------------------------------------------------------------------

  void EndLocked(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::exchange(finished_, true)) return;
    this->Finish(status);
  }

  void GiveUpLocked(const char* why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (peer_self_ != nullptr) {
      peer_context_->TryCancel();  // its end is ours
    } else {
      EndLocked(rpc::ToGrpc(MakeError(ErrorReason::kCancelled, why)));
    }
  }

  void OnCancel() override {
    MutexLock lock(&mutex_);
    GiveUpLocked("the caller is gone");
  }

  void OnDone() override {
    std::shared_ptr<RelayStream> last;  // maybe the last reference; outlives the lock
    MutexLock lock(&mutex_);
    context_ = nullptr;
    last.swap(self_);
  }

  Node* const node_;
  const char* const method_;
  const MonotonicTime begun_;
  protocol::DatanodeInfo target_;     // constant once begun
  std::shared_ptr<Node::Slot> slot_;  // the same
  Buffer from_caller_;                // of whoever fills or sends it
  Buffer from_peer_;
  std::unique_ptr<grpc::TemplatedGenericStub<Buffer, Buffer>> stub_;
  std::unique_ptr<grpc::ClientContext> peer_context_;
  Peer peer_{this};

  Mutex mutex_;
  grpc::CallbackServerContext* context_ ABSL_GUARDED_BY(mutex_);    // nullptr after OnDone
  std::shared_ptr<RelayStream> self_ ABSL_GUARDED_BY(mutex_);       // until OnDone
  std::shared_ptr<RelayStream> peer_self_ ABSL_GUARDED_BY(mutex_);  // while there is a call to the other datanode
  bool connecting_ ABSL_GUARDED_BY(mutex_) = false;                 // or connected
  bool peer_runs_ ABSL_GUARDED_BY(mutex_) = false;                  // operations may be started on it
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;                    // to the caller
  MonotonicTime writing_since_ ABSL_GUARDED_BY(mutex_);
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;  // Finish was called: start nothing more
};

// One call with one answer.
class UnaryRelayCall final : public grpc::ClientUnaryReactor,
                             public LiveStream,
                             public std::enable_shared_from_this<UnaryRelayCall> {
 public:
  UnaryRelayCall(Node* node, grpc::ServerUnaryReactor* reactor) : node_(node), reactor_(reactor) {}
  ~UnaryRelayCall() override {
    slot_.reset();
    node_->Remove(this);  // the node may be gone after this
  }

  void Begin(grpc::CallbackServerContext* context, const absl::Status& allowed, UnaryRelay call) {
    node_->Add(shared_from_this());
    if (absl::Status begun = Start(context, allowed, std::move(call)); !begun.ok()) Finish(rpc::ToGrpc(begun));
  }

  void Tick(MonotonicTime) override {}
  void Cancel() override {
    MutexLock lock(&mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }

 private:
  absl::Status Start(grpc::CallbackServerContext* context, const absl::Status& allowed, UnaryRelay call) {
    DOLMEN_RETURN_IF_ERROR(allowed);
    DOLMEN_ASSIGN_OR_RETURN(const protocol::DatanodeInfo target, rpc::RelayTarget(*context));
    DOLMEN_ASSIGN_OR_RETURN(slot_, node_->Acquire(StreamKind::kRelay, StorageId()));
    {
      MutexLock lock(&mutex_);
      context_ = grpc::ClientContext::FromCallbackServerContext(*context);
    }
    node_->relay_peers().Pick(target, kConnectTimeout, node_->clock().Now(),
                              [self = shared_from_this(), call = std::move(call)](absl::StatusOr<Channel> channel) {
                                if (channel.ok()) return self->Connected(*std::move(channel), call);
                                self->Finish(rpc::ToGrpc(Annotate(channel.status(), "passing the call on")));
                              });
    return absl::OkStatus();
  }

  void Connected(const Channel& channel, const UnaryRelay& call) {
    stub_ = v1::DataTransfer::NewStub(channel);
    grpc::ClientContext* context = nullptr;
    {
      MutexLock lock(&mutex_);
      context = context_.get();
    }
    self_ = shared_from_this();
    call(stub_.get(), context, this);
    rpc::GiveToGrpc(this);
    StartCall();
  }

  void OnDone(const grpc::Status& status) override {
    rpc::TakeFromGrpc(this);
    const std::shared_ptr<UnaryRelayCall> last = std::move(self_);  // maybe the last reference
    Finish(status);
  }

  void Finish(const grpc::Status& status) { reactor_->Finish(status); }

  Node* const node_;
  grpc::ServerUnaryReactor* const reactor_;
  std::shared_ptr<Node::Slot> slot_;  // constant once begun
  std::unique_ptr<v1::DataTransfer::Stub> stub_;
  std::shared_ptr<UnaryRelayCall> self_;  // while the other datanode is asked
  Mutex mutex_;
  std::unique_ptr<grpc::ClientContext> context_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

grpc::ServerBidiReactor<Buffer, Buffer>* RelayWriteBlock(Node* node, grpc::CallbackServerContext* context) {
  using Stream = RelayStream<grpc::ServerBidiReactor<Buffer, Buffer>>;
  const auto stream = std::make_shared<Stream>(node, context, rpc::kWriteBlockMethod);
  stream->Begin(nullptr);
  return stream.get();
}

grpc::ServerWriteReactor<Buffer>* RelayReadBlock(Node* node, grpc::CallbackServerContext* context,
                                                 const Buffer& request) {
  using Stream = RelayStream<grpc::ServerWriteReactor<Buffer>>;
  const auto stream = std::make_shared<Stream>(node, context, rpc::kReadBlockMethod);
  stream->Begin(&request);
  return stream.get();
}

grpc::ServerUnaryReactor* RelayUnary(Node* node, grpc::CallbackServerContext* context, const absl::Status& allowed,
                                     UnaryRelay call) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  std::make_shared<UnaryRelayCall>(node, reactor)->Begin(context, allowed, std::move(call));
  return reactor;
}

}  // namespace dolmen::datanode
