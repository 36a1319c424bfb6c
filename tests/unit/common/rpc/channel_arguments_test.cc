#include "common/rpc/channel_arguments.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>

#include "grpcpp/create_channel.h"
#include "tests/unit/common/rpc/loopback.h"

namespace dolmen::rpc {
namespace {

// Answers with the caller's address and port.
class PeerService final : public v1::ClientNamenode::Service {
  grpc::Status GetFileInfo(grpc::ServerContext* context, const InfoRequest*, InfoReply* reply) override {
    *reply = Named(context->peer());
    return grpc::Status::OK;
  }
};

// A server made by hand, as those of the data path are.
class HandmadeServer {
 public:
  explicit HandmadeServer(Traffic traffic) {
    grpc::ServerBuilder builder;
    ApplyServerArguments(&builder, traffic);
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr);
    port_ = static_cast<uint16_t>(port);
  }
  ~HandmadeServer() { server_->Shutdown(std::chrono::system_clock::now()); }
  uint16_t port() const { return port_; }

 private:
  PeerService service_;
  std::unique_ptr<grpc::Server> server_;
  uint16_t port_ = 0;
};

grpc::Status Ask(const std::shared_ptr<grpc::Channel>& channel, InfoReply* reply, const std::string& path = "/",
                 grpc_compression_algorithm compression = GRPC_COMPRESS_NONE) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  context.set_compression_algorithm(compression);
  InfoRequest request;
  request.set_path(path);
  return v1::ClientNamenode::NewStub(channel)->GetFileInfo(&context, request, reply);
}

std::string PeerSeenBy(const std::shared_ptr<grpc::Channel>& channel) {
  InfoReply reply;
  const grpc::Status status = Ask(channel, &reply);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return reply.status().name();
}

TEST(ChannelArgumentsTest, EveryChannelHasAConnectionOfItsOwn) {
  HandmadeServer server(Traffic::kControl);
  const auto first = MakeControlChannel("127.0.0.1", server.port());
  const auto second = MakeControlChannel("127.0.0.1", server.port());
  const auto data = MakeDataChannel("127.0.0.1", server.port());
  EXPECT_EQ(std::set<std::string>({PeerSeenBy(first), PeerSeenBy(second), PeerSeenBy(data)}).size(), 3u);
  EXPECT_EQ(PeerSeenBy(first), PeerSeenBy(first));
}

TEST(ChannelArgumentsTest, MessageBoundsFollowTheTraffic) {
  const std::string two_and_a_half_mib(5 << 19, 'x');
  HandmadeServer control(Traffic::kControl);
  HandmadeServer data(Traffic::kData);
  InfoReply reply;
  EXPECT_TRUE(Ask(MakeControlChannel("127.0.0.1", control.port()), &reply, two_and_a_half_mib).ok());
  // The sender's own bound, and the receiver's.
  EXPECT_EQ(Ask(MakeDataChannel("127.0.0.1", control.port()), &reply, two_and_a_half_mib).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Ask(MakeControlChannel("127.0.0.1", data.port()), &reply, two_and_a_half_mib).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST(ChannelArgumentsTest, CompressedMessagesAreRefused) {
  HandmadeServer server(Traffic::kControl);
  const auto foreign = grpc::CreateChannel(HostAndPort("127.0.0.1", server.port()), grpc::InsecureChannelCredentials());
  InfoReply reply;
  EXPECT_TRUE(Ask(foreign, &reply, std::string(10'000, 'x')).ok());
  EXPECT_EQ(Ask(foreign, &reply, std::string(10'000, 'x'), GRPC_COMPRESS_GZIP).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST(ChannelArgumentsTest, AWebProxyInTheEnvironmentIsIgnored) {
  HandmadeServer server(Traffic::kControl);
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  ::setenv("grpc_proxy", "http://127.0.0.1:1", 1);
  EXPECT_NE(PeerSeenBy(MakeControlChannel("127.0.0.1", server.port())), "");
  ::unsetenv("http_proxy");
  ::unsetenv("grpc_proxy");
}

TEST(ChannelArgumentsTest, LocalhostIsLoopback) {
  HandmadeServer server(Traffic::kControl);
  EXPECT_EQ(HostOfPeer(PeerSeenBy(MakeControlChannel("localhost", server.port()))), "127.0.0.1");
}

TEST(ChannelArgumentsTest, IPv6AddressesGetBrackets) {
  EXPECT_EQ(HostAndPort("::1", 7020), "[::1]:7020");
  EXPECT_EQ(HostAndPort("[::1]", 7020), "[::1]:7020");
  EXPECT_EQ(HostAndPort("10.0.0.1", 7020), "10.0.0.1:7020");
  EXPECT_EQ(HostAndPort("localhost", 0), "localhost:0");
}

}  // namespace
}  // namespace dolmen::rpc
