// A stream between two processes of the simulation, both ways, in order, until one side ends it or it breaks. Breaking
// is seen by both ends (a dead process's kernel answers for it), unless the link is cut: then only by time.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "tests/sim/event_queue.h"
#include "tests/sim/network.h"

namespace dolmen::sim {

// `Forward` goes from the opener to the acceptor. Handlers are set by each end; a handler of a process that died since
// is never called.
template <typename Forward, typename Backward>
class Connection : public std::enable_shared_from_this<Connection<Forward, Backward>> {
 public:
  Connection(EventQueue* events, Network* network, NodeId opener, NodeId acceptor)
      : events_(*events),
        network_(*network),
        forward_(network->OpenPipe(opener, acceptor)),
        backward_(network->OpenPipe(acceptor, opener)) {}

  // Acceptor's side.
  std::function<void(Forward)> on_forward;
  std::function<void()> on_opener_gone;  // ended or broke
  // Opener's side.
  std::function<void(Backward)> on_backward;
  std::function<void(absl::Status)> on_ended;  // by the acceptor with a status, or broke (kUnavailable)

  // The first contact: runs `accept` at the acceptor, or breaks.
  void Open(std::function<void()> accept) {
    auto self = this->shared_from_this();
    if (!network_.IsUp(forward_->to) || network_.IsCut(forward_->from, forward_->to)) {
      events_.After(std::chrono::milliseconds(20), [self] { self->Break(); });
      return;
    }
    network_.SendOnPipe(forward_, std::move(accept), [self] { self->Break(); });
  }
  void SendForward(Forward message) {
    auto self = this->shared_from_this();
    network_.SendOnPipe(
        forward_,
        [self, message = std::move(message)]() mutable {
          if (!self->closed_ && self->on_forward) self->on_forward(std::move(message));
        },
        [self] { self->Break(); });
  }
  void SendBackward(Backward message) {
    auto self = this->shared_from_this();
    network_.SendOnPipe(
        backward_,
        [self, message = std::move(message)]() mutable {
          if (!self->closed_ && self->on_backward) self->on_backward(std::move(message));
        },
        [self] { self->Break(); });
  }
  // The acceptor ends the stream, after everything it sent.
  void EndByAcceptor(absl::Status status) {
    auto self = this->shared_from_this();
    network_.SendOnPipe(
        backward_,
        [self, status] {
          if (self->closed_) return;
          self->closed_ = true;
          if (self->on_ended) self->on_ended(status);
        },
        [self] { self->Break(); });
  }
  // The opener cancels or has finished: the acceptor hears of it, the opener nothing more.
  void CloseByOpener() {
    auto self = this->shared_from_this();
    on_backward = nullptr;
    on_ended = nullptr;
    network_.SendOnPipe(
        forward_,
        [self] {
          if (self->closed_) return;
          self->closed_ = true;
          if (self->on_opener_gone) self->on_opener_gone();
        },
        [self] { self->Break(); });
  }
  // Both ends hear of it.
  void Break() {
    if (closed_) return;
    closed_ = true;
    forward_->broken = true;
    backward_->broken = true;
    auto self = this->shared_from_this();
    events_.After(std::chrono::milliseconds(1), [self] {
      if (self->Alive(self->forward_->to, self->forward_->to_incarnation) && self->on_opener_gone)
        self->on_opener_gone();
      if (self->Alive(self->forward_->from, self->forward_->from_incarnation) && self->on_ended)
        self->on_ended(absl::UnavailableError("the connection broke"));
    });
  }
  // Whether an end's process has died since the stream was opened.
  bool LostAnEnd() const {
    return !Alive(forward_->to, forward_->to_incarnation) || !Alive(forward_->from, forward_->from_incarnation);
  }
  bool closed() const { return closed_; }

 private:
  bool Alive(NodeId node, uint64_t incarnation) const {
    return network_.IsUp(node) && network_.Incarnation(node) == incarnation;
  }

  EventQueue& events_;
  Network& network_;
  const std::shared_ptr<Network::Pipe> forward_;
  const std::shared_ptr<Network::Pipe> backward_;
  bool closed_ = false;
};

}  // namespace dolmen::sim
