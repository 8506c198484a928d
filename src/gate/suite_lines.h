// The lines of a suite: one item as JSON, read and written. The run keeps a copy of the items
// beside its results, so that a report can be made again without the suite.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "gate/item.h"

namespace sinter {

// Throws Error(bad_input); messages begin with `where`.
Item read_item(const Json& line, const std::vector<std::string>& domains, const std::string& where);
Json write_item(const Item& item);

// Calls body(object, "path:line") for every line of JSONL that is not empty.
void for_each_line(const std::string& bytes, const std::string& path,
                   const std::function<void(const Json&, const std::string& where)>& body);

}  // namespace sinter
