// Strings as Python sees them: sequences of code points, with Unicode's case mappings and classes.
// Every std::string_view here is valid UTF-8; is_valid_utf8() is the door.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sinter::jinja {

bool is_valid_utf8(std::string_view bytes);

char32_t decode(std::string_view text, size_t* position);  // at a boundary; advances
void append(std::string* out, char32_t c);                 // a scalar value, never a surrogate
int64_t count_code_points(std::string_view text);
size_t byte_offset(std::string_view text, int64_t code_points);  // clamps at the end
std::vector<char32_t> code_points(std::string_view text);

bool is_space(char32_t c);  // str.isspace(), also what \s and strip() mean
bool is_printable(char32_t c);
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_word(char32_t c);  // \w of Python's re
bool is_upper(char32_t c);
bool is_lower(char32_t c);
bool is_title(char32_t c);
bool is_identifier(std::string_view text);

// The full mappings of Unicode, with one-to-many cases and the final sigma.
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_title(std::string_view text);  // str.title()
std::string capitalize(std::string_view text);
std::string swap_case(std::string_view text);
std::string fold_case(std::string_view text);

std::string_view strip_spaces(std::string_view text, bool left, bool right);
std::string_view strip_characters(std::string_view text, std::string_view characters, bool left,
                                  bool right);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

}  // namespace sinter::jinja
