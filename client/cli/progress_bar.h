// Shows on a terminal how a long copy goes on.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "client/cli/progress.h"
#include "common/mutex.h"

namespace dolmen::cli {

// Draws one line a few times a second, from half a second after its making on, and erases it in the end. Draws nothing
// while the process is in the background of its terminal. Thread-safe, but made and destroyed on one thread.
class ProgressBar {
 public:
  explicit ProgressBar(int terminal);  // a descriptor; not owned
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void FileFound(uint64_t bytes);
  void StreamFound();  // its length is not known
  void AllFound();
  void Copied(uint64_t bytes);
  // A file has ended, well or not: `copied` of the `found` bytes came.
  void FileEnded(uint64_t found, uint64_t copied);
  // Calls `print` while nothing is drawn: for what else goes to the terminal.
  void Print(const std::function<void()>& print);

  static constexpr std::chrono::milliseconds kFirst{500};
  static constexpr std::chrono::milliseconds kEvery{250};

 private:
  void Run();
  void Draw();
  void Erase() ABSL_EXCLUSIVE_LOCKS_REQUIRED(terminal_mutex_);
  void WriteToTerminal(std::string_view text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(terminal_mutex_);

  const int terminal_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();

  // Lock order: terminal_mutex_ before mutex_. A terminal can keep its writer waiting, so the copying threads take
  // only mutex_.
  Mutex terminal_mutex_;
  bool drawn_ ABSL_GUARDED_BY(terminal_mutex_) = false;
  RateMeter rate_ ABSL_GUARDED_BY(terminal_mutex_);

  Mutex mutex_;
  CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  ProgressState state_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;  // last: uses the rest
};

// One file's part in a bar; nothing happens without a bar. One thread only.
class FileProgress {
 public:
  // `bar` (may be null) was told of the file, with `found` bytes.
  FileProgress(ProgressBar* bar, uint64_t found) : bar_(bar), found_(found) {}
  ~FileProgress() {
    if (bar_ != nullptr) bar_->FileEnded(found_, copied_);
  }
  FileProgress(const FileProgress&) = delete;
  FileProgress& operator=(const FileProgress&) = delete;

  void Copied(uint64_t bytes) {
    copied_ += bytes;
    if (bar_ != nullptr) bar_->Copied(bytes);
  }

 private:
  ProgressBar* const bar_;  // not owned
  const uint64_t found_;
  uint64_t copied_ = 0;
};

}  // namespace dolmen::cli
