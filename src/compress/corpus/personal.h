// Personal data and secrets in traces, found and replaced by stand-ins that say only their kind:
// [EMAIL], [CARD] ... What was found is counted, and never kept, printed or put into an error.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace sinter {

using KindCounts = std::map<std::string, int64_t>;

class Redactor {
 public:
  // `extra`: "NAME=REGEX" (PCRE2; its first group, if it has one, is what gets replaced), tried
  // before the built-in kinds. Throws Error(bad_input, "corpus-redact").
  explicit Redactor(const std::vector<std::string>& extra = {});
  ~Redactor();
  Redactor(Redactor&&) noexcept;
  Redactor& operator=(Redactor&&) noexcept;

  const std::vector<std::string>& kinds() const { return kinds_; }

  // `text` must be UTF-8. Text that is one JSON document stays one: strings and numbers in it are
  // replaced each as a whole value. Throws Error(exhausted, "corpus-redact-limit") where an
  // expression takes unreasonably long.
  std::string redact(std::string_view text, KindCounts& counts) const;
  // The same for every string, key and number of a value, messages and tools for instance.
  void redact(Json& value, KindCounts& counts) const;

 private:
  struct Kind;
  std::string redact_plain(std::string text, KindCounts& counts) const;
  std::string redact_document(std::string_view json, KindCounts& counts) const;
  void redact_value(Json& value, std::string_view key, KindCounts& counts) const;
  std::vector<Kind> list_;
  std::vector<std::string> kinds_;
};

}  // namespace sinter
