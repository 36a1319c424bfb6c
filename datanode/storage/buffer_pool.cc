#include "datanode/storage/buffer_pool.h"

#include <new>

namespace dolmen::datanode {
namespace {

constexpr std::align_val_t kAlignment{4096};  // a page: also what O_DIRECT asks for

}  // namespace

struct BufferPool::Buffer::State {
  State(size_t buffer_bytes, size_t kept) : bytes(buffer_bytes), limit(kept) {}
  ~State() {
    for (char* data : free) ::operator delete(data, kAlignment);
  }

  const size_t bytes;
  const size_t limit;
  Mutex mutex;
  std::vector<char*> free ABSL_GUARDED_BY(mutex);
};

void BufferPool::Buffer::Return::operator()(char* data) const {
  {
    MutexLock lock(&state->mutex);
    if (state->free.size() < state->limit) {
      state->free.push_back(data);
      return;
    }
  }
  ::operator delete(data, kAlignment);
}

BufferPool::BufferPool(size_t buffer_bytes, size_t kept)
    : state_(std::make_shared<Buffer::State>(buffer_bytes, kept)) {}

BufferPool::Buffer BufferPool::Take() {
  char* data = nullptr;
  {
    MutexLock lock(&state_->mutex);
    if (!state_->free.empty()) {
      data = state_->free.back();
      state_->free.pop_back();
    }
  }
  if (data == nullptr) data = static_cast<char*>(::operator new(state_->bytes, kAlignment));
  return Buffer(std::unique_ptr<char, Buffer::Return>(data, Buffer::Return{state_}), state_->bytes);
}

absl::Cord BufferPool::Buffer::ToCord(size_t size) && {
  // The releaser owns the buffer; it is copied by nobody, but absl wants it copyable.
  auto owner = std::make_shared<std::unique_ptr<char, Return>>(std::move(data_));
  const absl::string_view view(owner->get(), size);
  return absl::MakeCordFromExternal(view, [owner](absl::string_view) mutable { owner.reset(); });
}

}  // namespace dolmen::datanode
