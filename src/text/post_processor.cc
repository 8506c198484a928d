#include "text/post_processor.h"

#include "text/component.h"
#include "text/vocabulary.h"

namespace sinter {
namespace {

void read(const Json& json, const std::string& where, int depth, PostProcessor& out);

void read_sequence(const Json& json, const std::string& where, int depth, PostProcessor& out) {
  check_component_fields(json, where, {"processors"});
  for (const Json& part : component_array(json, "processors", where)) {
    read(part, where, depth + 1, out);
  }
}

// Moves offsets only, which Sinter does not keep.
void read_byte_level(const Json& json, const std::string& where, int, PostProcessor&) {
  check_component_fields(json, where, {"add_prefix_space", "trim_offsets", "use_regex"});
}

void read_template(const Json& json, const std::string& where, int, PostProcessor& out) {
  check_component_fields(json, where, {"single", "pair", "special_tokens"});
  const JsonFields fields(json, where);
  PostProcessor around;
  bool seen_text = false;
  for (const Json& item : component_array(json, "single", where)) {
    const JsonFields entry(item, where + ": single");
    if (entry.has("Sequence") && entry.object("Sequence").string("id") == "A" && !seen_text) {
      seen_text = true;
      continue;
    }
    if (!entry.has("SpecialToken")) {
      fail(Fault::unsupported, "tokenizer-component",
           "{}: single: expected special tokens around the sequence A once, found {}", where,
           to_line(item).substr(0, 80));
    }
    const std::string name = entry.object("SpecialToken").string("id");
    const Json ids = fields.object("special_tokens").object(name.c_str()).at("ids");
    if (!ids.is_array()) {
      fail(Fault::bad_input, "json-field", "{}: special_tokens: {}: ids: expected an array", where,
           name);
    }
    for (const Json& id : ids) {
      if (!id.is_number_unsigned() || id.get<uint64_t>() > uint64_t{kMaxToken}) {
        fail(Fault::bad_input, "json-field",
             "{}: special_tokens: {}: ids: expected token ids, found {}", where, name,
             to_line(id).substr(0, 40));
      }
      (seen_text ? around.after : around.before).push_back(id.get<Token>());
    }
  }
  if (!seen_text) {
    fail(Fault::unsupported, "tokenizer-component",
         "{}: single: expected the sequence A, found none", where);
  }
  out.before.insert(out.before.begin(), around.before.begin(), around.before.end());
  out.after.insert(out.after.end(), around.after.begin(), around.after.end());
}

// The list of post-processors: to add one is a reader above and a line here.
using Reader = void (*)(const Json&, const std::string&, int depth, PostProcessor&);
constexpr ComponentKind<Reader> kPostProcessors[] = {
    {"Sequence", read_sequence},
    {"ByteLevel", read_byte_level},
    {"TemplateProcessing", read_template},
};

void read(const Json& json, const std::string& where, int depth, PostProcessor& out) {
  if (depth > kMaxComponentDepth) {
    fail(Fault::unsupported, "tokenizer-component", "{}: Sequences nested more than {} deep", where,
         kMaxComponentDepth);
  }
  const auto& kind =
      find_component(std::span<const ComponentKind<Reader>>(kPostProcessors), json, where);
  kind.read(json, where, depth, out);
}

}  // namespace

PostProcessor read_post_processor(const Json& json, const std::string& where) {
  PostProcessor out;
  if (!json.is_null()) read(json, where, 0, out);
  return out;
}

}  // namespace sinter
