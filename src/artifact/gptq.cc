// The dialect of GPTQ (AutoGPTQ, GPTQModel, AutoRound's export): packed down the inputs, outputs
// beside each other. Facts: auto_gptq 0.7.1 (QuantLinear.pack), GPTQModel 7.7 (quantization/
// config.py, utils/model.py).
//
//   M.qweight  I32 [K bits / 32, N]: down column n the bit stream of output n's codes, so that its
//              transpose is our row, word by word (3 bits: 32 codes in 3 words)
//   M.qzeros   I32 [K / group, N bits / 32]: streams of zero points along the outputs. Version 1
//              ("gptq") stores zero - 1, version 2 ("gptq_v2") zero.
//   M.scales   F16 [K / group, N]
//   M.g_idx    I32 [K]: the group of each column; column / group unless desc_act
//   value = (code - zero) * scale. The tools round that product once, to F16; here it stays exact.
//
// A zero point of 0 in version 1: AutoGPTQ's packing destroys its neighbours; GPTQModel subtracts
// 1 from whole words, so that 0 borrows from the next field, and adds it back likewise. What such a
// file means depends on who wrote it, so it is read only where `meta` says GPTQModel.
#include <algorithm>
#include <array>

#include "artifact/dialect_fields.h"
#include "artifact/layouts.h"
#include "artifact/store.h"

namespace sinter {
namespace {

// What calibration used or which kernel to run: nothing that changes what weights mean.
constexpr std::array<std::string_view, 52> kKeys = {
    // these are read
    "quant_method", "method", "bits", "group_size", "desc_act", "sym", "lm_head",
    "checkpoint_format", "format", "pack_dtype", "dynamic", "meta", "is_marlin_format", "adapter",
    // these are not
    "damp_percent", "damp_auto_increment", "static_groups", "true_sequential", "mse", "rotation",
    "model_name_or_path", "model_file_base_name", "dataset", "tokenizer", "batch_size",
    "block_name_to_quantize", "module_name_preceding_first_block", "modules_in_block_to_quantize",
    "use_exllama", "use_cuda_fp16", "exllama_config", "disable_exllama", "max_input_length",
    "cache_block_outputs", "pad_token_id", "backend", "model_seqlen", "act_group_aware", "hyb_act",
    "v2", "v2_alpha", "gptaq", "foem", "offload_to_disk", "offload_to_disk_path", "pack_impl",
    "compute_device_filter", "parallel_packing", "auto_forward_data_parallel",
    "calibration_data_min_length", "mock_quantization", "hessian"};

struct Settings {
  int64_t bits = 4, group_size = 128;
  bool symmetric = true, column_order = false;
};

Settings read_settings(const JsonFields& fields, const Settings& base) {
  return {.bits = fields.integer("bits", base.bits),
          .group_size = fields.integer("group_size", base.group_size),
          .symmetric = fields.boolean("sym", base.symmetric),
          .column_order = fields.boolean("desc_act", base.column_order)};
}

QuantGroup group_of(const JsonFields& fields, const std::string& name, const Settings& s) {
  QuantGroup group{
      .name = name,
      .targets = {},
      .scheme = {.bits = static_cast<int>(std::clamp<int64_t>(s.bits, 0, 64)),
                 .symmetric = s.symmetric,
                 .group = s.group_size == -1 ? 0 : group_columns(fields, s.group_size)}};
  if (const std::string problem = scheme_problem(group.scheme); !problem.empty()) {
    unsupported("{}: {}", fields.where(), problem);
  }
  group.layout = Layout::gptq;
  group.column_order = s.column_order;
  return group;
}

// {"+:pattern": {overrides}, "-:pattern": {}}: Python regular expressions from the start of a name;
// the first that matches decides.
void read_dynamic(const JsonFields& fields, const Settings& base, Dialect& dialect) {
  if (!fields.has("dynamic")) return;
  const JsonFields dynamic = fields.object("dynamic");
  for (const auto& [key, value] : dynamic.json().items()) {
    const bool skip = key.starts_with("-:");
    const std::string pattern = skip || key.starts_with("+:") ? key.substr(2) : key;
    NamePattern target("re:" + pattern, NamePattern::Globs::no, dynamic.where());
    if (skip) continue;  // its weights are stored dense, and that shows
    const JsonFields overrides(value, fmt::format("{}/{}", dynamic.where(), key.substr(0, 80)));
    constexpr std::array<std::string_view, 7> kOverrides = {
        "bits", "group_size", "sym", "desc_act", "damp_percent", "mse", "static_groups"};
    refuse_unknown_keys(overrides, kOverrides);
    QuantGroup group = group_of(overrides, key, read_settings(overrides, base));
    group.targets.push_back(std::move(target));
    dialect.groups.push_back(std::move(group));
  }
}

bool written_by_gptqmodel(const JsonFields& fields) {
  if (!fields.has("meta") || !fields.at("meta").is_object()) return false;
  const Json& meta = fields.at("meta");
  if (!meta.contains("quantizer")) return false;
  return to_line(meta["quantizer"]).find("gptqmodel") != std::string::npos;
}

// Zero points as stored -> as meant, in place. One row of words, `n` fields.
void add_one(const Source& s, const StoredTensor& t, std::vector<uint8_t>& row, int64_t n,
             int bits) {
  const auto top = static_cast<uint8_t>((1 << bits) - 1);
  bool wraps = false;
  for (int64_t i = 0; i < n; ++i) wraps = wraps || field(row.data(), i, bits) == top;
  if (wraps && !s.group.zeros_may_borrow) {
    s.fail_corrupt(t, fmt::format("a zero point of 0 cannot be stored in version 1 (qzeros less "
                                  "one), but the field {} is there; is checkpoint_format right?",
                                  top));
  }
  if (!wraps || bits == 3) {  // 3-bit fields cross words: GPTQModel counts them one by one
    std::vector<uint8_t> added(row.size());
    for (int64_t i = 0; i < n; ++i) {
      add_field(added.data(), i, bits,
                static_cast<uint8_t>((field(row.data(), i, bits) + 1) & top));
    }
    row = std::move(added);
    return;
  }
  uint32_t ones = 0;
  for (int i = 0; i < 32; i += bits) ones |= 1u << i;
  for (size_t at = 0; at < row.size(); at += 4) {
    uint32_t word;
    std::memcpy(&word, row.data() + at, sizeof word);
    word += ones;
    std::memcpy(row.data() + at, &word, sizeof word);
  }
}

// [rows, n_groups]
std::vector<uint8_t> load_zeros(const Source& s, int64_t n_groups) {
  const int bits = s.group.scheme.bits;
  const int64_t row_bytes = 4 * words(s.rows, bits);
  const StoredTensor& stored = s.need(".qzeros", DType::i32, {n_groups, row_bytes / 4});
  std::vector<uint8_t> zeros(static_cast<size_t>(s.rows * n_groups));
  for (int64_t g = 0; g < n_groups; ++g) {
    const uint8_t* at = bytes_of(stored) + g * row_bytes;
    std::vector<uint8_t> row(at, at + row_bytes);
    if (s.group.zeros_less_one) add_one(s, stored, row, s.rows, bits);
    for (int64_t r = 0; r < s.rows; ++r) {
      zeros[static_cast<size_t>(r * n_groups + g)] = field(row.data(), r, bits);
    }
  }
  if (!s.group.scheme.symmetric) return zeros;
  const int middle = 1 << (bits - 1);
  for (const uint8_t zero : zeros) {
    if (zero != middle) {
      s.fail_corrupt(stored, fmt::format("sym is true, so zero points are {}, but {} is there; is "
                                         "checkpoint_format right?",
                                         middle, zero));
    }
  }
  return {};
}

// [a, b] words -> [b, a].
std::vector<uint8_t> transposed_words(const uint8_t* from, int64_t a, int64_t b) {
  std::vector<uint8_t> to(static_cast<size_t>(4 * a * b));
  constexpr int64_t kTile = 16;  // words: a cache line
  for (int64_t first = 0; first < b; first += kTile) {
    for (int64_t i = 0; i < a; ++i) {
      for (int64_t j = first; j < std::min(b, first + kTile); ++j) {
        std::memcpy(to.data() + 4 * (j * a + i), from + 4 * (i * b + j), 4);
      }
    }
  }
  return to;
}

}  // namespace

Dialect read_gptq(const DialectSource& source) {
  const JsonFields& fields = source.fields;
  refuse_unknown_keys(fields, kKeys);
  const std::string format = fields.string("checkpoint_format", fields.string("format", "gptq"));
  if ((format != "gptq" && format != "gptq_v2") || fields.boolean("is_marlin_format", false)) {
    unsupported("{}: checkpoint_format \"{}\" (expected gptq or gptq_v2)", fields.where(),
                format.substr(0, 40));
  }
  if (const std::string pack = fields.string("pack_dtype", "int32");
      pack != "int32" && pack != "torch.int32") {
    unsupported("{}: pack_dtype {}", fields.where(), pack.substr(0, 40));
  }
  if (fields.has("adapter") && !fields.at("adapter").empty()) {
    unsupported("{}: adapter: weights that are added to these", fields.where());
  }
  if (!fields.has("bits")) unsupported("{}: bits is missing", fields.where());
  Dialect dialect;
  dialect.by_presence = true;
  const Settings settings = read_settings(fields, {});
  read_dynamic(fields, settings, dialect);
  QuantGroup rest = group_of(fields, "gptq", settings);
  rest.targets = all_linears();
  dialect.groups.push_back(std::move(rest));
  for (QuantGroup& group : dialect.groups) {
    group.zeros_less_one = format == "gptq";
    group.zeros_may_borrow = written_by_gptqmodel(fields);
  }
  return dialect;
}

void load_gptq(const Source& s, LoadedWeight& out) {
  const int bits = s.group.scheme.bits;
  out.weight.format = integer_format(s, DType::f16);
  const int64_t n_groups = out.weight.format.n_groups(s.cols), n_words = words(s.cols, bits);
  if (s.cols * bits % 32 != 0) {
    fail(Fault::unsupported, "dialect-unsupported",
         "{}: module \"{}\": {} columns of {} bits do not fill whole words", s.where, s.module,
         s.cols, bits);
  }
  const StoredTensor& codes = s.need(".qweight", DType::i32, {n_words, s.rows});
  const StoredTensor& scales = s.need(".scales");
  check_scales(s, scales);
  s.need(".scales", scales.dtype, {n_groups, s.rows});
  out.weight.format.scale = scales.dtype;
  out.codes = transposed_words(bytes_of(codes), n_words, s.rows);
  out.weight.codes = out.codes.data();
  const std::vector<uint8_t> zeros = load_zeros(s, n_groups);
  const int64_t scale_bytes = traits(scales.dtype).bytes;
  set_params(out, n_groups, zeros, [&](int64_t r, int64_t g) {
    return bytes_of(scales) + (g * s.rows + r) * scale_bytes;
  });
  if (const StoredTensor* index = s.find(".g_idx")) {
    order_columns(s, *index, out);
  } else if (s.group.column_order) {
    s.need(".g_idx");
  }
}

std::string gptq_problem(const StorePlan& plan) {
  if (std::string problem = beyond_integers(plan, "GPTQ"); !problem.empty()) return problem;
  const QuantisedModule& first = plan.modules.front();
  for (const QuantisedModule& m : plan.modules) {
    if (m.scheme.bits != first.scheme.bits || m.scheme.group != first.scheme.group ||
        m.scheme.symmetric != first.scheme.symmetric) {
      return fmt::format(
          "{} is {} in groups of {}, {} is {} in groups of {}; one for all is what "
          "every reader of GPTQ knows",
          m.name, scheme_name(m.scheme), m.scheme.group, first.name, scheme_name(first.scheme),
          first.scheme.group);
    }
    if (m.rows * m.scheme.bits % 32 != 0 || m.cols * m.scheme.bits % 32 != 0) {
      return fmt::format("{} is [{}, {}]: not whole words of {} bits both ways", m.name, m.rows,
                         m.cols, m.scheme.bits);
    }
    if (module_class(m.name) != "Linear") {
      return fmt::format("{} is an embedding; GPTQ quantises linears only", m.name);
    }
  }
  return "";
}

std::vector<OwnedTensor> store_gptq(const QuantisedModule& m, const Weight& w) {
  const std::string& module = m.name;
  const auto bits = static_cast<int>(w.format.codec->bits);
  const int64_t n_groups = w.format.n_groups(w.cols), group = w.cols / n_groups;
  const int64_t n_words = words(w.cols, bits);
  std::vector<int32_t> index(static_cast<size_t>(w.cols));
  std::vector<uint8_t> rows(static_cast<size_t>(4 * n_words * w.rows));
  for (int64_t j = 0; j < w.cols; ++j) {
    const int64_t column = w.column_order == nullptr ? j : w.column_order[j];
    index[static_cast<size_t>(column)] = static_cast<int32_t>(j / group);
    for (int64_t r = 0; r < w.rows; ++r) {
      add_field(rows.data() + 4 * n_words * r, column, bits, field(w.row_codes(r), j, bits));
    }
  }
  const auto as_bytes = [](const auto& values) {
    const auto bytes = std::as_bytes(std::span(values));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  };
  OwnedTensor codes{module + ".qweight",
                    DType::i32,
                    {n_words, w.rows},
                    as_bytes(transposed_words(rows.data(), w.rows, n_words))};
  // Symmetric: version 1, which every reader knows. Else version 2: version 1 has no zero point 0.
  const int less = w.format.codec->has_zero_point ? 0 : 1;
  std::vector<uint8_t> packed(static_cast<size_t>(4 * words(w.rows, bits) * n_groups));
  for (int64_t g = 0; g < n_groups; ++g) {
    for (int64_t r = 0; r < w.rows; ++r) {
      add_field(packed.data() + 4 * words(w.rows, bits) * g, r, bits,
                static_cast<uint8_t>(zero_point(w, r, g) - less));
    }
  }
  OwnedTensor zeros{
      module + ".qzeros", DType::i32, {n_groups, words(w.rows, bits)}, as_bytes(packed)};
  OwnedTensor order{module + ".g_idx", DType::i32, {w.cols}, as_bytes(index)};
  return {std::move(codes), std::move(zeros), half_scales(module + ".scales", w), std::move(order)};
}

Json gptq_config(const StorePlan& plan) {
  const Scheme& scheme = plan.modules.front().scheme;
  bool ordered = false, head = false;
  for (const QuantisedModule& m : plan.modules) {
    ordered = ordered || m.column_order;
    head = head || m.name == "lm_head";
  }
  Json config = {{"quant_method", "gptq"},
                 {"bits", scheme.bits},
                 {"group_size", scheme.group == 0 ? -1 : scheme.group},
                 {"sym", scheme.symmetric},
                 {"desc_act", ordered},
                 {"lm_head", head},
                 {"checkpoint_format", scheme.symmetric ? "gptq" : "gptq_v2"},
                 {"pack_dtype", "int32"}};
  for (const std::string& name : plan.dense) {
    if (name == "lm_head") continue;
    std::string pattern = "-:^";
    for (const char c : name) pattern += c == '.' ? "\\." : std::string(1, c);
    config["dynamic"][pattern + "$"] = Json::object();
  }
  return config;
}

}  // namespace sinter
