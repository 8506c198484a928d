// What the readers of dialects share: refusing, and reading lists of names. Law 2 rules there: a
// key or value that would change answers and is not understood is an error.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "artifact/dialect.h"
#include "base/error.h"
#include "base/json.h"

namespace sinter {

[[noreturn]] void fail_dialect(const std::string& what);

template <typename... Args>
[[noreturn]] void unsupported(fmt::format_string<Args...> format, Args&&... args) {
  fail_dialect(fmt::format(format, std::forward<Args>(args)...));
}

// Keys that are null or empty ask for nothing.
void refuse_unknown_keys(const JsonFields& fields, std::span<const std::string_view> known);

// The list of module names at `key`; empty if it is absent or null.
std::vector<NamePattern> read_patterns(const JsonFields& fields, const char* key,
                                       NamePattern::Globs globs = NamePattern::Globs::no);

// A number of columns that share a scale. Throws Error(bad_input, "json-field").
int32_t group_columns(const JsonFields& fields, int64_t size);
// The [rows, columns] at `key` that share a scale, into `group`; older files say "128x128".
void read_block(const JsonFields& fields, const char* key, QuantGroup& group);

// Leaves `what` out if only the weights are wanted, else refuses it.
void leave_out(Dialect& dialect, bool weights_only, const std::string& what);

// The one target of dialects that quantise "every linear".
std::vector<NamePattern> all_linears();

// What inputs can be, in the words of compressed-tensors' input_activations: 8 bits, symmetric.
struct InputWords {
  std::string_view type, strategy;
  bool dynamic;
  int32_t group;  // 0 = group_size says nothing
  ActivationMode mode;
};
std::span<const InputWords> input_words();  // compressed_tensors.cc

// One reader a dialect. `fields` is the quantization_config, or the side-car file that stands for
// it.
struct DialectSource {
  JsonFields fields;
  std::string method;
  bool weights_only = false;
};
Dialect read_compressed_tensors(const DialectSource& source);  // compressed_tensors.cc
Dialect read_awq(const DialectSource& source);                 // awq.cc
Dialect read_gptq(const DialectSource& source);                // gptq.cc
Dialect read_fp8(const DialectSource& source);                 // fp8.cc
Dialect read_modelopt(const DialectSource& source);            // modelopt.cc

}  // namespace sinter
