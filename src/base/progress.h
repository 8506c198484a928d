// Progress with an ETA, on stderr: a bar on a terminal, a plain line now and then otherwise, JSON
// lines on request. Results go to stdout, progress never does.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sinter {

enum class ProgressMode { automatic, bar, plain, json, none };

// The process-wide choice (a flag of every command). Automatic: bar on a terminal, else plain.
void set_progress_mode(ProgressMode mode);
ProgressMode parse_progress_mode(const std::string& name);  // Error(bad_input, "progress-mode")

class Progress {
 public:
  // `total` in `unit`s ("items", "layers", "MiB"); 0 = unknown.
  Progress(std::string task, int64_t total, std::string unit);
  ~Progress();  // finishes the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void advance(int64_t n = 1, const std::string& note = "");

 private:
  void show(bool last);

  std::string task_;
  std::string unit_;
  std::string note_;
  int64_t total_;
  int64_t done_ = 0;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point shown_;
  ProgressMode mode_;
};

}  // namespace sinter
