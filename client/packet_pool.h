// Payload memory that is used again: allocating and freeing megabytes per packet would cost more than filling them.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "client/core/packet_builder.h"
#include "common/mutex.h"

namespace dolmen::client {

// Thread-safe. Memory handed out may outlive the pool.
class PacketPool final : public PacketMemory {
 public:
  // All buffers have `buffer_bytes`; at most `max_idle` of them are kept while nobody uses them.
  PacketPool(size_t buffer_bytes, size_t max_idle)
      : idle_(std::make_shared<Idle>(max_idle)), buffer_bytes_(buffer_bytes) {}

  // bytes <= buffer_bytes.
  std::shared_ptr<char[]> Take(size_t bytes) override;

 private:
  struct Idle {
    explicit Idle(size_t most) : max_idle(most) {}
    const size_t max_idle;
    Mutex mutex;
    std::vector<std::unique_ptr<char[]>> buffers ABSL_GUARDED_BY(mutex);
  };
  const std::shared_ptr<Idle> idle_;
  const size_t buffer_bytes_;
};

}  // namespace dolmen::client
