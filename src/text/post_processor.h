// What the post-processors of tokenizer.json put around the ids of a text (BOS, EOS).
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"

namespace sinter {

struct PostProcessor {
  std::vector<Token> before;
  std::vector<Token> after;
};

PostProcessor read_post_processor(const Json& json, const std::string& where);

}  // namespace sinter
