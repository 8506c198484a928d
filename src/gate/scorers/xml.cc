// xml {expected}: the answer is one XML element equal to the expected one: names, attributes (in
// any order), children in order, text without the white space around it. pugixml forgives a good
// deal, so what it lets through (several roots, bare ampersands, doubled attributes, names that are
// none) is refused here: malformed.
#include <fmt/format.h>

#include <pugixml.hpp>
#include <set>

#include "base/error.h"
#include "gate/scorers.h"

namespace sinter {
namespace {

constexpr int kMaxDepth = 128;
constexpr size_t kMaxBytes = 1 << 20;

[[noreturn]] void malformed(const std::string& what) {
  fail(Fault::corrupt, "xml-malformed", "the answer: {}", what);
}

bool is_name(std::string_view name) {
  if (name.empty()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool start = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
                       static_cast<unsigned char>(c) >= 0x80;
    if (!start && (i == 0 || !((c >= '0' && c <= '9') || c == '-' || c == '.'))) return false;
  }
  return true;
}

// An ampersand begins one of the five entities of XML or a character reference.
bool entity_at(std::string_view text, size_t i) {
  const size_t end = text.find(';', i);
  if (end == std::string_view::npos || end == i + 1 || end - i > 10) return false;
  std::string_view name = text.substr(i + 1, end - i - 1);
  if (name == "amp" || name == "lt" || name == "gt" || name == "quot" || name == "apos") {
    return true;
  }
  if (name.size() < 2 || name[0] != '#') return false;
  name.remove_prefix(1);
  const bool hex = name[0] == 'x';
  if (hex) name.remove_prefix(1);
  return !name.empty() && name.find_first_not_of(hex ? "0123456789abcdefABCDEF" : "0123456789") ==
                              std::string_view::npos;
}

// Before parsing: what pugixml would not complain about, and nesting that recursion must not meet.
void check_text(std::string_view text) {
  if (text.size() > kMaxBytes) malformed(fmt::format("more than {} bytes of XML", kMaxBytes));
  const bool cdata = text.find("<![CDATA[") != std::string_view::npos;
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\0') malformed("a NUL byte in XML");
    if (text[i] == '&' && !cdata && !entity_at(text, i)) malformed("a bare & in XML");
    if (text[i] != '<') continue;
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (next == '!' && text.substr(i, 9) == "<!DOCTYPE") malformed("a document type in XML");
    if (next == '/') {
      --depth;
    } else if (next != '!' && next != '?') {
      const size_t close = text.find('>', i);
      const bool empty_element = close != std::string_view::npos && text[close - 1] == '/';
      if (!empty_element && ++depth > kMaxDepth) {
        malformed(fmt::format("more than {} levels of XML", kMaxDepth));
      }
    }
  }
}

void check_element(const pugi::xml_node& node, int depth) {
  if (depth > kMaxDepth) malformed(fmt::format("more than {} levels of XML", kMaxDepth));
  if (!is_name(node.name())) malformed(fmt::format("<{}> is not a name", node.name()));
  std::set<std::string> names;
  for (const pugi::xml_attribute& a : node.attributes()) {
    if (!is_name(a.name())) malformed(fmt::format("\"{}\" is not a name", a.name()));
    if (!names.insert(a.name()).second) {
      malformed(fmt::format("<{}> has the attribute \"{}\" twice", node.name(), a.name()));
    }
  }
  for (const pugi::xml_node& child : node.children()) {
    if (child.type() == pugi::node_element) check_element(child, depth + 1);
  }
}

// The one root element of `text`, which `document` then owns.
pugi::xml_node read_root(pugi::xml_document& document, std::string_view text) {
  check_text(text);
  const pugi::xml_parse_result result = document.load_buffer(
      text.data(), text.size(), pugi::parse_default | pugi::parse_fragment, pugi::encoding_utf8);
  if (!result) {
    malformed(fmt::format("XML: {} at byte {}", result.description(), result.offset));
  }
  pugi::xml_node root;
  for (const pugi::xml_node& node : document.children()) {
    if (node.type() == pugi::node_element && root.empty()) {
      root = node;
    } else {
      malformed("expected one XML element and nothing beside it");
    }
  }
  if (root.empty()) malformed("expected an XML element, found none");
  check_element(root, 0);
  return root;
}

std::string own_text(const pugi::xml_node& node) {
  std::string text;
  for (const pugi::xml_node& child : node.children()) {
    if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata)
      text += child.value();
  }
  return std::string(trimmed(text));
}

std::string difference(const pugi::xml_node& a, const pugi::xml_node& b, const std::string& path) {
  if (std::string_view(a.name()) != b.name()) {
    return fmt::format("{}: expected <{}>, found <{}>", path, a.name(), b.name());
  }
  const std::string here = path + "/" + a.name();
  for (const pugi::xml_attribute& want : a.attributes()) {
    const pugi::xml_attribute got = b.attribute(want.name());
    if (got.empty() || std::string_view(got.value()) != want.value()) {
      return fmt::format("{}/@{}: expected \"{}\", found {}", here, want.name(), want.value(),
                         got.empty() ? "nothing" : fmt::format("\"{}\"", got.value()));
    }
  }
  for (const pugi::xml_attribute& got : b.attributes()) {
    if (a.attribute(got.name()).empty()) {
      return fmt::format("{}/@{}: expected nothing, found \"{}\"", here, got.name(), got.value());
    }
  }
  if (own_text(a) != own_text(b)) {
    return fmt::format("{}: expected \"{}\", found \"{}\"", here, own_text(a), own_text(b));
  }
  const auto next = [](pugi::xml_node node) {
    while (!node.empty() && node.type() != pugi::node_element) node = node.next_sibling();
    return node;
  };
  pugi::xml_node x = next(a.first_child());
  pugi::xml_node y = next(b.first_child());
  for (; !x.empty() && !y.empty(); x = next(x.next_sibling()), y = next(y.next_sibling())) {
    if (auto d = difference(x, y, here); !d.empty()) return d;
  }
  if (!x.empty()) return fmt::format("{}: expected <{}>, found nothing", here, x.name());
  if (!y.empty()) return fmt::format("{}: expected nothing, found <{}>", here, y.name());
  return "";
}

void check(const Item& item, const std::string& where) {
  allow_only(item, where, {"expected"});
  const std::string expected = JsonFields(item.scorer, where + ": scorer").string("expected");
  try {
    pugi::xml_document document;
    read_root(document, trimmed(expected));
  } catch (const Error& e) {
    fail(Fault::bad_input, "suite-scorer", "{}: scorer: expected: {}", where, e.what());
  }
}

Score score(const Item& item, const Evidence& evidence) {
  const std::string expected = item.scorer.at("expected").get<std::string>();
  pugi::xml_document wanted;
  pugi::xml_document found;
  const pugi::xml_node a = read_root(wanted, trimmed(expected));
  Score s;
  s.parse = Parse::malformed;
  pugi::xml_node b;
  try {
    b = read_root(found, trimmed(evidence.answer.text));
  } catch (const Error& e) {
    s.detail = e.what();
    return s;
  }
  s.parse = Parse::parsed;
  s.detail = difference(a, b, "");
  s.pass = s.detail.empty();
  s.score = s.pass ? 1 : 0;
  return s;
}

}  // namespace

extern const Scorer kXmlScorer;
const Scorer kXmlScorer = {"xml", true, check, nullptr, score};

}  // namespace sinter
