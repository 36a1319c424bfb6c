#include "client/packet_pool.h"

#include <utility>

#include "common/check.h"

namespace dolmen::client {

std::shared_ptr<char[]> PacketPool::Take(size_t bytes) {
  DOLMEN_CHECK(bytes <= buffer_bytes_, "a packet larger than the pool's buffers");
  std::unique_ptr<char[]> buffer;
  {
    MutexLock lock(&idle_->mutex);
    if (!idle_->buffers.empty()) {
      buffer = std::move(idle_->buffers.back());
      idle_->buffers.pop_back();
    }
  }
  if (buffer == nullptr) buffer.reset(new char[buffer_bytes_]);
  return std::shared_ptr<char[]>(buffer.release(), [idle = idle_](char* memory) {
    std::unique_ptr<char[]> back(memory);
    MutexLock lock(&idle->mutex);
    if (idle->buffers.size() < idle->max_idle) idle->buffers.push_back(std::move(back));
  });
}

}  // namespace dolmen::client
