#include "common/rpc/channel_arguments.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/error.h"
#include "grpc/compression.h"
#include "grpc/support/log.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"
#include "spdlog/spdlog.h"

namespace dolmen::rpc {
namespace {

// Chosen: a restarted server is found again within a second; a refused connection costs next to nothing.
constexpr int kFirstReconnectMs = 50;
constexpr int kLongestReconnectMs = 1000;
// Despite its name gRPC uses the "minimum backoff" as the time one connection attempt may take.
constexpr int kConnectAttemptMs = 5000;
// Names may move (containers): resolve again as soon as that.
constexpr int kResolveAgainMs = 1000;

// A peer that is gone without a word is noticed after kKeepaliveMs + kKeepaliveTimeoutMs. The server accepts a ping
// every kLeastPingIntervalMs, well below kKeepaliveMs, or it would close the connection ("too many pings").
constexpr int kKeepaliveMs = 20'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
constexpr int kLeastPingIntervalMs = 5'000;

// Calls at once on one connection. Control clients keep 64 at most. Data streams are counted, and refused with "busy",
// by the datanode; gRPC would queue them silently, so its limit is far above that count.
constexpr int kMaxControlStreams = 128;
constexpr int kMaxDataStreams = 1024;

constexpr int kHandshakeMs = 10'000;
// Answers may carry long error texts, with every byte escaped (status_grpc.h); requests for block data a datanode with
// all of its addresses (relay.h).
constexpr int kMaxReplyMetadataBytes = 128 << 10;
constexpr int kMaxControlRequestMetadataBytes = 16 << 10;
constexpr int kMaxDataRequestMetadataBytes = 64 << 10;

// For both sides: what we don't use costs nothing.
template <typename SetInt>
void SetCommon(SetInt set) {
  set(GRPC_ARG_ENABLE_CHANNELZ, 0);
  set(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
  set(GRPC_ARG_ENABLE_CENSUS, 0);
  set(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  set(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  set(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  set(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // no limit of ours on our own pings
  set(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
}

// "localhost" is loopback by definition (RFC 6761) and what most commands are given: starting a resolver for it would
// cost them milliseconds.
std::string TargetOf(std::string_view host, uint16_t port) {
  if (host == "localhost") return absl::StrCat("ipv4:127.0.0.1:", port);
  return absl::StrCat("dns:///", HostAndPort(host, port));
}

std::shared_ptr<grpc::Channel> MakeChannel(std::string_view host, uint16_t port, int max_message_bytes,
                                           ClientInterceptors interceptors = {}) {
  grpc::ChannelArguments arguments;
  SetCommon([&arguments](const char* name, int value) { arguments.SetInt(name, value); });
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLongestReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectAttemptMs);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, kResolveAgainMs);
  // Retries are ours: they carry the call id, gRPC's would not.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // A proxy meant for the web must not come between the nodes of a cluster.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Without this, channels to one address share one connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMaxReplyMetadataBytes);
  arguments.SetMaxReceiveMessageSize(max_message_bytes);
  arguments.SetMaxSendMessageSize(max_message_bytes);
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      TargetOf(host, port), grpc::InsecureChannelCredentials(), arguments, std::move(interceptors));
}

void LogFromGrpc(gpr_log_func_args* line) { spdlog::debug("grpc: {}:{}: {}", line->file, line->line, line->message); }

}  // namespace

std::string HostAndPort(std::string_view host, uint16_t port) {
  const bool is_ipv6 = host.find(':') != std::string_view::npos && host.front() != '[';
  if (is_ipv6) return absl::StrCat("[", ToAbsl(host), "]:", port);
  return absl::StrCat(ToAbsl(host), ":", port);
}

std::shared_ptr<grpc::Channel> MakeControlChannel(std::string_view host, uint16_t port) {
  return MakeChannel(host, port, kMaxControlMessageBytes);
}

std::shared_ptr<grpc::Channel> MakeDataChannel(std::string_view host, uint16_t port, ClientInterceptors interceptors) {
  return MakeChannel(host, port, kMaxDataMessageBytes, std::move(interceptors));
}

void ApplyServerArguments(grpc::ServerBuilder* builder, Traffic traffic) {
  SetCommon([builder](const char* name, int value) { builder->AddChannelArgument(name, value); });
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kLeastPingIntervalMs);
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMs);
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  const bool is_control = traffic == Traffic::kControl;
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, is_control ? kMaxControlStreams : kMaxDataStreams);
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE,
                              is_control ? kMaxControlRequestMetadataBytes : kMaxDataRequestMetadataBytes);
  const int max_message_bytes = is_control ? kMaxControlMessageBytes : kMaxDataMessageBytes;
  builder->SetMaxReceiveMessageSize(max_message_bytes);
  builder->SetMaxSendMessageSize(max_message_bytes);
  // A small compressed message may grow to anything when unpacked.
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
}

void SendGrpcLogsToOurs() { gpr_set_log_function(LogFromGrpc); }

void TurnOffDeadlockSearch() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

}  // namespace dolmen::rpc
