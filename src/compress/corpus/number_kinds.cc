#include "compress/corpus/number_kinds.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>

namespace sinter {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_word_char(char c) {
  return is_digit(c) || is_upper(c) || (c >= 'a' && c <= 'z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

bool passes_luhn(std::string_view digits) {
  int sum = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    int d = digits[digits.size() - 1 - i] - '0';
    if (i % 2 == 1) d = d > 4 ? 2 * d - 9 : 2 * d;
    sum += d;
  }
  return sum % 10 == 0;
}

// Length of an account number by country (ISO 13616 registry, release 99).
struct IbanLength {
  char country[3];
  uint8_t length;
};
constexpr IbanLength kIbanLengths[] = {
    {"AD", 24}, {"AE", 23}, {"AL", 28}, {"AT", 20}, {"AZ", 28}, {"BA", 20}, {"BE", 16}, {"BG", 22},
    {"BH", 22}, {"BI", 27}, {"BR", 29}, {"BY", 28}, {"CH", 21}, {"CR", 22}, {"CY", 28}, {"CZ", 24},
    {"DE", 22}, {"DJ", 27}, {"DK", 18}, {"DO", 28}, {"EE", 20}, {"EG", 29}, {"ES", 24}, {"FI", 18},
    {"FK", 18}, {"FO", 18}, {"FR", 27}, {"GB", 22}, {"GE", 22}, {"GI", 23}, {"GL", 18}, {"GR", 27},
    {"GT", 28}, {"HN", 28}, {"HR", 21}, {"HU", 28}, {"IE", 22}, {"IL", 23}, {"IQ", 23}, {"IS", 26},
    {"IT", 27}, {"JO", 30}, {"KW", 30}, {"KZ", 20}, {"LB", 28}, {"LC", 32}, {"LI", 21}, {"LT", 20},
    {"LU", 20}, {"LV", 21}, {"LY", 25}, {"MC", 27}, {"MD", 24}, {"ME", 22}, {"MK", 19}, {"MN", 20},
    {"MR", 27}, {"MT", 31}, {"MU", 30}, {"NI", 28}, {"NL", 18}, {"NO", 15}, {"OM", 23}, {"PK", 24},
    {"PL", 28}, {"PS", 29}, {"PT", 25}, {"QA", 29}, {"RO", 24}, {"RS", 22}, {"RU", 33}, {"SA", 24},
    {"SC", 31}, {"SD", 18}, {"SE", 24}, {"SI", 19}, {"SK", 24}, {"SM", 27}, {"SO", 23}, {"ST", 25},
    {"SV", 28}, {"TL", 23}, {"TN", 24}, {"TR", 26}, {"UA", 29}, {"VA", 22}, {"VG", 24}, {"XK", 20},
    {"YE", 30},
};

size_t iban_length(std::string_view country) {
  for (const IbanLength& l : kIbanLengths) {
    if (country == l.country) return l.length;
  }
  return 0;
}

// The remainder of the account with its head moved behind, letters as 10 to 35.
bool passes_mod_97(const std::string& account) {
  int remainder = 0;
  for (size_t i = 0; i < account.size(); ++i) {
    const char c = account[(i + 4) % account.size()];
    remainder =
        is_digit(c) ? (remainder * 10 + (c - '0')) % 97 : (remainder * 100 + (c - 'A' + 10)) % 97;
  }
  return remainder == 1;
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool is_own_address(std::string_view a) {
  return a.starts_with("127.") || a.starts_with("255.") || a == "0.0.0.0";
}

// An address names a version where the text says so.
bool follows_version(std::string_view text, size_t at) {
  std::string before(text.substr(at < 9 ? 0 : at - 9, std::min<size_t>(at, 9)));
  std::transform(before.begin(), before.end(), before.begin(),
                 [](char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; });
  while (!before.empty() && (before.back() == ' ' || before.back() == ':')) before.pop_back();
  return before.ends_with("version");
}

}  // namespace

bool begins_word(std::string_view text, size_t at) {
  if (at == 0 || !is_word_char(text[at - 1])) return true;
  if (at < 2 || std::strchr("nrtbf", text[at - 1]) == nullptr) return false;
  size_t slashes = 0;
  while (slashes + 1 < at && text[at - 2 - slashes] == '\\') ++slashes;
  return slashes > 0;
}

std::optional<FoundPart> find_card(std::string_view text, size_t from) {
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (!is_digit(text[begin])) continue;
    if (begin > 0 && is_digit(text[begin - 1])) continue;
    std::array<char, 20> digits{};
    size_t n = 0, group = 0, end = begin;
    char separator = 0;
    bool groups_fit = true;
    for (size_t at = begin; at < text.size() && n < digits.size();) {
      if (is_digit(text[at])) {
        digits[n++] = text[at++];
        ++group;
        end = at;
        continue;
      }
      const bool joins = (text[at] == ' ' || text[at] == '-') && at + 1 < text.size() &&
                         is_digit(text[at + 1]) && (separator == 0 || separator == text[at]);
      // Groups of three to seven digits, the first of four: not just any row of numbers.
      if (!joins || (separator == 0 ? group != 4 : group < 3)) break;
      separator = text[at++];
      group = 0;
    }
    if (separator != 0) groups_fit = group >= 3;
    const std::string_view number(digits.data(), n);
    const bool ends = end == text.size() ||
                      (!is_word_char(text[end]) &&
                       !(text[end] == '.' && end + 1 < text.size() && is_digit(text[end + 1])));
    const bool fraction = begin > 1 && text[begin - 1] == '.' && is_digit(text[begin - 2]);
    if (n >= 13 && n <= 19 && groups_fit && ends && !fraction && begins_word(text, begin) &&
        digits[0] >= '2' && digits[0] <= '6' && passes_luhn(number) &&
        number.find_first_not_of(digits[0]) != std::string_view::npos) {
      return FoundPart{begin, end};
    }
  }
  return std::nullopt;
}

std::optional<FoundPart> find_iban(std::string_view text, size_t from) {
  for (size_t begin = from; begin + 15 <= text.size(); ++begin) {
    if (!is_digit(text[begin + 2]) || !is_digit(text[begin + 3])) continue;
    const char country[] = {upper(text[begin]), upper(text[begin + 1])};
    if (!is_upper(country[0]) || !is_upper(country[1]) || !begins_word(text, begin)) continue;
    const size_t length = iban_length({country, 2});
    if (length == 0) continue;
    std::string account;
    size_t at = begin;
    while (at < text.size() && account.size() < length) {
      const char c = upper(text[at]);
      if (is_digit(c) || is_upper(c)) {
        account += c;
      } else if (!(c == ' ' || c == '-') || !is_word_char(text[at - 1])) {
        break;
      }
      ++at;
    }
    if (account.size() == length && (at == text.size() || !is_word_char(text[at])) &&
        passes_mod_97(account)) {
      return FoundPart{begin, at};
    }
  }
  return std::nullopt;
}

std::optional<FoundPart> find_ipv4(std::string_view text, size_t from) {
  for (size_t dot = text.find('.', from); dot != std::string_view::npos;
       dot = text.find('.', dot + 1)) {
    size_t begin = dot;
    while (begin > from && dot - begin < 3 && is_digit(text[begin - 1])) --begin;
    if (begin == dot) continue;
    size_t end = dot, dots = 0;
    while (end < text.size() && end - begin < 16 && (is_digit(text[end]) || text[end] == '.')) {
      dots += text[end++] == '.' ? 1 : 0;
    }
    if (text[end - 1] == '.') --end, --dots;
    const std::string address(text.substr(begin, end - begin));
    in_addr parsed{};
    if (dots != 3 || inet_pton(AF_INET, address.c_str(), &parsed) != 1) continue;
    const bool after_dot = begin > 0 && (text[begin - 1] == '.' || text[begin - 1] == '-');
    if (!begins_word(text, begin) || after_dot || is_own_address(address)) continue;
    if (end < text.size() && is_word_char(text[end])) continue;
    if (end + 1 < text.size() && text[end] == '.' && is_digit(text[end + 1])) continue;
    if (follows_version(text, begin)) continue;
    return FoundPart{begin, end};
  }
  return std::nullopt;
}

std::optional<FoundPart> find_ipv6(std::string_view text, size_t from) {
  for (size_t colon = text.find(':', from); colon != std::string_view::npos;
       colon = text.find(':', colon + 1)) {
    size_t begin = colon;
    while (begin > from && colon - begin < 4 && is_hex(text[begin - 1])) --begin;
    size_t end = colon;
    bool digit = std::any_of(text.begin() + static_cast<ptrdiff_t>(begin),
                             text.begin() + static_cast<ptrdiff_t>(colon), is_digit);
    while (end < text.size() && end - begin < 46 &&
           (is_hex(text[end]) || text[end] == ':' || text[end] == '.')) {
      digit |= is_digit(text[end++]);
    }
    while (end > begin && (text[end - 1] == '.' ||
                           (text[end - 1] == ':' && end - begin > 2 && text[end - 2] != ':'))) {
      --end;
    }
    const std::string address(text.substr(begin, end - begin));
    in6_addr parsed{};
    if (!digit || inet_pton(AF_INET6, address.c_str(), &parsed) != 1) continue;
    if (!begins_word(text, begin) || (begin > 0 && text[begin - 1] == ':')) continue;
    if (end < text.size() && is_word_char(text[end])) continue;
    // A group of three or more, or "a::1" of a program would do.
    size_t longest = 0, run = 0;
    for (const char c : address) {
      run = c == ':' ? 0 : run + 1;
      longest = std::max(longest, run);
    }
    if (longest >= 3) return FoundPart{begin, end};
  }
  return std::nullopt;
}

bool is_phone(std::string_view text) {
  const auto n = std::count_if(text.begin(), text.end(), is_digit);
  const bool more =
      std::any_of(text.begin(), text.end(), [](char c) { return c > '1' && c <= '9'; });
  return n >= 7 && n <= 15 && more;
}

}  // namespace sinter
