// Whether a string is of a `format`, found without the grammar's expressions: by the system's
// parser of addresses, by arithmetic on dates, by other patterns.
#pragma once

#include <string>
#include <string_view>

namespace sinter {

// True for formats that are not known: they are annotations.
bool is_of_format(std::string_view format, const std::string& text);

}  // namespace sinter
