#include "compress/corpus/words.h"

#include "base/error.h"
#include "text/unicode_class.h"
#include "text/utf8.h"

namespace sinter {
namespace {

constexpr uint64_t kFnvStart = 0xCBF29CE484222325;
constexpr uint64_t kFnvPrime = 0x100000001B3;
constexpr uint64_t kBase = 0x9E3779B97F4A7C15;  // odd; words are mixed, so any odd base will do

bool is_word_of_its_own(char32_t c) {
  return (c >= 0x0E00 && c <= 0x0EFF) ||  // Thai, Lao
         (c >= 0x1000 && c <= 0x109F) ||  // Myanmar
         (c >= 0x1780 && c <= 0x17FF) ||  // Khmer
         (c >= 0x3040 && c <= 0x30FF) ||  // kana
         (c >= 0x3400 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x20000 && c <= 0x3FFFF);  // Han
}

}  // namespace

void append_words(std::string_view text, std::vector<uint64_t>& words) {
  uint64_t hash = kFnvStart;
  bool open = false;
  const auto close = [&] {
    if (open) words.push_back(mix_bits(hash));
    hash = kFnvStart;
    open = false;
  };
  const auto add = [&](char32_t code) {
    hash = (hash ^ code) * kFnvPrime;
    open = true;
  };
  for (size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) {
      ++at;
      if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9')) {
        add(byte);
      } else if (byte >= 'A' && byte <= 'Z') {
        add(byte + 32u);
      } else if (byte != '\'') {  // "don't" is a word
        close();
      }
      continue;
    }
    const Utf8Char c = utf8_at(text, at);
    at += c.size;
    if (!c.valid || (category_of(c.code) & (kLetters | kMarks | kNumbers)) == 0) {
      if (c.code != 0x2019) close();
    } else if (is_word_of_its_own(c.code)) {
      close();
      add(c.code);
      close();
    } else {
      add(to_lowercase(c.code));
    }
  }
  close();
}

WordRuns::WordRuns(const std::vector<uint64_t>& words)
    : prefix_(words.size() + 1), power_(words.size() + 1) {
  power_[0] = 1;
  for (size_t i = 0; i < words.size(); ++i) {
    prefix_[i + 1] = prefix_[i] * kBase + words[i];
    power_[i + 1] = power_[i] * kBase;
  }
}

uint64_t WordRuns::at(size_t begin, size_t n) const {
  SINTER_CHECK(begin + n < prefix_.size());
  return mix_bits(prefix_[begin + n] - prefix_[begin] * power_[n]);
}

}  // namespace sinter
