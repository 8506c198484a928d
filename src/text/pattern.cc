// See pattern.h. PCRE2 runs with its JIT; where that runs out of stack, the interpreter goes on,
// and where the interpreter runs out of its limits, matching fails with an error.
#include "text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "base/error.h"
#include "text/utf8.h"

namespace sinter {
namespace {

constexpr size_t kMaxRegexBytes = 1 << 16;

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

struct FreeMatchData {
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
};

}  // namespace

struct Pattern::Compiled {
  pcre2_code* code = nullptr;
  std::string source;
  Compiled() = default;
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() { pcre2_code_free(code); }
};

Pattern Pattern::literal(std::string text) {
  if (text.empty()) return regex_by_pcre2("", "an empty string");
  Pattern out;
  out.literal_ = std::move(text);
  return out;
}

Pattern Pattern::regex(std::string_view source, const std::string& where) {
  Pattern out;
  out.match_end_ = find_known_split(source);
  return out.match_end_ != nullptr ? out : regex_by_pcre2(source, where);
}

Pattern Pattern::regex_by_pcre2(std::string_view source, const std::string& where) {
  if (source.size() > kMaxRegexBytes) {
    fail(Fault::unsupported, "tokenizer-regex",
         "{}: expected a regular expression of at most {} bytes, found {}", where, kMaxRegexBytes,
         source.size());
  }
  const std::string translated = translate_regex(source, where);
  auto compiled = std::make_shared<Compiled>();
  compiled->source = source;
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  SINTER_CHECK(context != nullptr);
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  compiled->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                 PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                                 &error, &offset, context);
  pcre2_compile_context_free(context);
  if (compiled->code == nullptr) {
    fail(Fault::unsupported, "tokenizer-regex", "{}: cannot compile the regular expression {}: {}",
         where, source, pcre2_message(error));
  }
  pcre2_jit_compile(compiled->code, PCRE2_JIT_COMPLETE);  // without it the interpreter matches
  Pattern out;
  out.compiled_ = std::move(compiled);
  return out;
}

void Pattern::cover(std::string_view text, std::vector<Span>& out) const {
  if (text.empty()) {
    out.push_back({0, 0, false});
  } else if (match_end_ != nullptr) {
    for (size_t at = 0; at < text.size();) {
      const size_t end = match_end_(text, at);
      out.push_back({at, end, true});
      at = end;
    }
  } else if (compiled_ != nullptr) {
    cover_regex(text, out);
  } else {
    cover_literal(text, out);
  }
}

void Pattern::cover_literal(std::string_view text, std::vector<Span>& out) const {
  size_t at = 0;
  for (size_t hit; (hit = text.find(literal_, at)) != std::string_view::npos;) {
    if (hit != at) out.push_back({at, hit, false});
    at = hit + literal_.size();
    out.push_back({hit, at, true});
  }
  if (at != text.size()) out.push_back({at, text.size(), false});
}

void Pattern::cover_regex(std::string_view text, std::vector<Span>& out) const {
  const std::unique_ptr<pcre2_match_data, FreeMatchData> match(pcre2_match_data_create(1, nullptr));
  SINTER_CHECK(match != nullptr);
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  size_t from = 0;     // where the search goes on
  size_t covered = 0;  // up to where `out` reaches
  bool any = false;
  while (from <= text.size()) {
    int rc = pcre2_match(compiled_->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK,
                         match.get(), nullptr);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
      rc = pcre2_match(compiled_->code, subject, text.size(), from,
                       PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match.get(), nullptr);
    }
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0) {
      fail(Fault::exhausted, "tokenizer-regex-limit",
           "the tokenizer's regular expression {} gave up at byte {} of the text: {}",
           compiled_->source, from, pcre2_message(rc));
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(match.get());
    const size_t begin = ends[0], end = ends[1];
    // An empty match that touches the last match does not count.
    if (begin == end && any && end == covered) {
      from += from < text.size() ? utf8_at(text, from).size : 1;
      continue;
    }
    if (begin != covered) out.push_back({covered, begin, false});
    out.push_back({begin, end, true});
    any = true;
    covered = from = end;
  }
  if (covered != text.size()) out.push_back({covered, text.size(), false});
}

Pattern read_pattern(const Json& json, const std::string& where) {
  if (json.is_object() && json.size() == 1 && json.begin()->is_string()) {
    const auto& text = json.begin()->get_ref<const std::string&>();
    if (json.begin().key() == "String") return Pattern::literal(text);
    if (json.begin().key() == "Regex") return Pattern::regex(text, where);
  }
  fail(Fault::bad_input, "json-field",
       R"({}: pattern: expected {{"String": "..."}} or {{"Regex": "..."}}, found {})", where,
       to_line(json).substr(0, 60));
}

}  // namespace sinter
