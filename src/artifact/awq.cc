// The dialect of AutoAWQ, version "gemm": 4-bit weights stored by columns of the transposed matrix.
// Facts: AutoAWQ 0.2.9 (WQLinear_GEMM, packing_utils), transformers' AwqConfig.
//
//   M.qweight  I32 [K, N / 8]: word c of row k holds outputs 8c .. 8c + 7 of input k; output
//              8c + order[i] is in nibble i, low first, order = 0 2 4 6 1 3 5 7
//   M.qzeros   I32 [K / group, N / 8], packed alike; the zero points themselves
//   M.scales   F16 [K / group, N]
//   value = (code - zero) * scale. AutoAWQ rounds that product once, to F16; here it stays exact.
#include <algorithm>
#include <array>

#include "artifact/dialect_fields.h"
#include "artifact/layouts.h"
#include "artifact/store.h"

namespace sinter {
namespace {

constexpr std::array<int, 8> kOrder = {0, 2, 4, 6, 1, 3, 5, 7};

// Nibble of a word, by the output it belongs to.
constexpr std::array<int, 8> inverse_order() {
  std::array<int, 8> nibble{};
  for (int i = 0; i < 8; ++i) nibble[static_cast<size_t>(kOrder[static_cast<size_t>(i)])] = i;
  return nibble;
}
constexpr std::array<int, 8> kNibble = inverse_order();

uint32_t word_at(const uint8_t* words, int64_t i) {
  uint32_t word;
  std::memcpy(&word, words + 4 * i, sizeof word);
  return word;
}

// [K, N / 8] words -> rows of nibbles, [N][K / 2] bytes.
std::vector<uint8_t> transposed_codes(const uint8_t* stored, int64_t rows, int64_t cols) {
  const int64_t n_words = rows / 8, row_bytes = cols / 2;
  std::vector<uint8_t> codes(static_cast<size_t>(rows * row_bytes));
  constexpr int64_t kTile = 16;  // words: a cache line of the source at a time
  for (int64_t first = 0; first < n_words; first += kTile) {
    const int64_t end = std::min(n_words, first + kTile);
    for (int64_t b = 0; b < row_bytes; ++b) {
      for (int64_t c = first; c < end; ++c) {
        const uint32_t low = word_at(stored, 2 * b * n_words + c);
        const uint32_t high = word_at(stored, (2 * b + 1) * n_words + c);
        for (size_t j = 0; j < 8; ++j) {
          const int shift = 4 * kNibble[j];
          codes[static_cast<size_t>((8 * c + static_cast<int64_t>(j)) * row_bytes + b)] =
              static_cast<uint8_t>(((low >> shift) & 15) | ((high >> shift) & 15) << 4);
        }
      }
    }
  }
  return codes;
}

std::byte* words_of(OwnedTensor& t) {
  t.bytes.assign(static_cast<size_t>(t.shape[0] * t.shape[1] * 4), std::byte{0});
  return t.bytes.data();
}

// Packs code_of(k, n) into [n_k, n_n / 8] words.
template <typename CodeOf>
void pack(OwnedTensor& t, int64_t n_k, int64_t n_n, CodeOf code_of) {
  std::byte* at = words_of(t);
  for (int64_t k = 0; k < n_k; ++k) {
    for (int64_t c = 0; c < n_n / 8; ++c, at += 4) {
      uint32_t word = 0;
      for (size_t i = 0; i < 8; ++i) word |= uint32_t{code_of(k, 8 * c + kOrder[i])} << (4 * i);
      std::memcpy(at, &word, sizeof word);
    }
  }
}

}  // namespace

Dialect read_awq(const DialectSource& source) {
  const JsonFields& fields = source.fields;
  constexpr std::array<std::string_view, 16> kKeys = {
      "quant_method",     "bits",           "w_bit",    "group_size",
      "q_group_size",     "zero_point",     "version",  "modules_to_not_convert",
      "backend",          "do_fuse",        "format",   "modules_to_fuse",
      "fuse_max_seq_len", "exllama_config", "desc_act", "meta"};
  refuse_unknown_keys(fields, kKeys);
  const int64_t bits = fields.integer("bits", fields.integer("w_bit", 4));
  if (bits != 4) unsupported("{}: {} bits", fields.where(), bits);
  std::string version = fields.string("version", fields.string("format", "gemm"));
  std::transform(version.begin(), version.end(), version.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (version != "gemm") {
    unsupported("{}: version \"{}\" (expected \"gemm\": the others lay weights out for one kernel)",
                fields.where(), version.substr(0, 40));
  }
  if (fields.has("desc_act") && fields.boolean("desc_act", false)) {
    unsupported("{}: desc_act", fields.where());
  }
  const int64_t group_size = fields.integer("group_size", fields.integer("q_group_size", 128));
  read_patterns(fields, "modules_to_not_convert");  // shown by what is stored; but no nonsense
  QuantGroup group{.name = "awq",
                   .targets = all_linears(),
                   .scheme = {.bits = 4,
                              .symmetric = !fields.boolean("zero_point", true),
                              .group = group_size == -1 ? 0 : group_columns(fields, group_size)}};
  group.layout = Layout::awq;
  Dialect dialect;
  dialect.by_presence = true;
  dialect.groups.push_back(std::move(group));
  return dialect;
}

void load_awq(const Source& s, LoadedWeight& out) {
  out.weight.format = integer_format(s, DType::f16);
  if (s.rows % 8 != 0) {
    fail(Fault::unsupported, "dialect-unsupported",
         "{}: module \"{}\": {} rows do not fill whole words of AWQ", s.where, s.module, s.rows);
  }
  const int64_t n_groups = out.weight.format.n_groups(s.cols), n_words = s.rows / 8;
  const StoredTensor& codes = s.need(".qweight", DType::i32, {s.cols, n_words});
  const StoredTensor& scales = s.need(".scales");
  out.weight.format.scale = scales.dtype;  // F16; other writers keep the model's type
  check_scales(s, scales);
  s.need(".scales", scales.dtype, {n_groups, s.rows});
  std::vector<uint8_t> zeros;
  if (out.weight.format.codec->has_zero_point || s.find(".qzeros") != nullptr) {
    const uint8_t* words = bytes_of(s.need(".qzeros", DType::i32, {n_groups, n_words}));
    zeros.resize(static_cast<size_t>(s.rows * n_groups));
    for (int64_t r = 0; r < s.rows; ++r) {
      const int shift = 4 * kNibble[static_cast<size_t>(r % 8)];
      for (int64_t g = 0; g < n_groups; ++g) {
        zeros[static_cast<size_t>(r * n_groups + g)] =
            static_cast<uint8_t>((word_at(words, g * n_words + r / 8) >> shift) & 15);
      }
    }
    if (!out.weight.format.codec->has_zero_point) {
      if (std::any_of(zeros.begin(), zeros.end(), [](uint8_t z) { return z != 8; })) {
        s.fail_corrupt(*s.find(".qzeros"),
                       "zero_point is false, but there are zero points other than 8");
      }
      zeros.clear();
    }
  }
  out.codes = transposed_codes(bytes_of(codes), s.rows, s.cols);
  out.weight.codes = out.codes.data();
  const int64_t scale_bytes = traits(scales.dtype).bytes;
  set_params(out, n_groups, zeros, [&](int64_t r, int64_t g) {
    return bytes_of(scales) + (g * s.rows + r) * scale_bytes;
  });
}

std::string awq_problem(const StorePlan& plan) {
  if (std::string problem = beyond_integers(plan, "AWQ"); !problem.empty()) return problem;
  const QuantisedModule& first = plan.modules.front();
  for (const QuantisedModule& m : plan.modules) {
    if (m.scheme.bits != 4) return fmt::format("{} has {} bits; AWQ has 4", m.name, m.scheme.bits);
    if (m.scheme.group != first.scheme.group) {
      return fmt::format("{} has groups of {}, {} of {}; AWQ has one size for all", m.name,
                         m.scheme.group, first.name, first.scheme.group);
    }
    if (m.column_order) {
      return fmt::format(
          "{} has its columns in another order than their groups (desc_act); AWQ "
          "cannot say that",
          m.name);
    }
    if (m.rows % 8 != 0) return fmt::format("{} has {} rows, not whole words", m.name, m.rows);
    if (m.name == "lm_head" || module_class(m.name) != "Linear") {
      return fmt::format("{} is quantised; AutoAWQ quantises the linears of layers only", m.name);
    }
  }
  return "";
}

std::vector<OwnedTensor> store_awq(const QuantisedModule& m, const Weight& w) {
  const std::string& module = m.name;
  const int64_t n_groups = w.format.n_groups(w.cols);
  OwnedTensor codes{module + ".qweight", DType::i32, {w.cols, w.rows / 8}, {}};
  pack(codes, w.cols, w.rows, [&](int64_t k, int64_t n) { return field(w.row_codes(n), k, 4); });
  OwnedTensor zeros{module + ".qzeros", DType::i32, {n_groups, w.rows / 8}, {}};
  pack(zeros, n_groups, w.rows, [&](int64_t g, int64_t n) { return zero_point(w, n, g); });
  return {std::move(codes), std::move(zeros), half_scales(module + ".scales", w)};
}

Json awq_config(const StorePlan& plan) {
  const int32_t group = plan.modules.front().scheme.group;
  Json dense = Json::array();
  for (const std::string& name : plan.dense) {
    if (name != "lm_head") dense.push_back(name);
  }
  return {{"quant_method", "awq"},
          {"bits", 4},
          {"group_size", group == 0 ? -1 : group},
          {"zero_point", true},
          {"version", "gemm"},
          {"modules_to_not_convert", dense.empty() ? Json(nullptr) : dense}};
}

}  // namespace sinter
