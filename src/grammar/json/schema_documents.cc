#include "grammar/json/schema_documents.h"

#include <algorithm>

#include "base/error.h"
#include "grammar/json/uri.h"

namespace sinter {
namespace {

// Where schemas stand inside a schema.
constexpr std::string_view kSingle[] = {"not",
                                        "if",
                                        "then",
                                        "else",
                                        "items",
                                        "contains",
                                        "additionalItems",
                                        "additionalProperties",
                                        "propertyNames",
                                        "unevaluatedItems",
                                        "unevaluatedProperties",
                                        "contentSchema"};
constexpr std::string_view kLists[] = {"allOf", "anyOf", "oneOf", "prefixItems", "items"};
constexpr std::string_view kMaps[] = {"properties",  "patternProperties", "$defs",
                                      "definitions", "dependentSchemas",  "dependencies"};
constexpr std::string_view kRecursiveAnchor = "";  // its name among dynamic anchors

constexpr int kMaxDepth = 256;

struct KnownDraft {
  std::string_view uri;
  Draft draft;
};
constexpr KnownDraft kDrafts[] = {
    {"http://json-schema.org/draft-04/schema", Draft::draft4},
    {"http://json-schema.org/draft-06/schema", Draft::draft6},
    {"http://json-schema.org/draft-07/schema", Draft::draft7},
    {"http://json-schema.org/schema", Draft::draft2020},
    {"https://json-schema.org/schema", Draft::draft2020},
    {"https://json-schema.org/draft/2019-09/schema", Draft::draft2019},
    {"https://json-schema.org/draft/2020-12/schema", Draft::draft2020},
    {"http://json-schema.org/draft/2020-12/schema", Draft::draft2020},
    {"http://json-schema.org/draft/2019-09/schema", Draft::draft2019},
    {"https://json-schema.org/draft-07/schema", Draft::draft7},
    {"https://json-schema.org/draft-06/schema", Draft::draft6},
    {"https://json-schema.org/draft-04/schema", Draft::draft4},
};

const char* id_keyword(Draft draft) { return draft == Draft::draft4 ? "id" : "$id"; }

// Before 2019-09 a schema with $ref is nothing but that.
bool ref_hides_siblings(Draft draft) { return draft < Draft::draft2019; }

}  // namespace

std::string pointer_token(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

SchemaDocuments::SchemaDocuments(JsonSchemaSource source) : source_(std::move(source)) {
  scopes_.emplace_back();
  scope_ids_.emplace(Scope(), 0);
  add_document(source_.schema, "", "#", draft_of(source_.schema, source_.default_draft));
  for (const auto& [uri, json] : source_.documents) {
    const std::string base(without_fragment(uri));
    Draft draft = source_.default_draft;
    // A document is read when something refers to it; that its dialect is unknown matters then.
    try {
      draft = draft_of(json, draft);
    } catch (const Error&) {
      continue;
    }
    add_document(json, base, base + "#", draft);
  }
}

Draft SchemaDocuments::draft_of(const Json& schema, Draft otherwise) const {
  if (!schema.is_object() || !schema.contains("$schema")) return otherwise;
  const Json& named = schema["$schema"];
  if (!named.is_string()) {
    fail(Fault::bad_input, "schema-invalid", "schema: /$schema: expected a string, found {}",
         named.type_name());
  }
  std::string_view uri = named.get_ref<const std::string&>();
  if (!uri.empty() && uri.back() == '#') uri.remove_suffix(1);
  for (const KnownDraft& known : kDrafts) {
    if (known.uri == uri) return known.draft;
  }
  fail(Fault::unsupported, "schema-unsupported",
       "schema: /$schema: {} is not a dialect that Sinter knows; it knows drafts 4, 6, 7, 2019-09 "
       "and "
       "2020-12 by their own URIs",
       uri);
}

void SchemaDocuments::add_document(const Json& json, const std::string& uri,
                                   const std::string& shown, Draft draft) {
  index(json, draft, uri, shown, 0);
  by_uri_.try_emplace(uri, ids_.at(&json));
}

SchemaId SchemaDocuments::add(const Json& json, Draft draft, const std::string& base,
                              const std::string& pointer) {
  const auto [found, fresh] = ids_.try_emplace(&json, static_cast<SchemaId>(schemas_.size()));
  if (fresh) schemas_.push_back({&json, draft, base, pointer});
  return found->second;
}

void SchemaDocuments::index(const Json& json, Draft draft, const std::string& base,
                            const std::string& pointer, int depth) {
  if (depth > kMaxDepth) {
    fail(Fault::exhausted, "grammar-limit", "schema: {}: nested more than {} deep; flatten it",
         pointer, kMaxDepth);
  }
  if (!json.is_object()) {
    if (json.is_boolean() || depth == 0) add(json, draft, base, pointer);
    return;
  }
  if (depth > 0) draft = draft_of(json, draft);
  for (const auto& [key, value] : json.items()) keywords_[key] = true;
  std::string own_base = base;
  const bool hidden = ref_hides_siblings(draft) && json.contains("$ref");
  const auto name = json.find(id_keyword(draft));
  if (!hidden && name != json.end() && name->is_string()) {
    const auto& id = name->get_ref<const std::string&>();
    const std::string uri = resolve_uri(base, id);
    own_base = without_fragment(uri);
    const SchemaId schema = add(json, draft, own_base, pointer);
    if (own_base != base || depth == 0) by_uri_.try_emplace(own_base, schema);
    if (const std::string anchor = decoded_fragment(uri); !anchor.empty()) {
      by_uri_.try_emplace(own_base + "#" + anchor, schema);
    }
  }
  const SchemaId schema = add(json, draft, own_base, pointer);
  if (draft >= Draft::draft2019) {
    for (const char* keyword : {"$anchor", "$dynamicAnchor"}) {
      const auto anchor = json.find(keyword);
      if (anchor == json.end() || !anchor->is_string()) continue;
      const auto& text = anchor->get_ref<const std::string&>();
      by_uri_.try_emplace(own_base + "#" + text, schema);
      if (std::string_view(keyword) == "$dynamicAnchor") {
        dynamic_anchors_[own_base].try_emplace(text, schema);
      }
    }
    const auto recursive = json.find("$recursiveAnchor");
    if (recursive != json.end() && *recursive == true) {
      dynamic_anchors_[own_base].try_emplace(std::string(kRecursiveAnchor), schema);
    }
  }
  const auto visit = [&](const Json& inner, const std::string& tokens) {
    index(inner, draft, own_base, pointer + "/" + tokens, depth + 1);
  };
  for (const std::string_view keyword : kSingle) {
    const auto found = json.find(keyword);
    if (found != json.end() && !found->is_array()) visit(*found, std::string(keyword));
  }
  for (const std::string_view keyword : kLists) {
    const auto found = json.find(keyword);
    if (found == json.end() || !found->is_array()) continue;
    for (size_t i = 0; i < found->size(); ++i) {
      visit((*found)[i], fmt::format("{}/{}", keyword, i));
    }
  }
  for (const std::string_view keyword : kMaps) {
    const auto found = json.find(keyword);
    if (found == json.end() || !found->is_object()) continue;
    for (const auto& [key, value] : found->items()) {
      visit(value, fmt::format("{}/{}", keyword, pointer_token(key)));
    }
  }
}

bool SchemaDocuments::uses(std::string_view keyword) const {
  return keywords_.find(keyword) != keywords_.end();
}

ScopeId SchemaDocuments::entered(ScopeId scope, SchemaId schema) {
  const auto found = dynamic_anchors_.find(schemas_[schema].base);
  if (found == dynamic_anchors_.end()) return scope;
  Scope more = scopes_[scope];
  more.insert(found->second.begin(), found->second.end());  // the outermost stay
  const auto [known, fresh] = scope_ids_.try_emplace(more, static_cast<ScopeId>(scopes_.size()));
  if (fresh) scopes_.push_back(std::move(more));
  return known->second;
}

SchemaDocuments::Place SchemaDocuments::root() { return {0, entered(0, 0)}; }

SchemaDocuments::Place SchemaDocuments::child(Place from, const Json& json,
                                              std::string_view tokens) {
  const Schema& parent = schemas_[from.schema];
  const SchemaId id =
      add(json, parent.draft, parent.base, fmt::format("{}/{}", parent.pointer, tokens));
  return {id, entered(from.scope, id)};
}

void SchemaDocuments::bad_reference(SchemaId from, const std::string& reference,
                                    std::string_view why) const {
  fail(Fault::bad_input, "schema-reference", "schema: {}: {} refers to nothing: {}",
       schemas_[from].pointer, reference, why);
}

SchemaDocuments::Place SchemaDocuments::resolve(Place from, std::string_view keyword,
                                                const std::string& reference) {
  SchemaId target = resolve_static(from.schema, reference);
  if (keyword != "$ref" && json(target).is_object()) {
    std::string anchor(kRecursiveAnchor);
    if (keyword == "$dynamicRef") anchor = decoded_fragment(resolve_uri("", reference));
    const char* marker = keyword == "$dynamicRef" ? "$dynamicAnchor" : "$recursiveAnchor";
    const auto found = json(target).find(marker);
    const bool is_dynamic = found != json(target).end() &&
                            (keyword == "$dynamicRef" ? *found == anchor : *found == true);
    if (is_dynamic) {
      const auto outermost = scopes_[from.scope].find(anchor);
      if (outermost != scopes_[from.scope].end()) target = outermost->second;
    }
  }
  return {target, entered(from.scope, target)};
}

SchemaId SchemaDocuments::resolve_static(SchemaId from, const std::string& reference) {
  const std::string uri = resolve_uri(schemas_[from].base, reference);
  const std::string base(without_fragment(uri)), fragment = decoded_fragment(uri);
  const auto resource = by_uri_.find(base);
  if (resource == by_uri_.end()) {
    bad_reference(from, reference,
                  fmt::format("no document {} was given; give it, or write its "
                              "schemas into $defs",
                              base));
  }
  if (fragment.empty()) return resource->second;
  if (fragment[0] == '/') {
    try {
      return walk(resource->second, fragment, reference);
    } catch (const Error&) {
      // Many schemas of draft 4 have an `id` on the way and mean the document all the same.
      if (resource->second == 0 || reference[0] != '#') throw;
      return walk(0, fragment, reference);
    }
  }
  const auto anchor = by_uri_.find(base + "#" + fragment);
  if (anchor == by_uri_.end()) bad_reference(from, reference, "no such anchor");
  return anchor->second;
}

SchemaId SchemaDocuments::walk(SchemaId from, std::string_view pointer,
                               const std::string& reference) {
  const Json* at = schemas_[from].json;
  SchemaId inside = from;  // the innermost schema on the way that is known as one
  std::string tokens;      // from there
  while (!pointer.empty()) {
    const size_t end = pointer.find('/', 1);
    const std::string_view raw = pointer.substr(1, end == std::string_view::npos ? end : end - 1);
    pointer = end == std::string_view::npos ? std::string_view() : pointer.substr(end);
    std::string token;
    for (size_t i = 0; i < raw.size(); ++i) {
      const bool escape = raw[i] == '~' && i + 1 < raw.size();
      token += escape ? (raw[++i] == '1' ? '/' : '~') : raw[i];
    }
    const Json* next = nullptr;
    if (at->is_object()) {
      const auto found = at->find(token);
      if (found != at->end()) next = &*found;
    } else if (at->is_array() && !token.empty() && token.size() < 8 &&
               token.find_first_not_of("0123456789") == std::string::npos) {
      const size_t i = std::stoul(token);
      if (i < at->size()) next = &(*at)[i];
    }
    if (next == nullptr) {
      bad_reference(from, reference, fmt::format("there is no \"{}\" on its way", token));
    }
    at = next;
    tokens += (tokens.empty() ? "" : "/") + pointer_token(token);
    if (const auto known = ids_.find(at); known != ids_.end())
      inside = known->second, tokens.clear();
  }
  if (tokens.empty()) return inside;
  if (!at->is_object() && !at->is_boolean()) {
    bad_reference(from, reference, "what is there is no schema");
  }
  // Not where schemas are expected: it becomes one, with all that is in it.
  const Schema parent = schemas_[inside];
  index(*at, parent.draft, parent.base, parent.pointer + "/" + tokens, 1);
  return ids_.at(at);
}

}  // namespace sinter
