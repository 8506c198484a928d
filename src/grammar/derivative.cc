// Derivatives of regular expressions (Brzozowski 1964) and what they answer: membership, emptiness.
// Deep recursion cannot arise: the spine of a concatenation is walked in a loop, and everything
// else has a bounded height.
#include <algorithm>

#include "grammar/regex.h"

namespace sinter {

Regex RegexSet::derivative(Regex r, uint8_t byte) {
  const uint8_t representative = class_representatives()[class_of(byte)];
  return compute_derivative(r, representative);
}

Regex RegexSet::compute_derivative(Regex r, uint8_t byte) {
  const Node n = node(r);  // a copy: nodes_ grows below
  if (n.kind == Kind::empty) return nothing();
  if (n.kind == Kind::bytes) return sets_[n.a].has(byte) ? empty() : nothing();
  const uint64_t key = (uint64_t{r.id} << 8) | byte;
  if (const auto found = derivatives_.find(key); found != derivatives_.end()) return found->second;

  const auto n_parts = n.kind == Kind::either || n.kind == Kind::both ? n.b : 1;
  steps_ += n_parts;
  if (steps_ > limits_.derivatives) {
    limit_reached("derivatives", limits_.derivatives, "a regular expression takes too long");
  }
  Regex made;
  switch (n.kind) {
    case Kind::concat: {
      std::vector<Regex> choices;
      Regex at = r;
      for (;;) {
        const Node c = node(at);
        if (c.kind != Kind::concat) {
          choices.push_back(compute_derivative(at, byte));
          break;
        }
        choices.push_back(concat(compute_derivative({c.a}, byte), {c.b}));
        if (!nullable({c.a})) break;
        at = {c.b};
      }
      made = choices.size() == 1 ? choices[0] : either(choices);
      break;
    }
    case Kind::either:
    case Kind::both: {
      std::vector<Regex> parts(list(n).begin(), list(n).end());
      for (Regex& part : parts) part = compute_derivative(part, byte);
      made = n.kind == Kind::either ? either(parts) : both(parts);
      break;
    }
    case Kind::complement:
      made = complement(compute_derivative({n.a}, byte));
      break;
    case Kind::repeat: {
      const uint32_t max = n.max == kUnbounded ? kUnbounded : n.max - 1;
      const Regex rest = max == 0 ? empty() : repeat({n.a}, n.min == 0 ? 0 : n.min - 1, max);
      made = concat(compute_derivative({n.a}, byte), rest);
      break;
    }
    default:
      SINTER_CHECK(false);
  }
  derivatives_.emplace(key, made);
  return made;
}

bool RegexSet::matches(Regex r, std::string_view text) {
  for (const char c : text) {
    r = derivative(r, static_cast<uint8_t>(c));
    if (r == nothing()) return false;
  }
  return nullable(r);
}

bool RegexSet::is_empty(Regex r) {
  if (node(r).plain || nullable(r)) return r == nothing();
  emptiness_.resize(nodes_.size(), Emptiness::unknown);
  if (emptiness_[r.id] != Emptiness::unknown) return emptiness_[r.id] == Emptiness::empty;
  // A union has a word where a part has one, a concatenation where all have: only what is left
  // needs the search, and does not drag along what follows it.
  const Node n = node(r);
  bool empty = true;
  if (n.kind == Kind::either) {
    const std::vector<Regex> parts(list(n).begin(), list(n).end());
    for (const Regex part : parts) empty = empty && is_empty(part);
  } else if (n.kind == Kind::concat) {
    empty = false;
    for (Regex at = r; !empty;) {
      const Node c = node(at);
      if (c.kind != Kind::concat) {
        empty = is_empty(at);
        break;
      }
      empty = is_empty({c.a});
      at = {c.b};
    }
  } else if (n.kind == Kind::repeat) {
    empty = is_empty({n.a});  // not nullable, so the minimum is not 0
  } else {
    empty = !find_word(r);
  }
  emptiness_.resize(nodes_.size(), Emptiness::unknown);
  emptiness_[r.id] = empty ? Emptiness::empty : Emptiness::inhabited;
  return empty;
}

// Breadth first through the derivatives, to one that has the empty word.
bool RegexSet::find_word(Regex r) {
  struct Step {
    Regex regex;
    size_t parent;
  };
  std::vector<Step> queue{{r, 0}};
  std::unordered_map<uint32_t, bool> seen{{r.id, true}};
  const std::vector<uint8_t> bytes(class_representatives().begin(), class_representatives().end());
  for (size_t i = 0; i < queue.size(); ++i) {
    for (const uint8_t byte : bytes) {
      const Regex next = compute_derivative(queue[i].regex, byte);
      if (next == nothing()) continue;
      const bool known = next.id < emptiness_.size() && emptiness_[next.id] != Emptiness::unknown;
      if (known && emptiness_[next.id] == Emptiness::empty) continue;
      if (known || node(next).plain || nullable(next)) {
        emptiness_.resize(nodes_.size(), Emptiness::unknown);
        for (size_t at = i; at != 0; at = queue[at].parent) {
          emptiness_[queue[at].regex.id] = Emptiness::inhabited;
        }
        return true;
      }
      if (!seen.emplace(next.id, true).second) continue;
      queue.push_back({next, i});
      if (queue.size() > limits_.emptiness) {
        limit_reached("emptiness", limits_.emptiness,
                      "whether an intersection or complement has any word takes too long to find");
      }
    }
  }
  emptiness_.resize(nodes_.size(), Emptiness::unknown);
  for (const Step& step : queue) emptiness_[step.regex.id] = Emptiness::empty;
  return false;
}

Regex RegexSet::widened(Regex r, uint32_t reach) {
  if (largest_count(r) <= reach) return r;
  std::unordered_map<uint32_t, Regex> done;
  return widen(r, reach, done);
}

// A word of at most `reach` bytes takes at most `reach` copies of anything that is not empty, so a
// minimum beyond is as good as reach + 1 and a maximum beyond as good as none.
Regex RegexSet::widen(Regex r, uint32_t reach, std::unordered_map<uint32_t, Regex>& done) {
  if (largest_count(r) <= reach) return r;
  if (const auto found = done.find(r.id); found != done.end()) return found->second;
  const Node n = node(r);
  Regex made = r;
  if (n.kind == Kind::concat) {
    std::vector<Regex> spine;
    Regex at = r;
    for (; node(at).kind == Kind::concat; at = {node(at).b}) spine.push_back({node(at).a});
    spine.push_back(at);
    for (Regex& part : spine) part = widen(part, reach, done);
    made = concat(spine);
  } else if (n.kind == Kind::either) {
    std::vector<Regex> parts(list(n).begin(), list(n).end());
    for (Regex& part : parts) part = widen(part, reach, done);
    made = either(parts);
  } else if (n.kind == Kind::repeat) {
    made = repeat(widen({n.a}, reach, done), std::min(n.min, reach + 1),
                  n.max > reach ? kUnbounded : n.max);
  }
  done.emplace(r.id, made);
  return made;
}

uint8_t RegexSet::class_of(uint8_t byte) {
  if (!classes_known_) refresh_classes();
  return classes_[byte];
}

std::span<const uint8_t, 256> RegexSet::byte_classes() {
  if (!classes_known_) refresh_classes();
  return classes_;
}

std::span<const uint8_t> RegexSet::class_representatives() {
  if (!classes_known_) refresh_classes();
  return representatives_;
}

void RegexSet::refresh_classes() {
  classes_.fill(0);
  size_t n_classes = 1;
  for (const ByteSet& set : sets_) {
    std::array<int, 256> split;  // of a class, for its bytes in the set
    split.fill(-1);
    std::array<bool, 256> has_outside{};
    for (size_t byte = 0; byte < 256; ++byte) {
      if (!set.has(static_cast<uint8_t>(byte))) has_outside[classes_[byte]] = true;
    }
    for (size_t byte = 0; byte < 256; ++byte) {
      uint8_t& c = classes_[byte];
      if (!set.has(static_cast<uint8_t>(byte)) || !has_outside[c]) continue;
      if (split[c] < 0) split[c] = static_cast<int>(n_classes++);
      c = static_cast<uint8_t>(split[c]);
    }
  }
  representatives_.assign(n_classes, 0);
  for (size_t byte = 256; byte-- > 0;)
    representatives_[classes_[byte]] = static_cast<uint8_t>(byte);
  classes_known_ = true;
}

size_t RegexSet::memory_bytes() const {
  constexpr size_t kMapEntry = 40;  // of an unordered_map, about
  return nodes_.size() * (sizeof(Node) + sizeof(RegexDigest) + 9) + lists_.size() * sizeof(Regex) +
         (derivatives_.size() + set_ids_.size()) * kMapEntry + sets_.size() * sizeof(ByteSet);
}

namespace {

std::string byte_text(int byte) {
  if (byte > 0x20 && byte < 0x7F &&
      std::string_view("\\]^-[.*+?(){}|&~/").find(static_cast<char>(byte)) ==
          std::string_view::npos) {
    return {static_cast<char>(byte)};
  }
  return fmt::format("\\x{:02X}", byte);
}

std::string set_text(const ByteSet& set) {
  if (set == ByteSet::all()) return ".";
  if (set.count() == 1) return byte_text(set.first());
  const bool negate = set.count() > 128;
  std::string out = negate ? "[^" : "[";
  for (int byte = 0; byte < 256; ++byte) {
    if (set.has(static_cast<uint8_t>(byte)) == negate) continue;
    int last = byte;
    while (last < 255 && set.has(static_cast<uint8_t>(last + 1)) != negate) ++last;
    out += byte_text(byte);
    if (last > byte) out += (last > byte + 1 ? "-" : "") + byte_text(last);
    byte = last;
  }
  return out + "]";
}

}  // namespace

void RegexSet::print(Regex r, int depth, std::string& out) const {
  constexpr int kDepth = 40;
  constexpr size_t kLength = 2000;
  const Node& n = node(r);
  if (depth > kDepth || out.size() > kLength) {
    out += "...";
  } else if (n.kind == Kind::bytes) {
    out += sets_[n.a].empty() ? "[]" : set_text(sets_[n.a]);
  } else if (n.kind == Kind::concat) {
    for (; node(r).kind == Kind::concat && out.size() <= kLength; r = {node(r).b}) {
      print({node(r).a}, depth + 1, out);
    }
    print(r, depth + 1, out);
  } else if (n.kind == Kind::either || n.kind == Kind::both) {
    char separator = '(';
    for (const Regex part : list(n)) {
      out += separator;
      print(part, depth + 1, out);
      separator = n.kind == Kind::either ? '|' : '&';
    }
    out += ')';
  } else if (n.kind == Kind::complement) {
    out += "~(";
    print({n.a}, depth + 1, out);
    out += ')';
  } else if (n.kind == Kind::repeat) {
    const bool simple = nodes_[n.a].kind == Kind::bytes || nodes_[n.a].kind == Kind::either;
    if (!simple) out += '(';
    print({n.a}, depth + 1, out);
    if (!simple) out += ')';
    if (n.max == kUnbounded && n.min <= 1) {
      out += n.min == 0 ? '*' : '+';
    } else if (n.min == 0 && n.max == 1) {
      out += '?';
    } else {
      out += fmt::format("{{{},{}}}", n.min, n.max == kUnbounded ? "" : std::to_string(n.max));
    }
  }
}

std::string RegexSet::to_text(Regex r) const {
  std::string out;
  print(r, 0, out);
  return out;
}

}  // namespace sinter
