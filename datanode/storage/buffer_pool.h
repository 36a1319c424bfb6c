// Reused, page-aligned buffers: freshly mapped megabytes per packet would cost more than the copy into them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/strings/cord.h"
#include "common/mutex.h"

namespace dolmen::datanode {

// Thread-safe. Buffers may outlive the pool.
class BufferPool {
 public:
  // `buffer_bytes` of each buffer; at most `kept` free ones are held for reuse, the rest go back to the allocator.
  BufferPool(size_t buffer_bytes, size_t kept);

  // One buffer. Goes back to the pool when dropped, or when the Cord made of it (and all that share it) is gone.
  class Buffer {
   public:
    Buffer(Buffer&&) = default;
    Buffer& operator=(Buffer&&) = default;
    std::span<char> bytes() const { return {data_.get(), size_}; }
    // The first `size` bytes as a Cord that owns the buffer. No copy.
    absl::Cord ToCord(size_t size) &&;

   private:
    friend class BufferPool;
    struct State;
    struct Return {
      std::shared_ptr<State> state;
      void operator()(char* data) const;
    };
    Buffer(std::unique_ptr<char, Return> data, size_t size) : data_(std::move(data)), size_(size) {}
    std::unique_ptr<char, Return> data_;
    size_t size_;
  };

  Buffer Take();

 private:
  const std::shared_ptr<Buffer::State> state_;
};

}  // namespace dolmen::datanode
