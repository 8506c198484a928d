// A GGUF file as an Artifact: read as the Hugging Face directory that it was made from, with that
// one's names, shapes and order of rows.
#pragma once

#include <memory>
#include <string>

#include "artifact/artifact.h"

namespace sinter {

// Whether `path` is a file that begins as GGUF does, or is called so.
bool is_gguf(const std::string& path);

// `path`: the file, or the first of several parts. Throws Error(unsupported | corrupt | not_found).
std::shared_ptr<const Artifact> open_gguf(const std::string& path);

}  // namespace sinter
