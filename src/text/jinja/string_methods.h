// The methods of str.
#pragma once

#include <string_view>

#include "text/jinja/runtime.h"

namespace sinter::jinja {

// False: str has no such attribute. True with a null body: it has, and we do not support it.
bool find_string_method(std::string_view name, Function::Body* body);

// str.replace(); negative `count`: all.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to,
                        int64_t count, Meter* meter);

}  // namespace sinter::jinja
