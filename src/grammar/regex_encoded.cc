// A regular expression over plain text becomes one over its encoding: bytes are replaced, and what
// stands above them stays, because a text has one place where each code in it begins.
#include "grammar/regex.h"

namespace sinter {

struct RegexSet::Encoding {
  std::span<const Regex, 256> codes;
  Regex all;
  std::unordered_map<uint32_t, Regex> done;
};

Regex RegexSet::encoded(Regex r, std::span<const Regex, 256> codes, Regex all) {
  Encoding encoding{codes, all, {}};
  return encode(r, encoding);
}

Regex RegexSet::encode(Regex r, Encoding& encoding) {
  if (r == anything()) return encoding.all;
  if (const auto found = encoding.done.find(r.id); found != encoding.done.end()) {
    return found->second;
  }
  const Node n = node(r);  // a copy: nodes_ grows below
  Regex made = r;
  if (n.kind == Kind::bytes) {
    const ByteSet set = sets_[n.a];
    std::vector<Regex> choices;
    for (int byte = 0; byte < 256; ++byte) {
      if (set.has(static_cast<uint8_t>(byte))) {
        choices.push_back(encoding.codes[static_cast<size_t>(byte)]);
      }
    }
    made = either(choices);
  } else if (n.kind == Kind::concat) {
    std::vector<Regex> spine;
    Regex at = r;
    for (; node(at).kind == Kind::concat; at = {node(at).b}) spine.push_back({node(at).a});
    spine.push_back(at);
    for (Regex& part : spine) part = encode(part, encoding);
    made = concat(spine);
  } else if (n.kind == Kind::either || n.kind == Kind::both) {
    std::vector<Regex> parts(list(n).begin(), list(n).end());
    for (Regex& part : parts) part = encode(part, encoding);
    made = n.kind == Kind::either ? either(parts) : both(parts);
  } else if (n.kind == Kind::complement) {
    made = difference(encoding.all, encode({n.a}, encoding));
  } else if (n.kind == Kind::repeat) {
    made = repeat(encode({n.a}, encoding), n.min, n.max);
  }
  encoding.done.emplace(r.id, made);
  return made;
}

}  // namespace sinter
