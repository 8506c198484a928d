// Personal data that has a shape and a check sum, which no regular expression can see: payment
// cards, bank accounts, addresses of machines, telephone numbers.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace sinter {

struct FoundPart {
  size_t begin;
  size_t end;  // bytes
};

// Each gives the first hit that begins at `from` or later.
// 13 to 19 digits, perhaps in groups, whose Luhn sum is right and whose first digit is of a network
// (2 to 6: clocks in milliseconds begin with 1).
std::optional<FoundPart> find_card(std::string_view text, size_t from);
// ISO 13616: a country's length, and the remainder 1 modulo 97.
std::optional<FoundPart> find_iban(std::string_view text, size_t from);
// But for loopback, 0.0.0.0 and masks, which name nobody; and versions ("v1.2.3.4").
std::optional<FoundPart> find_ipv4(std::string_view text, size_t from);
std::optional<FoundPart> find_ipv6(std::string_view text, size_t from);

// Of a telephone number as an expression found it: that there are enough digits, and not only 0, 1.
bool is_phone(std::string_view text);

// Whether a word may begin at `at`: at the start, after what is no letter, digit or underscore, or
// after an escape of a string within a string ("\n4111 ...").
bool begins_word(std::string_view text, size_t at);

}  // namespace sinter
