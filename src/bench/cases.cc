#include "bench/cases.h"

#include <charconv>
#include <string_view>

#include "base/error.h"

namespace sinter {
namespace {

struct CaseKind {
  std::string_view name;
  bool takes_number;
  int64_t limit;
  BenchCase (*make)(int64_t n);
};

// The one list of kinds.
constexpr CaseKind kKinds[] = {
    {"decode", false, 0, [](int64_t) { return BenchCase{}; }},
    {"prefill", true, 1 << 20, [](int64_t n) { return BenchCase{.name = "", .prompt = n}; }},
    {"batch", true, 512, [](int64_t n) { return BenchCase{.name = "", .sequences = n}; }},
    {"context", true, 1 << 24, [](int64_t n) { return BenchCase{.name = "", .context = n}; }},
};

struct CaseSet {
  std::string_view name, cases;
};
constexpr CaseSet kSets[] = {
    {"quick", "decode,prefill:512"},
    {"standard",
     "decode,prefill:128,prefill:512,prefill:2048,batch:2,batch:4,batch:8,batch:16,batch:32,"
     "context:4096,context:16384,context:32768"},
};

BenchCase parse_case(std::string_view word) {
  const size_t colon = word.find(':');
  for (const CaseKind& kind : kKinds) {
    if (word.substr(0, colon) != kind.name) continue;
    if (!kind.takes_number && colon == std::string_view::npos) {
      BenchCase c = kind.make(0);
      c.name = word;
      return c;
    }
    if (!kind.takes_number || colon == std::string_view::npos) break;
    const std::string_view digits = word.substr(colon + 1);
    int64_t n = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
    if (error != std::errc() || end != digits.data() + digits.size() || n < 1 || n > kind.limit) {
      fail(Fault::bad_input, "bench-case", "--cases: {}: expected {}:N with N from 1 to {}",
           word.substr(0, 60), kind.name, kind.limit);
    }
    BenchCase c = kind.make(n);
    c.name = fmt::format("{}:{}", kind.name, n);
    return c;
  }
  fail(
      Fault::bad_input, "bench-case",
      "--cases: \"{}\": expected decode, prefill:N, batch:N or context:N, or one of the sets quick "
      "and standard, with commas between",
      word.substr(0, 60));
}

void append(std::string_view list, std::vector<BenchCase>& out) {
  while (true) {
    const size_t comma = list.find(',');
    const std::string_view word = list.substr(0, comma);
    bool is_set = false;
    for (const CaseSet& set : kSets) {
      if (word != set.name) continue;
      append(set.cases, out);
      is_set = true;
    }
    if (!is_set) {
      BenchCase c = parse_case(word);
      bool known = false;
      for (const BenchCase& other : out) known = known || other.name == c.name;
      if (!known) out.push_back(std::move(c));
    }
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace

std::vector<BenchCase> parse_cases(const std::string& list) {
  std::vector<BenchCase> cases;
  append(list, cases);
  return cases;
}

}  // namespace sinter
