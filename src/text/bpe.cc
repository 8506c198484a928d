#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace sinter {
namespace {

constexpr std::string_view kMark = "\xE2\x96\x81";  // U+2581, SentencePiece's space
constexpr size_t kShortWord = 48;                   // symbols; bench/tokenizer_bench

}  // namespace

Bpe::Scratch::Scratch() : words_(kWords) {}

Bpe::Bpe(const Vocabulary& vocabulary, const std::vector<Parts>& merges, BpeOptions options,
         const std::string& where)
    : vocabulary_(vocabulary), options_(std::move(options)) {
  for (size_t b = 0; b < 256; ++b) {
    std::string letter;
    append_utf8(letter, options_.sees_bytes ? byte_letter(static_cast<unsigned char>(b))
                                            : static_cast<char32_t>(b));
    of_byte_[b] = vocabulary_.find(letter);
    fallback_[b] = options_.byte_fallback ? vocabulary_.find(fmt::format("<0x{:02X}>", b)) : -1;
  }
  if (!options_.unk_token.empty()) unk_ = vocabulary_.find(options_.unk_token);

  merges_.resize(std::bit_ceil(2 * merges.size() + 2));
  std::string merged;
  for (size_t i = 0; i < merges.size(); ++i) {
    merged = merges[i].first;
    merged += merges[i].second;
    const Token a = vocabulary_.find(merges[i].first), b = vocabulary_.find(merges[i].second);
    const Token c = vocabulary_.find(merged);
    if (a < 0 || b < 0 || c < 0) {
      fail(Fault::corrupt, "tokenizer-merge",
           "{}: merge {}: expected tokens of the vocabulary, found {} + {} = {}", where, i,
           merges[i].first, merges[i].second, merged);
    }
    size_t slot = hash_number(pair_of(a, b)) & (merges_.size() - 1);
    while (merges_[slot].pair != kNoPair && merges_[slot].pair != pair_of(a, b)) {
      slot = (slot + 1) & (merges_.size() - 1);
    }
    merges_[slot] = {pair_of(a, b), static_cast<int32_t>(i), c};  // of two alike the last counts
  }
  find_word_boundary(merges);
}

// Where no token that a merge makes has U+2581 after any other character, no merge crosses the
// place before a U+2581 that follows another character, so a text may be cut there.
void Bpe::find_word_boundary(const std::vector<Parts>& merges) {
  if (options_.sees_bytes || options_.ignore_merges || vocabulary_.find(kMark) < 0) return;
  std::string merged;
  for (const Parts& m : merges) {
    merged = m.first;
    merged += m.second;
    const std::string_view body = merged;
    size_t at = 0;
    while (body.substr(at).starts_with(kMark)) at += kMark.size();
    if (body.find(kMark, at) != std::string_view::npos) return;
  }
  splits_at_marks_ = true;
}

const Bpe::Merge* Bpe::find_merge(Token a, Token b) const {
  const uint64_t pair = pair_of(a, b);
  const size_t mask = merges_.size() - 1;
  for (size_t slot = hash_number(pair) & mask;; slot = (slot + 1) & mask) {
    if (merges_[slot].pair == pair) return &merges_[slot];
    if (merges_[slot].pair == kNoPair) return nullptr;
  }
}

int32_t Bpe::rank_of(Token a, Token b) const {
  const Merge* m = find_merge(a, b);
  return m == nullptr ? kNoRank : m->rank;
}

void Bpe::encode(std::string_view word, Scratch& scratch, std::vector<Token>& out) const {
  if (!splits_at_marks_) return encode_cached(word, scratch, out);
  size_t begin = 0;
  for (size_t at = 0; (at = word.find(kMark, at)) != std::string_view::npos;) {
    if (at > begin) {
      encode_cached(word.substr(begin, at - begin), scratch, out);
      begin = at;
    }
    while (word.substr(at).starts_with(kMark)) at += kMark.size();
  }
  if (begin < word.size()) encode_cached(word.substr(begin), scratch, out);
}

void Bpe::encode_cached(std::string_view word, Scratch& scratch, std::vector<Token>& out) const {
  if (word.empty() || word.size() > Scratch::kMaxKey) return encode_uncached(word, scratch, out);
  Scratch::Word& slot = scratch.words_[hash_text(word) % Scratch::kWords];
  if (slot.key_size == word.size() && std::memcmp(slot.key.data(), word.data(), word.size()) == 0) {
    out.insert(out.end(), slot.ids.begin(), slot.ids.begin() + slot.n_ids);
    return;
  }
  const size_t before = out.size();
  encode_uncached(word, scratch, out);
  const size_t n = out.size() - before;
  if (n > Scratch::kMaxIds) return;
  slot.key_size = static_cast<uint8_t>(word.size());
  slot.n_ids = static_cast<uint8_t>(n);
  std::memcpy(slot.key.data(), word.data(), word.size());
  std::copy(out.begin() + static_cast<std::ptrdiff_t>(before), out.end(), slot.ids.begin());
}

void Bpe::encode_uncached(std::string_view word, Scratch& scratch, std::vector<Token>& out) const {
  std::vector<Token>& symbols = scratch.symbols_;
  symbols.clear();
  bool spelled = options_.sees_bytes && !options_.ignore_merges;
  if (spelled) {
    for (const char c : word) {
      const Token symbol = of_byte_[static_cast<unsigned char>(c)];
      spelled = spelled && symbol >= 0;
      symbols.push_back(symbol);
    }
  }
  if (!spelled) {
    symbols.clear();
    if (options_.sees_bytes) {
      scratch.spelled_ = spell_bytes(word);
      word = scratch.spelled_;
    }
    if (options_.ignore_merges) {
      if (const Token id = vocabulary_.find(word); id >= 0) {
        out.push_back(id);
        return;
      }
    }
    spell_symbols(word, symbols);
  }
  if (symbols.size() > 1) symbols.size() <= kShortWord ? merge_short(scratch) : merge_long(scratch);
  out.insert(out.end(), symbols.begin(), symbols.end());
}

// An unknown character waits, so that fuse_unk can join more to it, until a known one comes; bytes
// of byte_fallback overtake it. (So does the reference implementation.)
void Bpe::spell_symbols(std::string_view word, std::vector<Token>& symbols) const {
  bool unk_waits = false;
  for (size_t at = 0; at < word.size();) {
    const size_t size = utf8_at(word, at).size;
    const std::string_view letter = word.substr(at, size);
    at += size;
    const Token id = size == 1 && !options_.sees_bytes
                         ? of_byte_[static_cast<unsigned char>(letter[0])]
                         : vocabulary_.find(letter);
    if (id >= 0) {
      if (unk_waits) symbols.push_back(unk_);
      unk_waits = false;
      symbols.push_back(id);
      continue;
    }
    if (std::all_of(letter.begin(), letter.end(),
                    [&](char c) { return fallback_[static_cast<unsigned char>(c)] >= 0; })) {
      for (const char c : letter) symbols.push_back(fallback_[static_cast<unsigned char>(c)]);
      continue;
    }
    if (options_.unk_token.empty()) continue;
    if (unk_ < 0) {
      fail(Fault::corrupt, "tokenizer-unknown-token",
           "the text has the character {}, which the vocabulary lacks, and so does it lack the "
           "unk_token {} that should stand for it",
           letter, options_.unk_token);
    }
    if (unk_waits && !options_.fuse_unk) symbols.push_back(unk_);
    unk_waits = true;
  }
  if (unk_waits) symbols.push_back(unk_);
}

// O(n^2) on a few symbols beats a heap.
void Bpe::merge_short(Scratch& scratch) const {
  std::vector<Token>& symbols = scratch.symbols_;
  size_t n = symbols.size();
  std::array<int32_t, kShortWord> ranks;
  for (size_t i = 0; i + 1 < n; ++i) ranks[i] = rank_of(symbols[i], symbols[i + 1]);
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i) {
      if (ranks[i] < ranks[best]) best = i;
    }
    if (ranks[best] == kNoRank) break;
    symbols[best] = find_merge(symbols[best], symbols[best + 1])->merged;
    --n;
    for (size_t i = best + 1; i < n; ++i) symbols[i] = symbols[i + 1];
    for (size_t i = best + 1; i + 1 < n; ++i) ranks[i] = ranks[i + 1];
    if (best > 0) ranks[best - 1] = rank_of(symbols[best - 1], symbols[best]);
    if (best + 1 < n) ranks[best] = rank_of(symbols[best], symbols[best + 1]);
  }
  symbols.resize(n);
}

// A heap of (rank, place) over a linked list of symbols: O(n log n). An entry is stale when the
// pair at its place has another rank by now.
void Bpe::merge_long(Scratch& scratch) const {
  std::vector<Token>& symbols = scratch.symbols_;
  std::vector<int32_t>&ranks = scratch.ranks_, &next = scratch.next_, &previous = scratch.previous_;
  std::vector<uint64_t>& heap = scratch.heap_;
  const auto n = static_cast<int32_t>(symbols.size());
  const auto at = [](int32_t i) { return static_cast<size_t>(i); };
  ranks.assign(symbols.size(), kNoRank);
  next.resize(symbols.size());
  previous.resize(symbols.size());
  heap.clear();
  const auto entry = [](int32_t rank, int32_t place) {
    return (uint64_t{static_cast<uint32_t>(rank)} << 32) | static_cast<uint32_t>(place);
  };
  for (int32_t i = 0; i < n; ++i) {
    next[at(i)] = i + 1;
    previous[at(i)] = i - 1;
    if (i + 1 < n) ranks[at(i)] = rank_of(symbols[at(i)], symbols[at(i + 1)]);
    if (ranks[at(i)] != kNoRank) heap.push_back(entry(ranks[at(i)], i));
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  const auto look_again = [&](int32_t place) {
    const int32_t right = next[at(place)];
    const int32_t rank = right < n ? rank_of(symbols[at(place)], symbols[at(right)]) : kNoRank;
    ranks[at(place)] = rank;
    if (rank == kNoRank) return;
    heap.push_back(entry(rank, place));
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const auto place = static_cast<int32_t>(heap.back() & 0xFFFFFFFF);
    const auto rank = static_cast<int32_t>(heap.back() >> 32);
    heap.pop_back();
    if (ranks[at(place)] != rank) continue;
    const int32_t right = next[at(place)];
    symbols[at(place)] = find_merge(symbols[at(place)], symbols[at(right)])->merged;
    ranks[at(right)] = kNoRank;
    next[at(place)] = next[at(right)];
    if (next[at(right)] < n) previous[at(next[at(right)])] = place;
    look_again(place);
    if (previous[at(place)] >= 0) look_again(previous[at(place)]);
  }
  size_t kept = 0;
  for (int32_t i = 0; i < n; i = next[at(i)]) symbols[kept++] = symbols[at(i)];
  symbols.resize(kept);
}

}  // namespace sinter
