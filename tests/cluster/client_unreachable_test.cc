// A namenode that is down, or silent: one clear error in time, never a hang.
#include <chrono>

#include "client/dolmen/client.h"
#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/loopback_port.h"

namespace dolmen {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::unique_ptr<FileSystemClient> Connect(const std::string& address, ClientOptions options) {
  absl::StatusOr<std::unique_ptr<FileSystemClient>> client = FileSystemClient::Connect("dolmen://" + address, options);
  EXPECT_TRUE(client.ok()) << client.status();
  return *std::move(client);
}

milliseconds Elapsed(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - since);
}

TEST(ClientUnreachableTest, ANamenodeThatIsDownIsNamedWithinTheConnectTimeout) {
  const LoopbackPort port(LoopbackPort::Kind::kRefuses);
  const auto client = Connect(port.Address(), {.connect_timeout = milliseconds(1500)});
  for (const bool mutation : {false, true}) {
    const auto begin = std::chrono::steady_clock::now();
    const absl::Status status = mutation ? client->Mkdirs("/a") : client->GetFileInfo("/a").status();
    EXPECT_EQ(ReasonOf(status), ErrorReason::kUnreachable) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("Call to " + port.Address() + " failed: Connection refused"), HasSubstr("tried for"),
                      HasSubstr("attempts")));
    EXPECT_LT(Elapsed(begin), milliseconds(8000));
  }
}

TEST(ClientUnreachableTest, ANameThatDoesNotExistIsSaid) {
  const auto client =
      Connect("no-such-host.invalid:7020", {.rpc_timeout = milliseconds(5000), .connect_timeout = milliseconds(500)});
  const auto begin = std::chrono::steady_clock::now();
  const absl::Status status = client->GetFileInfo("/a").status();
  // Without any name server it is the deadline that ends it.
  EXPECT_TRUE(ReasonOf(status) == ErrorReason::kUnreachable || status.code() == absl::StatusCode::kDeadlineExceeded)
      << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no-such-host.invalid:7020"));
  EXPECT_LT(Elapsed(begin), milliseconds(10'000));
}

TEST(ClientUnreachableTest, ANamenodeThatAcceptsAndNeverAnswersMeetsTheDeadline) {
  const LoopbackPort port(LoopbackPort::Kind::kSilent);
  const auto client =
      Connect(port.Address(), {.rpc_timeout = milliseconds(1500), .connect_timeout = milliseconds(1500)});
  for (const bool mutation : {false, true}) {
    const auto begin = std::chrono::steady_clock::now();
    const absl::Status status = mutation ? client->Mkdirs("/a") : client->GetFileInfo("/a").status();
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), HasSubstr(port.Address()));
    if (mutation) {
      EXPECT_THAT(std::string(status.message()), HasSubstr("mkdir /a"));
    }
    EXPECT_LT(Elapsed(begin), milliseconds(8000));
  }
}

TEST(ClientUnreachableTest, ADatanodeThatIsAskedAndDoesNotAnswerIsNamed) {
  const LoopbackPort refused(LoopbackPort::Kind::kRefuses);
  const LoopbackPort silent(LoopbackPort::Kind::kSilent);
  const absl::Status none = Connect(refused.Address(), {})->GetDatanodeLocalInfo(refused.Address()).status();
  EXPECT_EQ(ReasonOf(none), ErrorReason::kUnreachable);
  EXPECT_EQ(MessageOf(none), refused.Address() + ": Connection refused");
  const auto client = Connect(refused.Address(), {.connect_timeout = milliseconds(700)});
  const auto begin = std::chrono::steady_clock::now();
  const absl::Status late = client->GetDatanodeLocalInfo(silent.Address()).status();
  EXPECT_EQ(ReasonOf(late), ErrorReason::kUnreachable);
  EXPECT_EQ(MessageOf(late), silent.Address() + ": no answer within 700 ms");
  EXPECT_LT(Elapsed(begin), milliseconds(8000));
  EXPECT_EQ(client->GetDatanodeLocalInfo("a b:1").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ClientUnreachableTest, AClientThatNobodyUsesEndsAtOnce) {
  const LoopbackPort port(LoopbackPort::Kind::kSilent);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) Connect(port.Address(), {});
  EXPECT_LT(Elapsed(begin), milliseconds(4000));
}

TEST(ClientUnreachableTest, BadUrisAndOptionsAreRefusedAtOnce) {
  EXPECT_EQ(FileSystemClient::Connect("hdfs://h", {}).status().code(), absl::StatusCode::kInvalidArgument);
  for (const ClientOptions& options :
       {ClientOptions{.rpc_timeout = milliseconds(0)}, ClientOptions{.packet_bytes = 65537},
        ClientOptions{.packet_bytes = 2 << 20}, ClientOptions{.window_packets = 0}, ClientOptions{.window_packets = 65},
        ClientOptions{.read_ahead_bytes = 65 << 20}}) {
    EXPECT_EQ(FileSystemClient::Connect("dolmen://h", options).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace dolmen
