// See regex.h. The constructors: equal languages are not always equal expressions, but whatever
// derivatives produce over and over (alternatives that differ in one count, classes with one
// continuation) is brought to one form here, so that automata stay small.
#include "grammar/regex.h"

#include <algorithm>
#include <random>

namespace sinter {
namespace {

// One of the two lanes of a digest. Seeded once per process, so that nobody outside can aim at two
// alike; the multiplication of wyhash.
uint64_t mixed(uint64_t a, uint64_t b) {
  static const std::array<uint64_t, 2> kSeeds = [] {
    std::random_device random;
    const auto draw = [&] { return (uint64_t{random()} << 32) | random(); };
    return std::array<uint64_t, 2>{draw(), draw()};
  }();
  const auto product = static_cast<unsigned __int128>(a ^ kSeeds[0]) * (b ^ kSeeds[1]);
  return static_cast<uint64_t>(product >> 64) ^ static_cast<uint64_t>(product);
}

uint32_t add_counts(uint32_t a, uint32_t b) {
  return a == kUnbounded || b == kUnbounded ? kUnbounded : a + b;
}

}  // namespace

RegexSet::RegexSet(const GrammarLimits& limits) : limits_(limits), table_(1024) {
  intern_set(ByteSet{});
  intern({.kind = Kind::bytes, .a = 0}, {});
  intern({.kind = Kind::empty, .nullable = true}, {});
  bytes(ByteSet::all());
  intern(
      {.kind = Kind::repeat, .nullable = true, .height = 1, .a = 2, .max = kUnbounded, .weight = 2},
      {});
}

uint32_t RegexSet::intern_set(const ByteSet& set) {
  uint64_t key = 0;
  for (const uint64_t word : set.words) key = mixed(key, word);
  const auto [found, fresh] = set_ids_.try_emplace(key, static_cast<uint32_t>(sets_.size()));
  if (fresh) {
    sets_.push_back(set);
    if (classes_known_) {
      for (size_t byte = 0; byte < 256; ++byte) {
        const uint8_t representative = representatives_[classes_[byte]];
        if (set.has(static_cast<uint8_t>(byte)) != set.has(representative)) classes_known_ = false;
      }
    }
  }
  return found->second;
}

RegexDigest RegexSet::compute_digest(const Node& n, std::span<const Regex> list) const {
  const uint64_t kind = static_cast<uint64_t>(n.kind) + 1;
  RegexDigest d{mixed(kind, 0x51), mixed(kind, 0xA3)};
  const auto add = [&](uint64_t high, uint64_t low) {
    d = {mixed(d.high + 0x9E3779B97F4A7C15ull, high), mixed(d.low + 0xC2B2AE3D27D4EB4Full, low)};
  };
  if (n.kind == Kind::bytes) {
    for (const uint64_t word : sets_[n.a].words) add(word, word);
  } else if (n.kind == Kind::either || n.kind == Kind::both) {
    RegexDigest sum;  // in whatever order they were made
    for (const Regex part : list) {
      sum.high += mixed(digests_[part.id].high, 0x2F);
      sum.low += mixed(digests_[part.id].low, 0x6B);
    }
    add(sum.high, sum.low);
  } else if (n.kind != Kind::empty) {
    add(digests_[n.a].high, digests_[n.a].low);
    if (n.kind == Kind::concat) add(digests_[n.b].high, digests_[n.b].low);
    if (n.kind == Kind::repeat) add(n.min, n.max);
  }
  return d;
}

Regex RegexSet::intern(Node n, std::span<const Regex> list) {
  const RegexDigest digest = compute_digest(n, list);
  size_t slot = digest.low & (table_.size() - 1);
  for (; table_[slot] != 0; slot = (slot + 1) & (table_.size() - 1)) {
    if (digests_[table_[slot] - 1] == digest) return {table_[slot] - 1};
  }
  if (nodes_.size() >= limits_.regex_nodes) {
    limit_reached("regex_nodes", limits_.regex_nodes, "a regular expression grows too large");
  }
  if (n.height > limits_.regex_height) {
    limit_reached("regex_height", limits_.regex_height, "a regular expression nests too deeply");
  }
  if (n.kind == Kind::either || n.kind == Kind::both) {
    n.a = static_cast<uint32_t>(lists_.size());
    n.b = static_cast<uint32_t>(list.size());
    lists_.insert(lists_.end(), list.begin(), list.end());
  }
  nodes_.push_back(n);
  digests_.push_back(digest);
  table_[slot] = static_cast<uint32_t>(nodes_.size());  // id + 1
  if (nodes_.size() * 2 > table_.size()) grow_table();
  return {static_cast<uint32_t>(nodes_.size() - 1)};
}

void RegexSet::grow_table() {
  std::vector<uint32_t> larger(table_.size() * 2);
  for (const uint32_t entry : table_) {
    if (entry == 0) continue;
    size_t slot = digests_[entry - 1].low & (larger.size() - 1);
    while (larger[slot] != 0) slot = (slot + 1) & (larger.size() - 1);
    larger[slot] = entry;
  }
  table_ = std::move(larger);
}

Regex RegexSet::bytes(const ByteSet& set) {
  if (set.empty()) return nothing();
  return intern({.kind = Kind::bytes, .a = intern_set(set)}, {});
}

Regex RegexSet::literal(std::string_view text) {
  Regex tail = empty();
  for (size_t i = text.size(); i-- > 0;) tail = concat(byte(static_cast<uint8_t>(text[i])), tail);
  return tail;
}

Regex RegexSet::any_literal(std::span<const std::string> texts) {
  std::vector<std::string_view> sorted(texts.begin(), texts.end());
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  // A trie, made from the last word to the first: a level holds the branches at one depth that are
  // not yet joined.
  struct Level {
    std::vector<Regex> branches;
  };
  std::vector<Level> levels(1);
  size_t depth = 0;  // of the word that the levels end with
  const auto close = [&](std::string_view word, size_t to) {
    for (; depth > to; --depth) {
      const Regex inner = either(levels[depth].branches);
      levels[depth].branches.clear();
      levels[depth - 1].branches.push_back(
          concat(byte(static_cast<uint8_t>(word[depth - 1])), inner));
    }
  };
  std::string_view last;
  for (const std::string_view word : sorted) {
    const auto shared = static_cast<size_t>(
        std::mismatch(word.begin(), word.end(), last.begin(), last.end()).first - word.begin());
    close(last, shared);
    if (levels.size() <= word.size()) levels.resize(word.size() + 1);
    depth = word.size();
    levels[depth].branches.push_back(empty());
    last = word;
  }
  close(last, 0);
  return either(levels[0].branches);
}

Regex RegexSet::concat(Regex first, Regex second) {
  if (first == nothing() || second == nothing()) return nothing();
  if (first == empty()) return second;
  if (second == empty()) return first;
  if (node(first).kind == Kind::concat) {  // to the right: derivatives take from the left
    std::vector<Regex> spine;
    while (node(first).kind == Kind::concat) {
      spine.push_back({node(first).a});
      first = {node(first).b};
    }
    second = concat(first, second);
    while (!spine.empty()) {
      second = concat(spine.back(), second);
      spine.pop_back();
    }
    return second;
  }
  // x{a,b} x{c,d} = x{a+c,b+d}, where at least one of the two is a repetition.
  const auto as_repeat = [&](Regex r) -> Node {
    const Node& n = node(r);
    if (n.kind == Kind::repeat) return n;
    return {.kind = Kind::bytes, .a = r.id, .min = 1, .max = 1};
  };
  const Regex head = node(second).kind == Kind::concat ? Regex{node(second).a} : second;
  const Node x = as_repeat(first), y = as_repeat(head);
  if (x.a == y.a && (x.kind == Kind::repeat || y.kind == Kind::repeat) &&
      uint64_t{x.min} + y.min <= limits_.repetition &&
      (x.max == kUnbounded || y.max == kUnbounded ||
       uint64_t{x.max} + y.max <= limits_.repetition)) {
    const Regex merged = repeat({x.a}, x.min + y.min, add_counts(x.max, y.max));
    return head == second ? merged : concat(merged, {node(second).b});
  }
  const Node& a = node(first);
  const Node& b = node(second);
  return intern({.kind = Kind::concat,
                 .nullable = a.nullable && b.nullable,
                 .plain = a.plain && b.plain,
                 .height = std::max<uint16_t>(static_cast<uint16_t>(a.height + 1), b.height),
                 .a = first.id,
                 .b = second.id,
                 .largest_count = std::max(a.largest_count, b.largest_count),
                 .weight = a.weight + std::min(b.weight, kUnbounded - a.weight)},
                {});
}

Regex RegexSet::concat(std::span<const Regex> parts) {
  Regex tail = empty();
  for (size_t i = parts.size(); i-- > 0;) tail = concat(parts[i], tail);
  return tail;
}

Regex RegexSet::either(Regex a, Regex b) {
  const Regex parts[] = {a, b};
  return either(parts);
}

Regex RegexSet::both(Regex a, Regex b) {
  const Regex parts[] = {a, b};
  return both(parts);
}

// What either() brings together: an alternative as a head x{min,max} or a class, and its tail.
bool RegexSet::merge_alike(std::vector<Regex>& parts) {
  struct Split {
    uint32_t inner, tail;  // inner 0: a class
    uint32_t min, max, set;
    size_t index;
  };
  std::vector<Split> splits;
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool is_concat = node(parts[i]).kind == Kind::concat;
    const Node& head = is_concat ? nodes_[node(parts[i]).a] : node(parts[i]);
    const uint32_t tail = is_concat ? node(parts[i]).b : empty().id;
    if (head.kind == Kind::bytes) splits.push_back({0, tail, 0, 0, head.a, i});
    if (head.kind == Kind::repeat) splits.push_back({head.a, tail, head.min, head.max, 0, i});
  }
  std::sort(splits.begin(), splits.end(), [](const Split& a, const Split& b) {
    return std::tie(a.inner, a.tail, a.min, a.index) < std::tie(b.inner, b.tail, b.min, b.index);
  });
  bool merged = false;
  for (size_t i = 0; i < splits.size();) {
    const Split& first = splits[i];
    size_t end = i + 1;
    if (first.inner == 0) {
      ByteSet all = sets_[first.set];
      for (; end < splits.size() && splits[end].inner == 0 && splits[end].tail == first.tail;
           ++end) {
        all |= sets_[splits[end].set];
      }
      if (end > i + 1) parts[first.index] = concat(bytes(all), {first.tail});
    } else {
      uint32_t max = first.max;
      for (; end < splits.size() && splits[end].inner == first.inner &&
             splits[end].tail == first.tail && (max == kUnbounded || splits[end].min <= max + 1);
           ++end) {
        max = std::max(max, splits[end].max);
      }
      if (end > i + 1) {
        parts[first.index] = concat(repeat({first.inner}, first.min, max), {first.tail});
      }
    }
    for (size_t j = i + 1; j < end; ++j) parts[splits[j].index] = nothing(), merged = true;
    i = end;
  }
  return merged;
}

// The operands of an either or a both, flat, sorted, each once.
Regex RegexSet::join(Kind kind, std::span<const Regex> parts) {
  const bool is_either = kind == Kind::either;
  const Regex zero = is_either ? nothing() : anything();  // says nothing
  const Regex all = is_either ? anything() : nothing();   // says everything
  std::vector<Regex> flat;
  flat.reserve(parts.size());
  const auto flatten = [&] {
    std::vector<Regex> from(parts.begin(), parts.end());
    if (!flat.empty()) from.swap(flat), flat.clear();
    for (const Regex part : from) {
      if (node(part).kind == kind) {
        const auto inner = list(node(part));
        flat.insert(flat.end(), inner.begin(), inner.end());
      } else if (part != zero) {
        flat.push_back(part);
      }
    }
    std::sort(flat.begin(), flat.end());
    flat.erase(std::unique(flat.begin(), flat.end()), flat.end());
  };
  flatten();
  if (is_either) {
    while (flat.size() > 1 && merge_alike(flat)) flatten();
    // The empty word, where another alternative has it or may have it for nothing.
    const auto found = std::find(flat.begin(), flat.end(), empty());
    if (found != flat.end() && flat.size() > 1) {
      bool covered = false;
      for (Regex& part : flat) {
        if (part == empty()) continue;
        const Node n = node(part);
        if (!covered && n.kind == Kind::repeat && n.min == 1) part = repeat({n.a}, 0, n.max);
        covered |= node(part).nullable;
      }
      if (covered) flat.erase(std::find(flat.begin(), flat.end(), empty()));
      flatten();
    }
  } else if (!flat.empty()) {
    ByteSet common = ByteSet::all();
    size_t n_sets = 0;
    bool nullable = true, has_empty = false;
    for (const Regex part : flat) {
      const Node& n = node(part);
      nullable &= n.nullable;
      has_empty |= part == empty();
      if (n.kind == Kind::bytes) common &= sets_[n.a], ++n_sets;
    }
    if (has_empty) return nullable ? empty() : nothing();
    if (n_sets > 1) {
      std::erase_if(flat, [&](Regex part) { return node(part).kind == Kind::bytes; });
      flat.push_back(bytes(common));
      std::sort(flat.begin(), flat.end());
    }
  }
  if (flat.empty()) return zero;
  if (std::find(flat.begin(), flat.end(), all) != flat.end()) return all;
  if (flat.size() == 1) return flat[0];
  Node made{.kind = kind, .nullable = !is_either, .plain = is_either, .weight = 0};
  for (const Regex part : flat) {
    const Node& n = node(part);
    if (n.kind == Kind::complement && std::binary_search(flat.begin(), flat.end(), Regex{n.a})) {
      return all;
    }
    made.nullable = is_either ? made.nullable || n.nullable : made.nullable && n.nullable;
    made.plain = made.plain && n.plain;
    made.height = std::max(made.height, static_cast<uint16_t>(n.height + 1));
    made.weight += std::min(n.weight, kUnbounded - made.weight);
    if (is_either) made.largest_count = std::max(made.largest_count, n.largest_count);
  }
  return intern(made, flat);
}

Regex RegexSet::either(std::span<const Regex> choices) { return join(Kind::either, choices); }

Regex RegexSet::both(std::span<const Regex> all) { return join(Kind::both, all); }

Regex RegexSet::complement(Regex inner) {
  if (inner == nothing()) return anything();
  if (inner == anything()) return nothing();
  const Node& n = node(inner);
  if (n.kind == Kind::complement) return {n.a};
  return intern({.kind = Kind::complement,
                 .nullable = !n.nullable,
                 .plain = false,
                 .height = static_cast<uint16_t>(n.height + 1),
                 .a = inner.id,
                 .weight = add_counts(n.weight, 1)},
                {});
}

Regex RegexSet::repeat(Regex inner, uint32_t min, uint32_t max) {
  if (max < min) {
    fail(Fault::bad_input, "grammar-syntax",
         "repetition {{{},{}}}: the maximum is less than the minimum; swap them", min, max);
  }
  if (min > limits_.repetition || (max != kUnbounded && max > limits_.repetition)) {
    limit_reached("repetition", limits_.repetition, "a repetition counts too far");
  }
  if (max == 0 || inner == empty()) return empty();
  if (inner == nothing()) return min == 0 ? empty() : nothing();
  if (min == 1 && max == 1) return inner;
  const Node n = node(inner);
  if (n.nullable) min = 0;
  if (n.kind == Kind::repeat) {
    if (n.max == kUnbounded && n.min <= 1) return repeat({n.a}, n.min * min, kUnbounded);
    if (n.min == 0 && n.max == 1) return repeat({n.a}, 0, max);
    if (n.min == n.max && min == max && uint64_t{n.min} * min <= limits_.repetition) {
      return repeat({n.a}, n.min * min, n.min * min);
    }
  }
  if (min == 1 && max == 1) return inner;
  return intern({.kind = Kind::repeat,
                 .nullable = min == 0,
                 .plain = n.plain,
                 .height = static_cast<uint16_t>(n.height + 1),
                 .a = inner.id,
                 .min = min,
                 .max = max,
                 .largest_count = std::max(n.largest_count, max == kUnbounded ? min : max),
                 .weight = add_counts(n.weight, 1)},
                {});
}

namespace {

// What of `ranges` lies in [first, last].
std::vector<CodeRange> clipped(std::span<const CodeRange> ranges, char32_t first, char32_t last) {
  std::vector<CodeRange> inside;
  for (auto r = std::lower_bound(ranges.begin(), ranges.end(), first,
                                 [](const CodeRange&a, char32_t code) { return a.last < code; });
       r != ranges.end() && r->first <= last; ++r) {
    inside.push_back({std::max(r->first, first), std::min(r->last, last)});
  }
  return inside;
}

// Branches by what follows them: bytes with one continuation are one class.
class Branches {
 public:
  void add(uint8_t byte, Regex tail) {
    auto found = std::find_if(branches_.begin(), branches_.end(),
                              [&](const auto& branch) { return branch.first == tail; });
    if (found == branches_.end()) found = branches_.insert(found, {tail, ByteSet{}});
    found->second.insert(byte);
  }
  void append_to(std::vector<Regex>& out, RegexSet& set) const {
    for (const auto& [tail, bytes] : branches_) out.push_back(set.concat(set.bytes(bytes), tail));
  }

 private:
  std::vector<std::pair<Regex, ByteSet>> branches_;
};

}  // namespace

Regex RegexSet::one_of(const CodePointSet& set) {
  struct Length {
    char32_t first, last;
    uint8_t lead;
  };
  constexpr Length kLengths[] = {
      {0, 0x7F, 0x00}, {0x80, 0x7FF, 0xC0}, {0x800, 0xFFFF, 0xE0}, {0x10000, 0x10FFFF, 0xF0}};
  std::vector<Regex> all;
  for (int n_tail = 0; n_tail < 4; ++n_tail) {
    const Length& length = kLengths[n_tail];
    const int shift = 6 * n_tail;
    Branches branches;
    for (char32_t lead = length.first >> shift; lead <= length.last >> shift; ++lead) {
      const char32_t base = lead << shift;
      const auto inside =
          clipped(set.ranges(), std::max<char32_t>(base, length.first),
                  std::min<char32_t>(base + (char32_t{1} << shift) - 1, length.last));
      if (inside.empty()) continue;
      branches.add(static_cast<uint8_t>(length.lead | lead), utf8_tail(inside, base, n_tail));
    }
    branches.append_to(all, *this);
  }
  return either(all);
}

// The last n_bytes bytes of these characters, all of [base, base + 64^n_bytes).
Regex RegexSet::utf8_tail(std::span<const CodeRange> ranges, char32_t base, int n_bytes) {
  if (n_bytes == 0) return empty();
  const char32_t n_codes = char32_t{1} << (6 * n_bytes);
  if (ranges.size() == 1 && ranges[0].last - ranges[0].first == n_codes - 1) {
    const auto n = static_cast<uint32_t>(n_bytes);
    return repeat(bytes(ByteSet::range(0x80, 0xBF)), n, n);
  }
  Branches branches;
  const char32_t step = n_codes / 64;
  for (char32_t i = 0; i < 64; ++i) {
    const char32_t first = base + i * step;
    const auto inside = clipped(ranges, first, first + step - 1);
    if (inside.empty()) continue;
    branches.add(static_cast<uint8_t>(0x80 | i), utf8_tail(inside, first, n_bytes - 1));
  }
  std::vector<Regex> all;
  branches.append_to(all, *this);
  return either(all);
}

}  // namespace sinter
