// The byte-level alphabet: every byte is spelled as one printable character, so that a vocabulary
// of byte strings can be written as text (GPT-2). 0x21-0x7E, 0xA1-0xAC and 0xAE-0xFF spell
// themselves; the other 68 bytes, in order, are U+0100, U+0101, ...
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sinter {

char32_t byte_letter(unsigned char byte);

std::string spell_bytes(std::string_view bytes);

// Nothing if some character is not in the alphabet.
std::optional<std::string> unspell_bytes(std::string_view text);

}  // namespace sinter
