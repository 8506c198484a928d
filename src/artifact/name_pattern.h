// Names of modules as quantisation configs and recipes write them: an exact name, a `re:` regular
// expression matched from the start of the name (as Python's re.match), or, in recipes and
// ModelOpt's lists, a glob.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace sinter {

class NamePattern {
 public:
  enum class Globs { no, yes };  // whether * and ? in a plain pattern stand for other characters

  // `where` begins the message of Error(bad_input, "pattern-syntax").
  NamePattern(std::string text, Globs globs, const std::string& where);

  const std::string& text() const { return text_; }
  bool is_exact() const { return kind_ == Kind::exact; }
  // Throws Error(bad_input, "pattern-too-hard") if a regular expression exceeds its budget.
  bool matches(std::string_view name) const;

 private:
  enum class Kind { exact, glob, regex };
  struct Regex;
  std::string text_;
  Kind kind_ = Kind::exact;
  std::shared_ptr<const Regex> regex_;
};

}  // namespace sinter
