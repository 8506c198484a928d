// What is measured: the one list of kinds of case, and their names on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sinter {

struct BenchCase {
  std::string name;       // "decode", "prefill:512", "batch:16", "context:4096"
  int64_t sequences = 1;  // side by side
  int64_t context = 0;    // tokens that each has in the KV cache at the start
  int64_t prompt = 0;     // > 0: a prompt of so many tokens; 0: tokens one by one
  // Of the tokens a sequence holds at the end, when it decodes `steps`.
  int64_t longest(int64_t steps) const { return context + (prompt > 0 ? prompt : steps); }
};

// "decode,prefill:512,batch:16". "standard" stands for all of the default list, "quick" for decode
// and prefill:512. Throws Error(bad_input, "bench-case").
std::vector<BenchCase> parse_cases(const std::string& list);

}  // namespace sinter
