// PCRE2 behind one small class. Interpreted, not JIT: only the interpreter counts every step, and
// the same count on both models keeps a limit from deciding a comparison.
#include "gate/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"

namespace sinter {
namespace {

constexpr size_t kMaxPatternBytes = 16384;
constexpr uint32_t kMaxSteps = 2'000'000;  // a few tens of milliseconds
constexpr uint32_t kMaxDepth = 20'000;
constexpr uint32_t kMaxHeapKib = 65'536;

}  // namespace

struct ItemPattern::Compiled {
  pcre2_code* code = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_match_data* match = nullptr;
  std::string expression;
  ~Compiled() {
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
    pcre2_code_free(code);
  }
};

ItemPattern::ItemPattern(const std::string& expression, const std::string& where)
    : compiled_(std::make_unique<Compiled>()) {
  if (expression.size() > kMaxPatternBytes) {
    fail(Fault::bad_input, "pattern-syntax",
         "{}: expected a regular expression of at most {} bytes, found {}", where, kMaxPatternBytes,
         expression.size());
  }
  int error = 0;
  PCRE2_SIZE offset = 0;
  compiled_->expression = expression;
  compiled_->code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (compiled_->code == nullptr) {
    PCRE2_UCHAR text[256] = {};
    pcre2_get_error_message(error, text, sizeof text);
    fail(Fault::bad_input, "pattern-syntax",
         "{}: expected a PCRE2 regular expression, found \"{}\": at byte {}: {}", where,
         expression.substr(0, 80), offset, reinterpret_cast<const char*>(text));
  }
  compiled_->context = pcre2_match_context_create(nullptr);
  compiled_->match = pcre2_match_data_create(1, nullptr);
  SINTER_CHECK(compiled_->context != nullptr && compiled_->match != nullptr);
  pcre2_set_match_limit(compiled_->context, kMaxSteps);
  pcre2_set_depth_limit(compiled_->context, kMaxDepth);
  pcre2_set_heap_limit(compiled_->context, kMaxHeapKib);
}

ItemPattern::~ItemPattern() = default;
ItemPattern::ItemPattern(ItemPattern&&) noexcept = default;
ItemPattern& ItemPattern::operator=(ItemPattern&&) noexcept = default;

bool ItemPattern::run(std::string_view text, uint32_t options) const {
  const int found = pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(text.data()),
                                text.size(), 0, options, compiled_->match, compiled_->context);
  if (found >= 0) return true;
  if (found == PCRE2_ERROR_NOMATCH) return false;
  if (found <= PCRE2_ERROR_UTF8_ERR1 && found >= PCRE2_ERROR_UTF8_ERR21) return false;
  fail(Fault::exhausted, "pattern-limit",
       "the regular expression \"{}\" took more than {} steps on an answer of {} bytes; write it "
       "without nested repetition",
       compiled_->expression.substr(0, 80), kMaxSteps, text.size());
}

bool ItemPattern::search(std::string_view text) const { return run(text, 0); }

bool ItemPattern::full_match(std::string_view text) const {
  return run(text, PCRE2_ANCHORED | PCRE2_ENDANCHORED);
}

}  // namespace sinter
