// Texts that end an answer, wherever the borders of tokens fall. What the answer's text is does not
// depend on how it was cut into pieces: it ends before the first stop string that is complete, of
// those that are complete at the same place the longest.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sinter {

class StopStrings {
 public:
  // Throws Error(bad_input, "stop-string") on an empty or too long one, or too many.
  explicit StopStrings(std::vector<std::string> stops);

  // Takes the next piece of text and gives what is certain to belong to the answer: only what may
  // still become a stop string is held back. After found() nothing comes.
  std::string push(std::string_view text);
  // The next piece of text when nothing may stop yet: no stop string begins in it.
  std::string pass(std::string_view text);
  // What was held back. The text has ended.
  std::string finish();

  bool found() const { return !found_.empty(); }
  const std::string& which() const { return found_; }  // "" if none

 private:
  std::vector<std::string> stops_;
  std::string held_;
  std::string found_;
};

}  // namespace sinter
