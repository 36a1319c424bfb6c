#include "common/rpc/status_grpc.h"

#include <gtest/gtest.h>

#include "proto/types.pb.h"

namespace dolmen::rpc {
namespace {

constexpr int kCodes = 16;    // canonical codes beside OK
constexpr int kReasons = 32;  // ErrorReason without kNone

TEST(StatusGrpcTest, EveryCodeAndReasonSurvivesARoundTrip) {
  for (int code = 1; code <= kCodes; ++code) {
    for (int reason = 0; reason <= kReasons; ++reason) {
      const absl::Status before =
          MakeError(static_cast<absl::StatusCode>(code), static_cast<ErrorReason>(reason), "what happened");
      const grpc::Status wire = ToGrpc(before);
      EXPECT_EQ(static_cast<int>(wire.error_code()), code);
      const absl::Status after = FromGrpc(wire);
      EXPECT_EQ(after.code(), before.code()) << code;
      EXPECT_EQ(ReasonOf(after), static_cast<ErrorReason>(reason)) << reason;
      EXPECT_EQ(MessageOf(after), "what happened");
    }
  }
}

TEST(StatusGrpcTest, TheListOfReasonsIsComplete) {
  EXPECT_EQ(ReasonFromWire(kReasons), ErrorReason::kCancelled);
  EXPECT_EQ(static_cast<int>(ErrorReason::kCancelled), kReasons);
}

TEST(StatusGrpcTest, OkStaysOk) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
}

TEST(StatusGrpcTest, CodesOutsideOfTheTableBecomeUnknown) {
  EXPECT_EQ(FromGrpcCode(static_cast<grpc::StatusCode>(77)), absl::StatusCode::kUnknown);
  EXPECT_EQ(ToGrpcCode(static_cast<absl::StatusCode>(77)), grpc::StatusCode::UNKNOWN);
}

TEST(StatusGrpcTest, ReasonsOfANewerPeerAreDroppedAndTheCodeStays) {
  v1::ErrorDetails details;
  details.set_reason(60'000);
  const absl::Status status = FromGrpc(grpc::Status(grpc::StatusCode::ABORTED, "text", details.SerializeAsString()));
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kNone);
}

TEST(StatusGrpcTest, GarbageInTheDetailsIsIgnored) {
  const absl::Status status = FromGrpc(grpc::Status(grpc::StatusCode::NOT_FOUND, "text", "\xff\xff\xff"));
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kNone);
}

TEST(StatusGrpcTest, LongMessagesAreCutBetweenCharacters) {
  std::string text;
  while (text.size() <= kMaxStatusMessageBytes) text += "\xE2\x82\xAC";  // euro signs
  const grpc::Status wire = ToGrpc(MakeError(ErrorReason::kIo, text));
  EXPECT_LE(wire.error_message().size(), kMaxStatusMessageBytes);
  EXPECT_EQ(wire.error_message().substr(wire.error_message().size() - 6), "\xE2\x82\xAC...");
}

TEST(StatusGrpcTest, ShortTextsAreNotCut) {
  EXPECT_EQ(Shortened("abc", 3), "abc");
  EXPECT_EQ(Shortened("abcdef", 5), "ab...");
  EXPECT_EQ(Shortened("\x80\x80\x80\x80", 3), "...");
}

}  // namespace
}  // namespace dolmen::rpc
