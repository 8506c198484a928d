#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "base/json.h"

namespace sinter {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

ProgressMode g_mode = ProgressMode::automatic;

std::string duration(double seconds) {
  const auto s = std::llround(seconds);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}:{:02} min", s / 60, s % 60);
  return fmt::format("{}:{:02} h", s / 3600, s / 60 % 60);
}

}  // namespace

void set_progress_mode(ProgressMode mode) { g_mode = mode; }

ProgressMode parse_progress_mode(const std::string& name) {
  if (name == "auto") return ProgressMode::automatic;
  if (name == "bar") return ProgressMode::bar;
  if (name == "plain") return ProgressMode::plain;
  if (name == "json") return ProgressMode::json;
  if (name == "none") return ProgressMode::none;
  fail(Fault::bad_input, "progress-mode",
       "--progress: expected auto, bar, plain, json or none, found \"{}\"", name);
}

Progress::Progress(std::string task, int64_t total, std::string unit)
    : task_(std::move(task)),
      unit_(std::move(unit)),
      total_(total),
      start_(Clock::now()),
      shown_(start_),
      mode_(g_mode) {
  if (mode_ == ProgressMode::automatic) {
    mode_ = ::isatty(2) != 0 ? ProgressMode::bar : ProgressMode::plain;
  }
}

Progress::~Progress() {
  if (done_ > 0) show(true);
}

void Progress::advance(int64_t n, const std::string& note) {
  done_ += n;
  note_ = note;
  const double pause = mode_ == ProgressMode::bar ? 0.1 : mode_ == ProgressMode::json ? 1 : 5;
  if (Seconds(Clock::now() - shown_).count() >= pause) show(false);
}

void Progress::show(bool last) {
  if (mode_ == ProgressMode::none) return;
  shown_ = Clock::now();
  const double elapsed = Seconds(shown_ - start_).count();
  const double eta = total_ > 0 && done_ > 0
                         ? elapsed * static_cast<double>(std::max<int64_t>(0, total_ - done_)) /
                               static_cast<double>(done_)
                         : 0;
  if (mode_ == ProgressMode::json) {
    Json line = {{"event", "progress"}, {"task", task_},   {"done", done_},
                 {"total", total_},     {"unit", unit_},   {"elapsed_s", elapsed},
                 {"eta_s", eta},        {"finished", last}};
    if (!note_.empty()) line["note"] = note_;
    fmt::print(stderr, "{}\n", to_line(line));
    return;
  }
  const std::string count = total_ > 0 ? fmt::format("{}/{} {}", done_, total_, unit_)
                                       : fmt::format("{} {}", done_, unit_);
  const std::string time =
      last ? fmt::format("in {}", duration(elapsed))
           : (total_ > 0 ? fmt::format("ETA {}", duration(eta)) : duration(elapsed));
  if (mode_ == ProgressMode::plain) {
    fmt::print(stderr, "{}: {}, {}{}{}\n", task_, count, time, note_.empty() ? "" : ", ", note_);
    return;
  }
  constexpr int kWidth = 24;
  const int filled = total_ > 0 ? static_cast<int>(kWidth * std::min(done_, total_) / total_) : 0;
  std::string bar;
  for (int i = 0; i < kWidth; ++i) bar += i < filled ? "━" : "┄";
  fmt::print(stderr, "\r\x1b[2K{} {} {}, {} {}{}", task_, bar, count, time, note_,
             last ? "\n" : "");
  std::fflush(stderr);
}

}  // namespace sinter
