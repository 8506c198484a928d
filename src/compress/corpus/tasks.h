// Marks of structure in a text, and the names of tasks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sinter {

struct Marks {
  bool code = false;  // a fence, or a fifth of the lines looks like a program's
  bool latex = false;
  bool formulas = false;  // LaTeX, or two operations on numbers
  bool json = false;      // an object with a quoted key
  bool xml = false;       // a closing tag
  bool table = false;     // two rows in bars
  bool list = false;      // two items
};
Marks marks_of(std::string_view text);

std::vector<std::string> task_names();  // what task_of may say

}  // namespace sinter
