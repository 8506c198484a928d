// The text of a Lark grammar as a tree, before names have a meaning. See front_ends.h.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/text_cursor.h"

namespace sinter {

struct LarkTree {
  enum class Kind {
    literal,
    range,
    regex,
    name,
    token,
    json,
    substring,
    sequence,
    choice,
    both,
    complement,
    repeat
  };
  Kind kind = Kind::sequence;
  size_t offset = 0;
  std::string text{};   // literal, first of a range, regex, name, JSON
  std::string other{};  // last of a range; flags of literal and regex
  std::vector<size_t> inner{};
  uint32_t min = 0, max = 0;
};

struct LarkDefinition {
  std::string name;
  size_t offset = 0;
  size_t body = 0;
  bool lazy = false;
  bool has_suffix = false;
  size_t suffix = 0;
};

struct LarkFile {
  std::vector<LarkTree> trees;
  std::vector<LarkDefinition> definitions;
  std::vector<size_t> ignored;
  std::vector<std::pair<std::string, std::string>> imports;  // name of the library, name here
  std::unordered_map<std::string, size_t> by_name;           // of definitions
  bool skips_at_start = false;
};

// Upper case: a terminal.
bool is_lark_terminal(std::string_view name);

LarkFile read_lark(TextCursor& cursor, const GrammarLimits& limits);

// The terminal that `%import common.NAME` names, as a regular expression; empty if there is none.
std::string_view lark_common(std::string_view name);

}  // namespace sinter
