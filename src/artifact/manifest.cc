#include "artifact/manifest.h"

#include "base/error.h"
#include "base/file.h"

namespace sinter {

Json to_json(const ManifestTensor& t) {
  return {{"name", t.name},
          {"format", t.format},
          {"rows", t.rows},
          {"cols", t.cols},
          {"error", {{"relative", t.relative_error}, {"max", t.max_error}}},
          {"sha256", t.sha256}};
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
          .sha256 = fields.string("sha256")};
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
  if (fields.has("proof")) m.proof = fields.at("proof");
  return m;
}

}  // namespace sinter
