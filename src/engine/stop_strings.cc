#include "engine/stop_strings.h"

#include <algorithm>

#include "base/error.h"

namespace sinter {
namespace {

constexpr size_t kMostStops = 64, kLongest = 1024;

}  // namespace

StopStrings::StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {
  if (stops_.size() > kMostStops) {
    fail(Fault::bad_input, "stop-string", "stop strings: expected at most {}, found {}", kMostStops,
         stops_.size());
  }
  for (const std::string& stop : stops_) {
    if (stop.empty() || stop.size() > kLongest) {
      fail(Fault::bad_input, "stop-string",
           "stop strings: expected 1 to {} bytes, found {}; an empty one would end every answer at "
           "once",
           kLongest, stop.size());
    }
  }
}

std::string StopStrings::push(std::string_view text) {
  if (found()) return "";
  const size_t seen = held_.size();
  held_ += text;
  for (size_t end = seen + 1; end <= held_.size(); ++end) {
    const std::string_view so_far = std::string_view(held_).substr(0, end);
    for (const std::string& stop : stops_) {
      if (so_far.ends_with(stop) && stop.size() > found_.size()) found_ = stop;
    }
    if (found()) return held_.substr(0, end - found_.size());
  }
  // The longest end of the text that some stop string begins with.
  size_t hold = 0;
  for (const std::string& stop : stops_) {
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > hold; --n) {
      if (held_.ends_with(std::string_view(stop).substr(0, n))) hold = n;
    }
  }
  std::string certain = held_.substr(0, held_.size() - hold);
  held_.erase(0, held_.size() - hold);
  return certain;
}

std::string StopStrings::pass(std::string_view text) {
  std::string certain = std::move(held_) + std::string(text);
  held_.clear();
  return certain;
}

std::string StopStrings::finish() { return found() ? "" : std::move(held_); }

}  // namespace sinter
