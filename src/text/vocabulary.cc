#include "text/vocabulary.h"

#include <cstring>
#include <random>

namespace sinter {
namespace {

uint64_t seed() {
  static const uint64_t value = [] {
    std::random_device device;
    return (uint64_t{device()} << 32) ^ device();
  }();
  return value;
}

uint64_t mix(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

constexpr uint64_t kOdd1 = 0x9E3779B97F4A7C15, kOdd2 = 0xD1B54A32D192ED03;

}  // namespace

uint64_t hash_text(std::string_view text) {
  uint64_t h = seed() ^ text.size();
  const char* p = text.data();
  size_t n = text.size();
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    h = mix(h ^ word, kOdd1);
  }
  if (n != 0) {
    uint64_t word = 0;
    std::memcpy(&word, p, n);
    h = mix(h ^ word, kOdd1);
  }
  return mix(h ^ kOdd2, kOdd1);
}

uint64_t hash_number(uint64_t number) { return mix(mix(number ^ seed(), kOdd1) ^ kOdd2, kOdd1); }

size_t Vocabulary::slot_of(std::string_view text) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = hash_text(text) & mask;
  while (slots_[slot] >= 0 && spelling(slots_[slot]) != text) slot = (slot + 1) & mask;
  return slot;
}

Token Vocabulary::find(std::string_view text) const {
  return slots_.empty() ? -1 : slots_[slot_of(text)];
}

bool Vocabulary::add(std::string_view text, Token id) {
  if (has(id)) return false;
  if (2 * (used_ + 1) > slots_.size()) grow();
  const size_t slot = slot_of(text);
  if (slots_[slot] >= 0) return false;
  if (at(id) >= entries_.size()) entries_.resize(at(id) + 1);
  entries_[at(id)] = {text_.size(), static_cast<uint32_t>(text.size()), true};
  text_ += text;
  slots_[slot] = id;
  ++used_;
  return true;
}

void Vocabulary::grow() {
  slots_.assign(slots_.empty() ? 1024 : 2 * slots_.size(), -1);
  for (Token id = 0; id < n_ids(); ++id) {
    if (has(id)) slots_[slot_of(spelling(id))] = id;
  }
}

}  // namespace sinter
