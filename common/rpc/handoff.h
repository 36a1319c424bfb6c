// An object that gRPC passes from one of our threads to another goes through gRPC's own queues. Debian's gRPC is not
// built for ThreadSanitizer, which therefore does not see the order those queues give; these two tell it. Nothing in
// all other builds.
#pragma once

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace dolmen::rpc {

// Whatever this thread has done so far comes before what follows TakeFromGrpc of the same address on any thread.
inline void GiveToGrpc([[maybe_unused]] const void* object) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(const_cast<void*>(object));
#endif
}

inline void TakeFromGrpc([[maybe_unused]] const void* object) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(const_cast<void*>(object));
#endif
}

}  // namespace dolmen::rpc
