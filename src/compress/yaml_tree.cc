#include "compress/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <sstream>

#include "base/error.h"

namespace sinter {
namespace {

template <typename... Args>
[[noreturn]] void fail_syntax(const std::string& where, int line,
                              fmt::format_string<Args...> format, Args&&... args) {
  fail(Fault::bad_input, "recipe-syntax", "{}:{}: {}", where, line,
       fmt::format(format, std::forward<Args>(args)...));
}

// Builds the tree from the parser's events, so that nothing is ever expanded.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string& where) : where_(where) {}
  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check(mark, "", anchor);
    add(node(YamlNode::Kind::null, mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    fail_syntax(where_, mark.line + 1, "expected plain values, found an alias (*); write it out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check(mark, tag, anchor);
    YamlNode scalar = node(YamlNode::Kind::scalar, mark);
    scalar.text = value;
    scalar.quoted = tag == "!";
    if (wants_key()) {
      std::vector<std::string>& keys = open_.back().keys;
      if (std::find(keys.begin(), keys.end(), value) != keys.end()) {
        fail_syntax(where_, mark.line + 1, "the key \"{}\" occurs twice", value.substr(0, 60));
      }
      keys.push_back(value);
      return;
    }
    if (!scalar.quoted && (value == "~" || value == "null" || value.empty())) {
      scalar.kind = YamlNode::Kind::null;
    }
    add(std::move(scalar));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::list, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::map, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  static YamlNode node(YamlNode::Kind kind, const YAML::Mark& mark) {
    YamlNode n;
    n.kind = kind;
    n.line = mark.line + 1;
    return n;
  }
  bool wants_key() const {
    return !open_.empty() && open_.back().kind == YamlNode::Kind::map &&
           open_.back().keys.size() == open_.back().items.size();
  }
  void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) const {
    if (anchor != 0)
      fail_syntax(where_, mark.line + 1, "expected plain values, found an anchor (&)");
    if (!tag.empty() && tag != "?" && tag != "!") {
      fail_syntax(where_, mark.line + 1, "expected plain values, found the tag {}",
                  tag.substr(0, 60));
    }
  }
  void open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    check(mark, tag, anchor);
    if (open_.size() >= kMaxYamlDepth) {
      fail_syntax(where_, mark.line + 1, "expected at most {} levels of nesting", kMaxYamlDepth);
    }
    if (wants_key())
      fail_syntax(where_, mark.line + 1, "expected a name as the key, found a list or map");
    open_.push_back(node(kind, mark));
  }
  void close() {
    YamlNode done = std::move(open_.back());
    open_.pop_back();
    add(std::move(done));
  }
  void add(YamlNode n) {
    if (open_.empty()) {
      root_ = std::move(n);
      return;
    }
    if (wants_key()) fail_syntax(where_, n.line, "expected a name as the key, found nothing");
    open_.back().items.push_back(std::move(n));
  }

  const std::string& where_;
  std::vector<YamlNode> open_;
  YamlNode root_;
};

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  const auto at = std::find(keys.begin(), keys.end(), key);
  if (at == keys.end()) return nullptr;
  return &items[static_cast<size_t>(at - keys.begin())];
}

YamlNode parse_yaml(std::string_view text, const std::string& where) {
  if (text.size() > kMaxYamlBytes) {
    fail_syntax(where, 1, "expected at most {} bytes, found {}", kMaxYamlBytes, text.size());
  }
  std::istringstream stream{std::string(text)};
  TreeBuilder builder(where);
  try {
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    YamlNode root = builder.take();
    TreeBuilder second(where);
    if (parser.HandleNextDocument(second))
      fail_syntax(where, 1, "expected one YAML document, found more");
    return root;
  } catch (const YAML::Exception& e) {
    fail_syntax(where, std::max(0, e.mark.line) + 1, "{}", e.msg);
  }
}

std::string nearest(std::string_view name, std::span<const std::string_view> known) {
  std::string_view best;
  size_t least = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string_view k : known) {
    const size_t d = edit_distance(name.substr(0, 64), k);
    if (d < least) {
      least = d;
      best = k;
    }
  }
  return best.empty() ? "" : fmt::format("; did you mean {}?", best);
}

YamlFields::YamlFields(const YamlNode& node, const std::string& where,
                       std::span<const std::string_view> known)
    : node_(node), where_(where) {
  if (node.kind != YamlNode::Kind::map) {
    fail(Fault::bad_input, "recipe-field", "{}:{}: expected key: value lines ({})", where,
         node.line, fmt::join(known, ", "));
  }
  for (size_t i = 0; i < node.keys.size(); ++i) {
    if (std::find(known.begin(), known.end(), node.keys[i]) != known.end()) continue;
    fail(Fault::bad_input, "recipe-field", "{}:{}: unknown key \"{}\"{} (known here: {})", where,
         node.items[i].line, node.keys[i].substr(0, 60), nearest(node.keys[i], known),
         fmt::join(known, ", "));
  }
}

bool YamlFields::has(std::string_view key) const {
  const YamlNode* n = node_.find(key);
  return n != nullptr && n->kind != YamlNode::Kind::null;
}

std::string YamlFields::place(std::string_view key) const {
  const YamlNode* n = node_.find(key);
  return fmt::format("{}:{}: {}", where_, n == nullptr ? node_.line : n->line, key);
}

const YamlNode& YamlFields::at(std::string_view key) const {
  if (!has(key))
    fail(Fault::bad_input, "recipe-field", "{}: expected a value, found nothing", place(key));
  return *node_.find(key);
}

std::string YamlFields::string(std::string_view key) const {
  const YamlNode& n = at(key);
  if (n.kind != YamlNode::Kind::scalar) {
    fail(Fault::bad_input, "recipe-field", "{}: expected a word, found a list or map", place(key));
  }
  return n.text;
}

std::string YamlFields::string(std::string_view key, const std::string& fallback) const {
  return has(key) ? string(key) : fallback;
}

int64_t YamlFields::integer(std::string_view key) const {
  const std::string text = string(key);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (at(key).quoted || text.empty() || error != std::errc() || end != text.data() + text.size()) {
    fail(Fault::bad_input, "recipe-field", "{}: expected an integer, found \"{}\"", place(key),
         text.substr(0, 60));
  }
  return value;
}

double YamlFields::number(std::string_view key, double fallback, double least, double most) const {
  if (!has(key)) return fallback;
  const std::string text = string(key);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (at(key).quoted || text.empty() || error != std::errc() || end != text.data() + text.size() ||
      !(value >= least && value <= most)) {
    fail(Fault::bad_input, "recipe-field", "{}: expected a number from {:g} to {:g}, found \"{}\"",
         place(key), least, most, text.substr(0, 60));
  }
  return value;
}

bool YamlFields::boolean(std::string_view key, bool fallback) const {
  if (!has(key)) return fallback;
  const std::string text = string(key);
  if (at(key).quoted || (text != "true" && text != "false")) {
    fail(Fault::bad_input, "recipe-field", "{}: expected true or false, found \"{}\"", place(key),
         text.substr(0, 60));
  }
  return text == "true";
}

std::vector<std::string> YamlFields::strings(std::string_view key) const {
  const YamlNode& n = at(key);
  if (n.kind == YamlNode::Kind::scalar) return {n.text};
  std::vector<std::string> out;
  for (const YamlNode& item : n.items) {
    if (n.kind != YamlNode::Kind::list || item.kind != YamlNode::Kind::scalar) {
      fail(Fault::bad_input, "recipe-field", "{}: expected a list of names", place(key));
    }
    out.push_back(item.text);
  }
  return out;
}

}  // namespace sinter
