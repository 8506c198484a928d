// number {value, tolerance = 0}: the last number in the answer is the value. Thousands may be set
// apart by commas; the sign counts only where no word or digit stands before it ("7-3" ends in 3).
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "gate/scorers.h"

namespace sinter {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// A number that begins at `i`, and where it ends: digits with commas between groups of three, a
// fraction, an exponent.
std::optional<double> read_number(std::string_view text, size_t i, size_t& end) {
  std::string plain;
  if (i > 0 && text[i - 1] == '-' && (i == 1 || !is_word(text[i - 2]))) plain += '-';
  while (i < text.size()) {
    const bool group = text[i] == ',' && i + 3 < text.size() && is_digit(text[i + 1]) &&
                       is_digit(text[i + 2]) && is_digit(text[i + 3]) &&
                       (i + 4 == text.size() || !is_digit(text[i + 4]));
    if (!is_digit(text[i]) && !group) break;
    if (!group) plain += text[i];
    ++i;
  }
  if (i + 1 < text.size() && text[i] == '.' && is_digit(text[i + 1])) {
    plain += text[i++];
    while (i < text.size() && is_digit(text[i])) plain += text[i++];
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    size_t j = i + 1;
    if (j < text.size() && (text[j] == '+' || text[j] == '-')) ++j;
    if (j < text.size() && is_digit(text[j])) {
      plain += 'e';
      if (text[i + 1] == '-') plain += '-';
      while (j < text.size() && is_digit(text[j])) plain += text[j++];
      i = j;
    }
  }
  end = i;
  double value = 0;
  const auto parsed = std::from_chars(plain.data(), plain.data() + plain.size(), value);
  if (parsed.ec != std::errc() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<double> last_number(std::string_view text) {
  std::optional<double> last;
  for (size_t i = 0; i < text.size();) {
    if (!is_digit(text[i])) {
      ++i;
      continue;
    }
    size_t end = i + 1;
    last = read_number(text, i, end);
    i = end;
  }
  return last;
}

void check(const Item& item, const std::string& where) {
  allow_only(item, where, {"value", "tolerance"});
  const JsonFields fields(item.scorer, where + ": scorer");
  fields.number("value");
  if (!(fields.number("tolerance", 0) >= 0)) {
    fail(Fault::bad_input, "suite-scorer", "{}: scorer: expected a tolerance of at least 0", where);
  }
}

Score score(const Item& item, const Evidence& evidence) {
  const JsonFields fields(item.scorer, "scorer");
  const double value = fields.number("value");
  const std::optional<double> found = last_number(evidence.answer.text);
  Score s;
  s.pass = found.has_value() && std::abs(*found - value) <= fields.number("tolerance", 0);
  s.score = s.pass ? 1 : 0;
  if (!found) {
    s.detail = fmt::format("expected the number {}, found none", value);
  } else if (!s.pass) {
    s.detail = fmt::format("expected the number {}, found {}", value, *found);
  }
  return s;
}

}  // namespace

extern const Scorer kNumberScorer;
const Scorer kNumberScorer = {"number", true, check, nullptr, score};

}  // namespace sinter
