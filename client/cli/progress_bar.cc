#include "client/cli/progress_bar.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace dolmen::cli {
namespace {

constexpr size_t kDefaultColumns = 80;
constexpr char kErase[] = "\r\x1b[K";  // to the line's begin, and clear it

size_t Columns(int terminal) {
  winsize size{};
  return ioctl(terminal, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kDefaultColumns;
}

// Another process owns the terminal now, e.g. the shell after Ctrl-Z and bg.
bool InBackground(int terminal) {
  const pid_t group = tcgetpgrp(terminal);
  return group > 0 && group != getpgrp();
}

}  // namespace

ProgressBar::ProgressBar(int terminal) : terminal_(terminal), thread_([this] { Run(); }) {}

ProgressBar::~ProgressBar() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  stop_.SignalAll();
  thread_.join();
  MutexLock lock(&terminal_mutex_);
  Erase();
}

void ProgressBar::FileFound(uint64_t bytes) {
  MutexLock lock(&mutex_);
  ++state_.files_found;
  state_.bytes_found += bytes;
}

void ProgressBar::StreamFound() {
  MutexLock lock(&mutex_);
  ++state_.files_found;
  state_.length_known = false;
}

void ProgressBar::AllFound() {
  MutexLock lock(&mutex_);
  state_.all_found = true;
}

void ProgressBar::Copied(uint64_t bytes) {
  MutexLock lock(&mutex_);
  state_.bytes_done += bytes;
}

void ProgressBar::FileEnded(uint64_t found, uint64_t copied) {
  MutexLock lock(&mutex_);
  ++state_.files_done;
  state_.bytes_found += copied - found;  // modulo 2^64: it may become less
}

void ProgressBar::Print(const std::function<void()>& print) {
  MutexLock lock(&terminal_mutex_);
  Erase();
  print();
}

void ProgressBar::Run() {
  {
    MutexLock lock(&terminal_mutex_);
    rate_.Add(std::chrono::milliseconds(0), 0);
  }
  std::chrono::milliseconds pause = kFirst;
  while (true) {
    {
      MutexLock lock(&mutex_);
      const auto until = std::chrono::steady_clock::now() + pause;
      for (auto now = std::chrono::steady_clock::now(); !stopping_ && now < until;
           now = std::chrono::steady_clock::now()) {
        stop_.WaitFor(&mutex_, until - now);
      }
      if (stopping_) return;
    }
    Draw();
    pause = kEvery;
  }
}

void ProgressBar::Draw() {
  MutexLock lock(&terminal_mutex_);
  ProgressState state;
  {
    MutexLock state_lock(&mutex_);
    state = state_;
  }
  const auto now = std::chrono::steady_clock::now() - begin_;
  rate_.Add(std::chrono::duration_cast<std::chrono::milliseconds>(now), state.bytes_done);
  if (InBackground(terminal_)) return;
  const std::string line = FormatProgress(state, rate_.BytesPerSecond(), Columns(terminal_));
  WriteToTerminal(absl::StrCat(kErase, line));
  drawn_ = true;
}

void ProgressBar::Erase() {
  if (!std::exchange(drawn_, false)) return;
  WriteToTerminal(kErase);
}

void ProgressBar::WriteToTerminal(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(terminal_, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;  // the terminal is gone; the copy goes on
    text.remove_prefix(static_cast<size_t>(count));
  }
}

}  // namespace dolmen::cli
