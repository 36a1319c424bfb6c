// The one place that owns every gRPC channel and server argument.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grpcpp/channel.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/support/client_interceptor.h"

namespace dolmen::rpc {

// Bounds of one message, both ways. A packet of 1 MiB with its checksums fits the data bound.
inline constexpr int kMaxControlMessageBytes = 4 << 20;
inline constexpr int kMaxDataMessageBytes = 2 << 20;

// Run on each call of a channel.
using ClientInterceptors = std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>;

// What a server carries: calls to the namenode, or block bytes.
enum class Traffic { kControl, kData };

// A lazy channel with a connection of its own: no two channels share one, so bulk data never delays control calls and
// control calls never delay heartbeats, as long as each has its own channel. `host` is a name or a literal IPv4 or IPv6
// address; "localhost" is 127.0.0.1. Reconnects by itself, after 50 ms to 1 s (gRPC 1.51 rounds what is below 100 ms up
// to that).
std::shared_ptr<grpc::Channel> MakeControlChannel(std::string_view host, uint16_t port);
std::shared_ptr<grpc::Channel> MakeDataChannel(std::string_view host, uint16_t port,
                                               ClientInterceptors interceptors = {});

// Everything but addresses and services. A second process never binds the same port; compressed messages are refused.
void ApplyServerArguments(grpc::ServerBuilder* builder, Traffic traffic = Traffic::kControl);

// "host:port", with brackets around an IPv6 address.
std::string HostAndPort(std::string_view host, uint16_t port);

// gRPC's own log lines go to our log at debug level instead of stderr: what matters in them comes back as a status.
// Call once, early in main.
void SendGrpcLogsToOurs();

// Debian builds abseil, whose mutexes gRPC uses, with its debugging aid that looks for cycles of locks at every lock:
// this turns it off for the process. For programs that are ours alone; the client library leaves its host as it is.
void TurnOffDeadlockSearch();

}  // namespace dolmen::rpc
