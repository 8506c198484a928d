// A regular expression (PCRE2, UTF-8) of an item, under limits: an expression from a suite file may
// be slow on an answer nobody foresaw, and then the item is an error, never a hang and never a
// zero.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace sinter {

class ItemPattern {
 public:
  // Throws Error(bad_input, "pattern-syntax"), the message beginning with `where`.
  ItemPattern(const std::string& expression, const std::string& where);
  ~ItemPattern();
  ItemPattern(ItemPattern&&) noexcept;
  ItemPattern& operator=(ItemPattern&&) noexcept;

  // Text that is not UTF-8 matches nothing. Throws Error(exhausted, "pattern-limit") when the
  // search takes more than a fixed number of steps.
  bool search(std::string_view text) const;      // anywhere in the text
  bool full_match(std::string_view text) const;  // all of it

 private:
  struct Compiled;
  bool run(std::string_view text, uint32_t options) const;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace sinter
