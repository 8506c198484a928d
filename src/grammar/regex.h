// Regular expressions over bytes, hash-consed: equal expressions have equal handles. They are
// matched by Brzozowski derivatives, taken when a byte asks for them, so that nothing is ever
// expanded: a repetition of 0 to 100000 is one node, and so are intersection and complement.
//
//   RegexSet set;
//   Regex hex = set.bytes(ByteSet::range('0', '9') | ByteSet::range('a', 'f'));
//   Regex short_id = set.both(set.repeat(hex, 1, 8), set.complement(set.literal("0")));
//
// What the constructors simplify is part of the engine's speed, not of its meaning.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/byte_set.h"
#include "grammar/code_points.h"
#include "grammar/limits.h"

namespace sinter {

constexpr uint32_t kUnbounded = UINT32_MAX;  // as a maximum of a repetition

struct Regex {
  uint32_t id = 0;  // 0: the empty language
  friend bool operator==(Regex, Regex) = default;
  friend bool operator<(Regex a, Regex b) { return a.id < b.id; }
};

// Names an expression in every RegexSet of this process: equal if the expressions are built alike.
struct RegexDigest {
  uint64_t high = 0;
  uint64_t low = 0;
  friend bool operator==(const RegexDigest&, const RegexDigest&) = default;
};

class RegexSet {
 public:
  explicit RegexSet(const GrammarLimits& limits = {});

  Regex nothing() const { return {0}; }   // no word
  Regex empty() const { return {1}; }     // the empty word
  Regex any_byte() const { return {2}; }  // one byte
  Regex anything() const { return {3}; }  // every word of bytes
  Regex bytes(const ByteSet& set);        // one byte of the set
  Regex byte(uint8_t value) { return bytes(ByteSet::of(value)); }
  Regex literal(std::string_view text);                   // these bytes
  Regex any_literal(std::span<const std::string> texts);  // one of them; shared prefixes merged
  Regex one_of(const CodePointSet& set);                  // one character, as UTF-8
  Regex any_char() { return one_of(CodePointSet::all()); }
  Regex concat(Regex first, Regex second);
  Regex concat(std::span<const Regex> parts);
  Regex either(Regex a, Regex b);
  Regex either(std::span<const Regex> choices);
  Regex both(Regex a, Regex b);  // intersection
  Regex both(std::span<const Regex> all);
  Regex complement(Regex inner);  // among all words of bytes, valid UTF-8 or not
  Regex difference(Regex a, Regex b) { return both(a, complement(b)); }
  // Throws Error(exhausted, "grammar-limit") where max or min exceeds `repetition`, and
  // Error(bad_input, "grammar-syntax") where max < min.
  Regex repeat(Regex inner, uint32_t min, uint32_t max);
  Regex star(Regex inner) { return repeat(inner, 0, kUnbounded); }
  Regex plus(Regex inner) { return repeat(inner, 1, kUnbounded); }
  Regex optional(Regex inner) { return repeat(inner, 0, 1); }

  bool nullable(Regex r) const { return nodes_[r.id].nullable; }  // has the empty word
  Regex derivative(Regex r, uint8_t byte);                        // what may follow after `byte`
  // No word at all. Immediate where no & and ~ is involved; else a search of at most `emptiness`
  // derivatives.
  bool is_empty(Regex r);
  bool is_contained(Regex inner, Regex outer) { return is_empty(difference(inner, outer)); }
  bool matches(Regex r, std::string_view text);
  // For words of at most `reach` bytes this has the same words, and the same prefixes of words, as
  // r; counts beyond reach are gone. Leaves & and ~ as they are.
  Regex widened(Regex r, uint32_t reach);
  // The words of r with each byte b written as a word of codes[b] (escaped, say). No code may be a
  // prefix of another, and `all` must be the words over all codes: with both, & and ~ stay exact.
  Regex encoded(Regex r, std::span<const Regex, 256> codes, Regex all);
  uint32_t largest_count(Regex r) const { return nodes_[r.id].largest_count; }
  uint32_t weight(Regex r) const { return nodes_[r.id].weight; }  // nodes, shared ones again
  RegexDigest digest(Regex r) const { return digests_[r.id]; }
  std::string to_text(Regex r) const;  // for people

  // Bytes that no expression of this set tells apart have one class.
  uint8_t class_of(uint8_t byte);
  std::span<const uint8_t, 256> byte_classes();
  std::span<const uint8_t> class_representatives();  // a byte of each class
  size_t size() const { return nodes_.size(); }
  size_t memory_bytes() const;

 private:
  enum class Kind : uint8_t { bytes, empty, concat, either, both, complement, repeat };
  struct Node {
    Kind kind = Kind::bytes;
    bool nullable = false;
    bool plain = true;    // no & and no ~ inside
    uint16_t height = 0;  // without the spine of a concatenation
    uint32_t a = 0,
             b = 0;  // bytes: index of set; concat: parts; either, both: place in lists_, count
    uint32_t min = 0, max = 0;
    uint32_t largest_count = 0;  // of the counted repetitions outside & and ~
    uint32_t weight = 1;
  };
  enum class Emptiness : uint8_t { unknown, empty, inhabited };

  Regex intern(Node node, std::span<const Regex> list);
  uint32_t intern_set(const ByteSet& set);
  std::span<const Regex> list(const Node& node) const {
    return std::span(lists_).subspan(node.a, node.b);
  }
  const Node& node(Regex r) const { return nodes_[r.id]; }
  Regex join(Kind kind, std::span<const Regex> parts);
  bool merge_alike(std::vector<Regex>& parts);
  Regex compute_derivative(Regex r, uint8_t byte);
  bool find_word(Regex r);
  Regex utf8_tail(std::span<const CodeRange> ranges, char32_t base, int n_bytes);
  Regex widen(Regex r, uint32_t reach, std::unordered_map<uint32_t, Regex>& done);
  struct Encoding;
  Regex encode(Regex r, Encoding& encoding);
  RegexDigest compute_digest(const Node& node, std::span<const Regex> list) const;
  void refresh_classes();
  void grow_table();
  void print(Regex r, int depth, std::string& out) const;

  GrammarLimits limits_;
  std::vector<Node> nodes_;
  std::vector<RegexDigest> digests_;
  std::vector<Regex> lists_;
  std::vector<ByteSet> sets_;
  std::vector<uint32_t> table_;  // open addressing over digests; 0: free
  std::unordered_map<uint64_t, uint32_t> set_ids_;
  std::unordered_map<uint64_t, Regex> derivatives_;  // (id << 8 | class)
  std::vector<Emptiness> emptiness_;
  uint64_t steps_ = 0;
  std::array<uint8_t, 256> classes_{};
  std::vector<uint8_t> representatives_;
  bool classes_known_ = false;
};

}  // namespace sinter
