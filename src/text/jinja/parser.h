// Tokens to tree, in the grammar of jinja2 3.1. Refuses what needs other templates.
#pragma once

#include <string_view>

#include "text/jinja/syntax.h"

namespace sinter::jinja {

struct ParsedTemplate {
  Body body;
  FrameLayout layout;
};

ParsedTemplate parse_template(std::string_view source);  // throws SyntaxError

}  // namespace sinter::jinja
