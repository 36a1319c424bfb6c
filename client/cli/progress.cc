#include "client/cli/progress.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/format.h"

namespace dolmen::cli {
namespace {

constexpr size_t kMinBar = 10;
constexpr size_t kMaxBar = 30;
constexpr std::chrono::seconds kMaxShown{99 * 3600 + 59 * 60 + 59};

std::string Size(uint64_t bytes) { return WithBinaryPrefix(bytes, "B", 1); }

// 0..scale; `scale` only when everything is done.
uint64_t Share(const ProgressState& state, uint64_t scale) {
  const bool by_bytes = state.bytes_found > 0;
  const uint64_t whole = by_bytes ? state.bytes_found : state.files_found;
  const uint64_t part = std::min(whole, by_bytes ? state.bytes_done : state.files_done);
  if (whole == 0) return scale;
  return static_cast<uint64_t>(static_cast<unsigned __int128>(part) * scale / whole);
}

std::string Bar(const ProgressState& state, size_t width) {
  const auto filled = static_cast<size_t>(Share(state, width));
  std::string bar(filled, '=');
  if (filled < width) bar += '>';
  bar.resize(width, ' ');
  return absl::StrCat("[", bar, "]");
}

}  // namespace

std::string FormatDuration(std::chrono::seconds time) {
  const auto seconds = static_cast<long>(std::clamp(time, std::chrono::seconds(0), kMaxShown).count());
  char text[32];
  if (seconds < 3600) {
    std::snprintf(text, sizeof text, "%ld:%02ld", seconds / 60, seconds % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", seconds / 3600, seconds / 60 % 60, seconds % 60);
  }
  return text;
}

std::string FormatProgress(const ProgressState& state, uint64_t bytes_per_second, size_t columns) {
  if (columns < 2) return "";
  const size_t room = columns - 1;
  const bool whole_known = state.all_found && state.length_known;
  const uint64_t left = state.bytes_found - std::min(state.bytes_found, state.bytes_done);

  std::string facts;
  if (state.files_found > 1) {
    absl::StrAppend(&facts, "  ", state.files_done, "/", state.files_found, state.all_found ? "" : "+", " files");
  }
  absl::StrAppend(&facts, "  ", Size(state.bytes_done));
  if (whole_known) absl::StrAppend(&facts, " / ", Size(state.bytes_found));
  if (bytes_per_second > 0) {
    absl::StrAppend(&facts, "  ", Size(bytes_per_second), "/s");
    if (whole_known) {
      const std::chrono::seconds time((left + bytes_per_second - 1) / bytes_per_second);
      absl::StrAppend(&facts, "  ", FormatDuration(time), " left");
    }
  }

  std::string line;
  if (whole_known) {
    char percent[8];
    std::snprintf(percent, sizeof percent, "%3u%%", static_cast<unsigned>(Share(state, 100)));
    line = percent;
    const size_t used = line.size() + facts.size() + 3;  // a space and two brackets
    if (room >= used + kMinBar) absl::StrAppend(&line, " ", Bar(state, std::min(kMaxBar, room - used)));
  }
  line += line.empty() ? facts.substr(2) : facts;
  return line.substr(0, room);
}

void RateMeter::Add(std::chrono::milliseconds now, uint64_t bytes) {
  samples_.emplace_back(now, bytes);
  // One sample at or before the window's begin stays.
  while (samples_.size() > 2 && samples_[1].first <= now - kWindow) samples_.pop_front();
}

uint64_t RateMeter::BytesPerSecond() const {
  if (samples_.size() < 2) return 0;
  const std::chrono::milliseconds time = samples_.back().first - samples_.front().first;
  const uint64_t begin = samples_.front().second;
  const uint64_t end = samples_.back().second;
  if (time < kLeast || end <= begin) return 0;
  return static_cast<uint64_t>(static_cast<unsigned __int128>(end - begin) * 1000 /
                               static_cast<uint64_t>(time.count()));
}

}  // namespace dolmen::cli
