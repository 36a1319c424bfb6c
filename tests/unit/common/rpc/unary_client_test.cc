#include "common/rpc/unary_client.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/unit/common/rpc/loopback.h"

namespace dolmen::rpc {
namespace {

// A port nobody listens on, as far as anyone can know.
uint16_t UnusedPort() { return LoopbackServer(Echo).port(); }

TEST(UnaryClientTest, AServerThatIsNotThereFailsTheCallSoon) {
  LoopbackClient client(UnusedPort());
  const auto begin = std::chrono::steady_clock::now();
  const InfoResult reply = client.InfoNow("/a");
  EXPECT_EQ(reply.status().code(), absl::StatusCode::kUnavailable) << reply.status();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST(UnaryClientTest, ACallThatWaitsForReadyReachesAServerThatStartsLater) {
  const uint16_t port = UnusedPort();
  LoopbackClient client(port);
  // Fail once, so that the channel is backing off when the server comes.
  EXPECT_FALSE(client.InfoNow("/a").ok());
  Mailbox<InfoResult> answers;
  client.Info("/a", [&answers](InfoResult reply) { answers.Put(std::move(reply)); },
              {.timeout = std::chrono::seconds(20), .wait_for_ready = true});
  LoopbackServer server(Echo, {}, port);
  const auto begin = std::chrono::steady_clock::now();
  const InfoResult reply = answers.TakeOne();
  EXPECT_TRUE(reply.ok()) << reply.status();
  // A second of backoff at most, and a slow machine.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));
}

TEST(UnaryClientTest, AChannelFindsARestartedServerAgain) {
  auto server = std::make_unique<LoopbackServer>(Echo);
  const uint16_t port = server->port();
  LoopbackClient client(port);
  EXPECT_TRUE(client.InfoNow("/a").ok());
  server.reset();
  EXPECT_EQ(client.InfoNow("/a").status().code(), absl::StatusCode::kUnavailable);
  server = std::make_unique<LoopbackServer>(Echo, UnaryQueueOptions{}, port);
  EXPECT_TRUE(Eventually([&client] { return client.InfoNow("/a").ok(); }));
}

TEST(UnaryClientTest, ACallIsCancelledByItsHandle) {
  Mailbox<InfoDone> held;
  LoopbackServer server([&held](const InfoRequest&, std::string, InfoDone done) { held.Put(std::move(done)); });
  LoopbackClient client(server.port());
  Mailbox<InfoResult> answers;
  const UnaryCallHandle handle = client.Info("/a", [&answers](InfoResult reply) { answers.Put(std::move(reply)); });
  const InfoDone done = held.TakeOne();
  EXPECT_EQ(answers.size(), 0u);
  handle.Cancel();
  EXPECT_EQ(answers.TakeOne().status().code(), absl::StatusCode::kCancelled);
  done(Named("nobody hears this"));
  handle.Cancel();  // of a finished call: nothing
}

TEST(UnaryClientTest, HandlesMayOutliveTheClient) {
  LoopbackServer server(Echo);
  UnaryCallHandle handle;
  handle.Cancel();
  {
    LoopbackClient client(server.port());
    handle = client.Info("/a", [](InfoResult) {});
  }
  handle.Cancel();
}

TEST(UnaryClientTest, ASilentServerEndsAtTheDeadline) {
  Mailbox<InfoDone> held;
  LoopbackServer server([&held](const InfoRequest&, std::string, InfoDone done) { held.Put(std::move(done)); });
  LoopbackClient client(server.port());
  EXPECT_EQ(client.InfoNow("/a", {.timeout = std::chrono::milliseconds(30)}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(UnaryClientTest, CallbacksMayMakeTheNextCall) {
  LoopbackServer server(Echo);
  LoopbackClient client(server.port());
  Mailbox<std::string> finished;
  int left = 200;
  std::function<void(InfoResult)> next = [&](InfoResult reply) {
    if (!reply.ok() || --left == 0) {
      finished.Put(reply.status().ToString());
      return;
    }
    client.Info("/a", next);
  };
  client.Info("/a", next);
  EXPECT_EQ(finished.TakeOne(), "OK");
  EXPECT_EQ(left, 0);
}

TEST(UnaryClientTest, ShutdownCancelsWhatIsUnderWayAndRunsEveryCallback) {
  Mailbox<InfoDone> held;
  LoopbackServer server([&held](const InfoRequest&, std::string, InfoDone done) { held.Put(std::move(done)); });
  LoopbackClient client(server.port());
  std::atomic<int> cancelled = 0;
  for (int i = 0; i < 20; ++i) {
    client.Info("/a", [&cancelled](InfoResult reply) {
      if (reply.status().code() == absl::StatusCode::kCancelled) ++cancelled;
    });
  }
  client.client().Shutdown();
  EXPECT_EQ(cancelled, 20);
  // From now on calls are refused at once.
  client.Info("/a", [&cancelled](InfoResult reply) {
    EXPECT_EQ(ReasonOf(reply.status()), ErrorReason::kCancelled);
    ++cancelled;
  });
  EXPECT_EQ(cancelled, 21);
  client.client().Shutdown();
}

TEST(UnaryClientTest, CallsFromManyThreadsRacingAShutdownAllGetTheirCallback) {
  for (int round = 0; round < 10; ++round) {
    LoopbackServer server(Echo);
    LoopbackClient client(server.port());
    std::atomic<int> made = 0;
    std::atomic<int> answered = 0;
    std::atomic<bool> stop = false;
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i) {
      callers.emplace_back([&] {
        while (!stop) {
          if (made - answered > 64) {
            std::this_thread::yield();
            continue;
          }
          ++made;
          client.Info("/a", [&answered](InfoResult) { ++answered; });
        }
      });
    }
    EXPECT_TRUE(Eventually([&] { return answered > 50; }));
    client.client().Shutdown();
    stop = true;
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(made, answered);
  }
}

}  // namespace
}  // namespace dolmen::rpc
