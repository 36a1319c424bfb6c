// The client library on three small datanodes and a namenode of the test (fake_servers.h).
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/dolmen/client.h"
#include "fake_servers.h"
#include "gtest/gtest.h"

namespace dolmen::testing {

class ClientFixture : public ::testing::Test {
 protected:
  ClientFixture() {
    for (int i = 1; i <= 3; ++i) {
      datanodes_.push_back(std::make_unique<FakeDatanode>(absl::StrCat("dn", i), &disk_));
      namenode_.datanodes.push_back(datanodes_.back().get());
    }
    Connect({});
  }
  void Connect(ClientOptions options) {
    absl::StatusOr<std::unique_ptr<FileSystemClient>> client = FileSystemClient::Connect(namenode_.Uri(), options);
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }
  absl::Status Write(const std::string& path, std::string_view content, size_t piece = SIZE_MAX) {
    absl::StatusOr<std::unique_ptr<OutputStream>> out = client_->Create(path, {});
    if (!out.ok()) return out.status();
    for (size_t at = 0; at < content.size(); at += std::min(piece, content.size() - at)) {
      if (absl::Status status = (*out)->Write(content.substr(at, piece)); !status.ok()) return status;
    }
    return (*out)->Close();
  }
  absl::StatusOr<std::string> Read(const std::string& path, size_t piece = 1 << 20) {
    absl::StatusOr<std::unique_ptr<InputStream>> in = client_->Open(path);
    if (!in.ok()) return in.status();
    std::string content;
    std::vector<char> buffer(piece);
    while (true) {
      const absl::StatusOr<size_t> got = (*in)->Read(buffer);
      if (!got.ok()) return got.status();
      if (*got == 0) return content;
      content.append(buffer.data(), *got);
    }
  }

  FakeDisk disk_;
  std::vector<std::unique_ptr<FakeDatanode>> datanodes_;
  FakeNamenode namenode_;
  std::unique_ptr<FileSystemClient> client_;
};

}  // namespace dolmen::testing
