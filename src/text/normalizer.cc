// See normalizer.h. Unicode normal forms come from utf8proc, but around characters that the
// reference implementation does not know yet the text is left alone, as it would leave it.
#include "text/normalizer.h"

#include <utf8proc.h>

#include <cstdlib>
#include <vector>

#include "text/byte_alphabet.h"
#include "text/component.h"
#include "text/pattern.h"
#include "text/unicode_class.h"
#include "text/utf8.h"

namespace sinter {
namespace {

using Made = std::unique_ptr<const Normalizer>;

class NormalForm : public Normalizer {
 public:
  explicit NormalForm(int options)
      : options_(static_cast<utf8proc_option_t>(options | UTF8PROC_STABLE)) {}

  // Runs of characters that no form changes and that do not combine are copied. What is left goes
  // through utf8proc together with the one character before it, which it may combine with.
  std::string normalize(std::string text, bool&) const override {
    std::string out;
    size_t copied = 0;    // the input up to here is in `out`
    size_t previous = 0;  // where the character before `at` begins
    for (size_t at = 0; at < text.size();) {
      Utf8Char c = utf8_at(text, at);
      if (is_inert(c.code)) {
        previous = at;
        at += c.size;
        continue;
      }
      size_t end = at;
      while (end < text.size() && !is_inert((c = utf8_at(text, end)).code)) end += c.size;
      out.append(text, copied, previous - copied);
      normalize_run(std::string_view(text).substr(previous, end - previous), out);
      copied = previous = at = end;
    }
    if (copied == 0) return text;
    out.append(text, copied);
    return out;
  }

 private:
  // A starter in all four forms that is never the second half of a composition. Cyrillic has a few
  // composed letters, and kana voiced ones, so only what is whole by itself is listed.
  static bool is_inert(char32_t c) {
    return c < 0xA0 || (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x430 && c <= 0x438) ||
           (c >= 0x43A && c <= 0x44F) || (c >= 0x410 && c <= 0x418) || (c >= 0x41A && c <= 0x42F) ||
           (c >= 0x5D0 && c <= 0x5EA) || (c >= 0x627 && c <= 0x64A) || (c >= 0x904 && c <= 0x928) ||
           c == 0x3001 || c == 0x3002;
  }

  void normalize_run(std::string_view run, std::string& out) const {
    for (size_t at = 0; at < run.size();) {
      size_t end = at;
      while (end < run.size()) {
        const Utf8Char c = utf8_at(run, end);
        if (!is_known_to_normalizer(c.code)) break;
        end += c.size;
      }
      if (end > at) normalize_known(run.substr(at, end - at), out);
      at = end;
      if (at < run.size()) {
        const size_t size = utf8_at(run, at).size;
        out += run.substr(at, size);
        at += size;
      }
    }
  }

  void normalize_known(std::string_view text, std::string& out) const {
    utf8proc_uint8_t* result = nullptr;
    const utf8proc_ssize_t size =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                     static_cast<utf8proc_ssize_t>(text.size()), &result, options_);
    if (size < 0) {
      fail(Fault::exhausted, "out-of-memory", "cannot normalise {} bytes of text: {}", text.size(),
           utf8proc_errmsg(size));
    }
    out.append(reinterpret_cast<const char*>(result), static_cast<size_t>(size));
    std::free(result);
  }

  utf8proc_option_t options_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string normalize(std::string text, bool&) const override {
    return text.empty() ? text : prefix_ + text;
  }

 private:
  std::string prefix_;
};

class Replace : public Normalizer {
 public:
  Replace(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  std::string normalize(std::string text, bool& at_start) const override {
    std::vector<Span> spans;
    pattern_.cover(text, spans);
    std::string out;
    out.reserve(text.size());
    for (const Span& s : spans) {
      if (!s.hit) {
        out.append(text, s.begin, s.end - s.begin);
      } else {
        if (s.begin == 0 && s.end > 0 && content_.empty()) at_start = false;
        out += content_;
      }
    }
    return out;
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  std::string normalize(std::string text, bool& at_start) const override {
    size_t begin = 0, end = 0;  // of what stays
    bool seen = false;
    for (size_t at = 0; at < text.size();) {
      const Utf8Char c = utf8_at(text, at);
      at += c.size;
      const bool space = is_white_space(c.code);
      if (left_ && !seen && space) begin = at;
      seen = seen || !space;
      if (!right_ || !space) end = at;
    }
    if (begin > 0) at_start = false;
    return begin < end ? text.substr(begin, end - begin) : "";
  }

 private:
  bool left_, right_;
};

class StripAccents : public Normalizer {
 public:
  std::string normalize(std::string text, bool& at_start) const override {
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const Utf8Char c = utf8_at(text, at);
      if (!is_accent(c.code)) {
        out.append(text, at, c.size);
      } else if (at == 0) {
        at_start = false;
      }
      at += c.size;
    }
    return out;
  }
};

class Lowercase : public Normalizer {
 public:
  std::string normalize(std::string text, bool&) const override {
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const Utf8Char c = utf8_at(text, at);
      append_utf8(out, c.code == 0x130 ? U'i' : to_lowercase(c.code));
      if (c.code == 0x130) append_utf8(out, 0x307);
      at += c.size;
    }
    return out;
  }
};

class SpellBytes : public Normalizer {
 public:
  std::string normalize(std::string text, bool&) const override { return spell_bytes(text); }
};

class Chain : public Normalizer {
 public:
  explicit Chain(std::vector<Made> parts) : parts_(std::move(parts)) {}
  std::string normalize(std::string text, bool& at_start) const override {
    for (const Made& part : parts_) text = part->normalize(std::move(text), at_start);
    return text;
  }

 private:
  std::vector<Made> parts_;
};

Made read(const Json& json, const std::string& where, int depth);

Made read_chain(const Json& json, const std::string& where, int depth) {
  check_component_fields(json, where, {"normalizers"});
  std::vector<Made> parts;
  for (const Json& part : component_array(json, "normalizers", where)) {
    parts.push_back(read(part, where, depth + 1));
  }
  return std::make_unique<Chain>(std::move(parts));
}

template <int options>
Made read_form(const Json& json, const std::string& where, int) {
  check_component_fields(json, where, {});
  return std::make_unique<NormalForm>(options);
}

template <typename Part>
Made read_plain(const Json& json, const std::string& where, int) {
  check_component_fields(json, where, {});
  return std::make_unique<Part>();
}

Made read_prepend(const Json& json, const std::string& where, int) {
  check_component_fields(json, where, {"prepend"});
  return std::make_unique<Prepend>(JsonFields(json, where).string("prepend"));
}

Made read_replace(const Json& json, const std::string& where, int) {
  check_component_fields(json, where, {"pattern", "content"});
  const JsonFields fields(json, where);
  return std::make_unique<Replace>(read_pattern(fields.at("pattern"), where),
                                   fields.string("content"));
}

Made read_strip(const Json& json, const std::string& where, int) {
  check_component_fields(json, where, {"strip_left", "strip_right"});
  const JsonFields fields(json, where);
  return std::make_unique<Strip>(fields.boolean("strip_left", true),
                                 fields.boolean("strip_right", true));
}

// The list of normalizers: to add one is a class above and a line here.
using Reader = Made (*)(const Json&, const std::string&, int depth);
constexpr ComponentKind<Reader> kNormalizers[] = {
    {"Sequence", read_chain},
    {"NFC", read_form<UTF8PROC_COMPOSE>},
    {"NFD", read_form<UTF8PROC_DECOMPOSE>},
    {"NFKC", read_form<UTF8PROC_COMPOSE | UTF8PROC_COMPAT>},
    {"NFKD", read_form<UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT>},
    {"Prepend", read_prepend},
    {"Replace", read_replace},
    {"Strip", read_strip},
    {"StripAccents", read_plain<StripAccents>},
    {"Lowercase", read_plain<Lowercase>},
    {"ByteLevel", read_plain<SpellBytes>},
};

Made read(const Json& json, const std::string& where, int depth) {
  if (depth > kMaxComponentDepth) {
    fail(Fault::unsupported, "tokenizer-component", "{}: Sequences nested more than {} deep", where,
         kMaxComponentDepth);
  }
  const auto& kind =
      find_component(std::span<const ComponentKind<Reader>>(kNormalizers), json, where);
  return kind.read(json, where, depth);
}

}  // namespace

std::unique_ptr<const Normalizer> read_normalizer(const Json& json, const std::string& where) {
  return json.is_null() ? nullptr : read(json, where, 0);
}

}  // namespace sinter
