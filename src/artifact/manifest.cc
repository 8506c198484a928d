#include "artifact/manifest.h"

#include "base/error.h"
#include "base/file.h"

namespace sinter {

Json to_json(const ManifestTensor& t) {
  Json json = {{"name", t.name},
               {"format", t.format},
               {"rows", t.rows},
               {"cols", t.cols},
               {"error", {{"relative", t.relative_error}, {"max", t.max_error}}},
               {"sha256", t.sha256}};
  if (!t.method.empty()) json["method"] = t.method;
  if (t.output_error >= 0) json["error"]["output"] = t.output_error;
  if (t.damp > 0) json["damp"] = t.damp;
  return json;
}

ManifestTensor manifest_tensor(const Json& json, const std::string& where) {
  const JsonFields fields(json, where);
  const JsonFields error = fields.object("error");
  return {.name = fields.string("name"),
          .format = fields.string("format"),
          .rows = fields.integer("rows"),
          .cols = fields.integer("cols"),
          .relative_error = error.number("relative"),
          .max_error = error.number("max"),
          .sha256 = fields.string("sha256"),
          .method = fields.string("method", ""),
          .output_error = error.number("output", -1),
          .damp = fields.number("damp", 0)};
}

Json to_json(const ManifestNote& n) {
  return {{"module", n.module}, {"what", n.what}, {"why", n.why}};
}

ManifestNote manifest_note(const Json& json, const std::string& where) {
  const JsonFields fields(json, where);
  return {fields.string("module"), fields.string("what"), fields.string("why")};
}

void write_manifest(const std::string& directory, const Manifest& m) {
  Json tensors = Json::array();
  for (const ManifestTensor& t : m.tensors) tensors.push_back(to_json(t));
  Json json = {{"schema", m.schema},
               {"digest", m.digest},
               {"base", {{"digest", m.base_digest}, {"scheme", m.base_scheme}}},
               {"recipe", {{"sha256", m.recipe_digest}, {"text", m.recipe}}},
               {"build", m.build},
               {"tensors", tensors}};
  if (!m.dialect.empty()) json["dialect"] = m.dialect;
  if (!m.tokenizer_digest.empty()) json["tokenizer"] = {{"sha256", m.tokenizer_digest}};
  if (!m.template_digest.empty()) json["template"] = {{"sha256", m.template_digest}};
  if (!m.verified.empty()) json["verified"] = m.verified;
  if (!m.quick_check.is_null()) json["quick_check"] = m.quick_check;
  if (!m.corpus.digest.empty()) {
    json["corpus"] = {{"name", m.corpus.name},
                      {"sha256", m.corpus.digest},
                      {"tokens", m.corpus.tokens},
                      {"sequences", m.corpus.sequences}};
  }
  if (!m.budget.is_null()) json["budget"] = m.budget;
  for (const ManifestNote& n : m.notes) json["notes"].push_back(to_json(n));
  if (!m.proof.is_null()) json["proof"] = m.proof;
  write_file_atomically(directory + "/" + kManifestName,
                        json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Manifest read_manifest(const std::string& directory) {
  const std::string path = directory + "/" + kManifestName;
  const Json json = read_json_file(path);
  const JsonFields fields(json, path);
  Manifest m;
  m.schema = fields.integer("schema");
  if (m.schema != 1) {
    fail(Fault::unsupported, "manifest-schema",
         "{}: expected schema 1, found {}; use a newer sinter", path, m.schema);
  }
  m.digest = fields.string("digest");
  const JsonFields base = fields.object("base"), recipe = fields.object("recipe");
  m.base_digest = base.string("digest");
  m.base_scheme = base.string("scheme");
  m.recipe = recipe.string("text");
  m.recipe_digest = recipe.string("sha256");
  m.build = fields.string("build");
  const Json& tensors = fields.at("tensors");
  if (!tensors.is_array()) {
    fail(Fault::bad_input, "json-field", "{}: tensors: expected a list", path);
  }
  for (const Json& t : tensors) m.tensors.push_back(manifest_tensor(t, path + ": tensors"));
  if (fields.has("tokenizer")) m.tokenizer_digest = fields.object("tokenizer").string("sha256");
  if (fields.has("template")) m.template_digest = fields.object("template").string("sha256");
  m.dialect = fields.string("dialect", "");
  m.verified = fields.string("verified", "");
  if (fields.has("quick_check")) m.quick_check = fields.at("quick_check");
  if (fields.has("corpus")) {
    const JsonFields corpus = fields.object("corpus");
    m.corpus = {.name = corpus.string("name"),
                .digest = corpus.string("sha256"),
                .tokens = corpus.integer("tokens"),
                .sequences = corpus.integer("sequences")};
  }
  if (fields.has("budget")) m.budget = fields.at("budget");
  if (fields.has("notes")) {
    if (!fields.at("notes").is_array()) {
      fail(Fault::bad_input, "json-field", "{}: notes: expected a list", path);
    }
    for (const Json& n : fields.at("notes")) m.notes.push_back(manifest_note(n, path + ": notes"));
  }
  if (fields.has("proof")) m.proof = fields.at("proof");
  return m;
}

}  // namespace sinter
