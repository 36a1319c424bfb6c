#include "common/rpc/unary_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "grpcpp/generic/generic_stub.h"
#include "tests/unit/common/rpc/loopback.h"

namespace dolmen::rpc {
namespace {

using ::testing::HasSubstr;

// Keeps every call unanswered.
class Holder {
 public:
  UnaryHandler<InfoRequest, InfoReply> Handler() {
    return [this](const InfoRequest&, std::string, InfoDone done) { held_.Put(std::move(done)); };
  }
  Mailbox<InfoDone>& held() { return held_; }

 private:
  Mailbox<InfoDone> held_;
};

TEST(UnaryServerTest, AnswersCallsAndSaysWhereTheyCameFrom) {
  LoopbackServer server([](const InfoRequest& request, std::string peer_host, InfoDone done) {
    done(Named(request.path() + " from " + peer_host));
  });
  LoopbackClient client(server.port());
  const InfoResult reply = client.InfoNow("/a");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->status().name(), "/a from 127.0.0.1");
  EXPECT_TRUE(client.HeartbeatNow().ok());
}

TEST(UnaryServerTest, ErrorsArriveWithCodeReasonAndText) {
  LoopbackServer server([](const InfoRequest&, std::string, InfoDone done) {
    done(MakeError(ErrorReason::kSafeMode, "Name node is in safe mode."));
  });
  LoopbackClient client(server.port());
  const absl::Status status = client.InfoNow("/a").status();
  EXPECT_EQ(status, MakeError(ErrorReason::kSafeMode, "Name node is in safe mode."));
}

TEST(UnaryServerTest, TheLongestErrorTextArrives) {
  std::string text;
  while (text.size() + 3 <= kMaxStatusMessageBytes) text += "\xE2\x82\xAC";
  LoopbackServer server(
      [&text](const InfoRequest&, std::string, InfoDone done) { done(MakeError(ErrorReason::kNoDatanodes, text)); });
  LoopbackClient client(server.port());
  const absl::Status status = client.InfoNow("/a").status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kNoDatanodes);
  EXPECT_TRUE(MessageOf(status) == text) << status;
}

TEST(UnaryServerTest, SixtyFourCallsAtOnceAreAnsweredInAnyOrderFromAnyThread) {
  constexpr size_t kCalls = 64;
  Mailbox<std::pair<std::string, InfoDone>> held;
  LoopbackServer server([&held](const InfoRequest& request, std::string, InfoDone done) {
    held.Put({request.path(), std::move(done)});
  });
  LoopbackClient client(server.port());
  Mailbox<std::pair<std::string, std::string>> answers;
  for (size_t i = 0; i < kCalls; ++i) {
    const std::string path = "/" + std::to_string(i);
    client.Info(path, [path, &answers](InfoResult reply) {
      answers.Put({path, reply.ok() ? reply->status().name() : reply.status().ToString()});
    });
  }
  std::vector<std::pair<std::string, InfoDone>> calls = held.TakeAtLeast(kCalls);
  ASSERT_EQ(calls.size(), kCalls);
  std::vector<std::thread> threads;
  for (size_t part = 0; part < 4; ++part) {
    threads.emplace_back([&calls, part] {
      for (size_t i = part; i < kCalls; i += 4) {
        auto& [path, done] = calls[kCalls - 1 - i];
        done(Named(path));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& [asked, answered] : answers.TakeAtLeast(kCalls)) EXPECT_EQ(asked, answered);
}

TEST(UnaryServerTest, CallsBeyondTheBoundAreToldBusyAtOnce) {
  Holder holder;
  LoopbackServer server(holder.Handler(), {.posted_calls_per_method = 4, .max_calls = 2});
  LoopbackClient client(server.port());
  Mailbox<InfoResult> answers;
  for (int i = 0; i < 3; ++i) client.Info("/a", [&answers](InfoResult reply) { answers.Put(std::move(reply)); });
  const InfoResult refused = answers.TakeOne();
  EXPECT_EQ(ReasonOf(refused.status()), ErrorReason::kBusy);
  EXPECT_THAT(std::string(MessageOf(refused.status())), HasSubstr("2 unanswered calls (clients)"));
  for (const InfoDone& done : holder.held().TakeAtLeast(2)) done(Named("x"));
  for (const InfoResult& reply : answers.TakeAtLeast(2)) EXPECT_TRUE(reply.ok()) << reply.status();
  // Room again.
  client.Info("/a", [&answers](InfoResult reply) { answers.Put(std::move(reply)); });
  holder.held().TakeOne()(Named("y"));
  EXPECT_TRUE(answers.TakeOne().ok());
}

TEST(UnaryServerTest, AQueueThatIsStuckDoesNotDelayTheOther) {
  Mailbox<int> stuck;
  Mailbox<int> release;
  LoopbackServer server([&](const InfoRequest&, std::string, InfoDone done) {
    stuck.Put(1);
    release.TakeOne();
    done(Named("late"));
  });
  LoopbackClient client(server.port());
  Mailbox<InfoResult> answers;
  client.Info("/a", [&answers](InfoResult reply) { answers.Put(std::move(reply)); });
  stuck.TakeOne();
  EXPECT_TRUE(client.HeartbeatNow().ok());
  EXPECT_EQ(answers.size(), 0u);
  release.Put(1);
  EXPECT_TRUE(answers.TakeOne().ok());
}

TEST(UnaryServerTest, ADeadlineEndsTheCallAndALateAnswerIsHarmless) {
  Mailbox<InfoDone> late;
  LoopbackServer server([&late](const InfoRequest& request, std::string, InfoDone done) {
    if (request.path() == "/a") return late.Put(std::move(done));
    done(Named("b"));
  });
  LoopbackClient client(server.port());
  EXPECT_TRUE(client.HeartbeatNow().ok());  // connected
  const InfoResult reply = client.InfoNow("/a", {.timeout = std::chrono::milliseconds(100)});
  EXPECT_EQ(reply.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(client.InfoNow("/b").ok());
  for (const InfoDone& done : late.TakeAtLeast(0)) done(Named("late"));
  EXPECT_TRUE(client.InfoNow("/b").ok());
}

TEST(UnaryServerTest, ACallWhoseHandlerForgetsItIsAnsweredUnavailable) {
  LoopbackServer server([](const InfoRequest&, std::string, InfoDone) {});
  LoopbackClient client(server.port());
  const absl::Status status = client.InfoNow("/a").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(MessageOf(status)), HasSubstr("without an answer"));
}

TEST(UnaryServerTest, ShutdownWithCallsPendingDropsTheirAnswers) {
  Holder holder;
  auto server = std::make_unique<LoopbackServer>(holder.Handler());
  LoopbackClient client(server->port());
  Mailbox<InfoResult> answers;
  for (int i = 0; i < 10; ++i) client.Info("/a", [&answers](InfoResult reply) { answers.Put(std::move(reply)); });
  std::vector<InfoDone> dones = holder.held().TakeAtLeast(10);
  server->Shutdown();
  for (const InfoResult& reply : answers.TakeAtLeast(10)) EXPECT_FALSE(reply.ok());
  dones[0](Named("too late"));
  server.reset();
  dones[1](Named("even later"));
  dones[2](MakeError(ErrorReason::kIo, "an error, later still"));
  dones.clear();  // the rest is never answered
}

TEST(UnaryServerTest, ShutdownWithGraceLetsCallsFinish) {
  Mailbox<InfoDone> held;
  LoopbackServer server([&held](const InfoRequest& request, std::string, InfoDone done) {
    if (request.path() == "/a") return held.Put(std::move(done));
    done(Named("at once"));
  });
  LoopbackClient client(server.port());
  Mailbox<InfoResult> answers;
  client.Info("/a", [&answers](InfoResult reply) { answers.Put(std::move(reply)); });
  const InfoDone done = held.TakeOne();
  std::thread stopper([&server] { server.Shutdown(std::chrono::seconds(30)); });
  // Once new calls are refused, the shutdown is under way.
  EXPECT_TRUE(Eventually([&] { return !client.InfoNow("/b", {.timeout = std::chrono::seconds(2)}).ok(); }));
  done(Named("in time"));
  const InfoResult reply = answers.TakeOne();
  EXPECT_TRUE(reply.ok()) << reply.status();
  stopper.join();
}

TEST(UnaryServerTest, ShutdownUnderLoadIsCleanEveryTime) {
  for (int round = 0; round < 20; ++round) {
    // Half of the calls are answered by another thread, which goes on after the shutdown.
    Mailbox<InfoDone> held;
    std::atomic<bool> stop = false;
    std::thread answerer([&] {
      while (!stop) {
        for (const InfoDone& done : held.TakeAtLeast(0)) done(Named("other"));
        std::this_thread::yield();
      }
      for (const InfoDone& done : held.TakeAtLeast(0)) done(Named("after"));
    });
    std::atomic<int> turn = 0;
    auto server = std::make_unique<LoopbackServer>(
        [&](const InfoRequest& request, std::string peer, InfoDone done) {
          if (turn++ % 2 == 0) {
            held.Put(std::move(done));
          } else {
            Echo(request, peer, std::move(done));
          }
        },
        UnaryQueueOptions{.posted_calls_per_method = 2});
    LoopbackClient client(server->port());
    std::atomic<int> answered = 0;
    std::function<void()> call = [&] {
      client.Info("/a", [&](InfoResult reply) {
        ++answered;
        if (reply.ok()) call();
      });
    };
    for (int i = 0; i < 16; ++i) call();
    EXPECT_TRUE(Eventually([&] { return answered > 100; }));
    server->Shutdown();
    server.reset();
    client.client().Shutdown();
    stop = true;
    answerer.join();
  }
}

TEST(UnaryServerTest, RequestsThatAreNoMessageAreRefusedAndServiceGoesOn) {
  LoopbackServer server(Echo);
  LoopbackClient client(server.port());
  grpc::GenericStub raw(client.channel());
  const std::string garbage("\xff\xff\xff\xff garbage");
  for (int i = 0; i < 40; ++i) {  // more often than calls are posted
    const grpc::Slice slice(garbage);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer reply;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    grpc::CompletionQueue queue;
    auto call = raw.PrepareUnaryCall(&context, "/dolmen.v1.ClientNamenode/GetFileInfo", request, &queue);
    call->StartCall();
    grpc::Status status;
    call->Finish(&reply, &status, nullptr);
    void* tag;
    bool ok;
    ASSERT_TRUE(queue.Next(&tag, &ok));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  }
  EXPECT_TRUE(client.InfoNow("/a").ok());
}

TEST(UnaryServerTest, MessagesOverTheBoundAreRefused) {
  LoopbackServer server(Echo);
  LoopbackClient client(server.port());
  const absl::Status status = client.InfoNow(std::string(kMaxControlMessageBytes, 'x')).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(client.InfoNow(std::string(kMaxControlMessageBytes - 100, 'x')).ok());
}

TEST(UnaryServerTest, AUsedPortIsAClearError) {
  LoopbackServer server(Echo);
  v1::ClientNamenode::AsyncService service;
  UnaryServer second;
  second.AddService(&service);
  second.AddQueue("clients", {})->AddMethod(&service, &v1::ClientNamenode::AsyncService::RequestGetFileInfo, Echo);
  const absl::StatusOr<uint16_t> port = second.Listen("127.0.0.1", server.port());
  ASSERT_FALSE(port.ok());
  EXPECT_EQ(port.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(MessageOf(port.status())),
              HasSubstr("cannot listen on 127.0.0.1:" + std::to_string(server.port())));
}

TEST(UnaryServerTest, AServerThatNeverListenedStopsCleanly) {
  v1::ClientNamenode::AsyncService service;
  UnaryServer server;
  server.AddService(&service);
  server.AddQueue("clients", {})->AddMethod(&service, &v1::ClientNamenode::AsyncService::RequestGetFileInfo, Echo);
}

TEST(UnaryServerTest, HostsOfPeersAreBareAddresses) {
  EXPECT_EQ(HostOfPeer("ipv4:10.0.0.7:4711"), "10.0.0.7");
  EXPECT_EQ(HostOfPeer("ipv6:%5B::1%5D:4711"), "::1");
  EXPECT_EQ(HostOfPeer("ipv6:[fe80::1]:4711"), "fe80::1");
  EXPECT_EQ(HostOfPeer("unix:/run/dolmen.sock"), "localhost");
  EXPECT_EQ(HostOfPeer(""), "localhost");
}

TEST(UnaryServerDeathTest, AnsweringTwiceStopsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto answer_twice = [] {
    LoopbackServer server([](const InfoRequest& request, std::string, InfoDone done) {
      done(Named(request.path()));
      done(Named(request.path()));
    });
    LoopbackClient client(server.port());
    (void)client.InfoNow("/a");
    (void)client.InfoNow("/b");
  };
  EXPECT_DEATH(answer_twice(), "answered twice");
}

}  // namespace
}  // namespace dolmen::rpc
