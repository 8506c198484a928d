// manifest.json, beside the weights: what an artifact is, what it was made from, by which recipe
// and build, and what rounding did to every tensor. Evidence, so it never changes what a model
// answers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace sinter {

inline constexpr const char* kManifestName = "manifest.json";

struct ManifestTensor {
  std::string name;    // a module for quantised weights, a tensor for copied ones
  std::string format;  // as to_string(Format); the element type of a copied tensor
  int64_t rows = 0;    // a copied tensor of other rank: all elements as one row
  int64_t cols = 0;
  double relative_error = 0;  // |stored - original| / |original|, Frobenius norms
  double max_error = 0;       // largest |stored - original| of one weight
  std::string sha256;         // of the codes, then the parameters, row by row
  std::string method = {};    // that rounded it: "rtn", "gptq"; "" for copied tensors
  // |stored x - original x| / |original x| over the calibration tokens' inputs x; negative:
  // unknown.
  double output_error = -1;
  double damp = 0;  // GPTQ's, of the mean of the Gram matrix's diagonal
};

// What was done otherwise than asked, or that a reader should know.
struct ManifestNote {
  std::string module, what, why;
};

// What a model was calibrated on; without a digest: nothing.
struct ManifestCorpus {
  std::string name, digest;
  int64_t tokens = 0, sequences = 0;
};

struct Manifest {
  int64_t schema = 1;
  std::string digest;       // Artifact::digest() of this directory
  std::string base_digest;  // the same of the checkpoint it was made from
  std::string base_scheme;
  std::string tokenizer_digest = {};  // as tokenizer_digest() of artifact.h has it
  std::string template_digest = {};
  std::string recipe;         // the file, verbatim
  std::string recipe_digest;  // its SHA-256
  std::string build;
  std::string dialect = {};  // that the weights were written in, where somebody chose one
  ManifestCorpus corpus = {};
  Json budget = {};  // how formats were chosen, and by what; null where the recipe names them
  std::vector<ManifestTensor> tensors;
  std::vector<ManifestNote> notes = {};
  Json proof = {};            // of a conversion: what was compared; null otherwise
  std::string verified = {};  // "unverified" until a gate signs it; "" where nobody asked
  Json quick_check = {};      // what a short comparison with the dense model found, or null
};

Json to_json(const ManifestTensor& tensor);
ManifestTensor manifest_tensor(const Json& json, const std::string& where);
Json to_json(const ManifestNote& note);
ManifestNote manifest_note(const Json& json, const std::string& where);

void write_manifest(const std::string& directory, const Manifest& manifest);
// Throws Error(not_found), Error(corrupt | bad_input, "json-..."), Error(unsupported,
// "manifest-schema").
Manifest read_manifest(const std::string& directory);

}  // namespace sinter
