// FP8 E4M3 weights: the layout that compressed-tensors, transformers and ModelOpt share, and the
// dialect of transformers (quant_method "fp8", as DeepSeek-V3 and Qwen3-FP8 have it). Facts: its
// FineGrainedFP8Config and finegrained_fp8.py (5.23), vLLM's names for per-tensor scales.
//
//   M.weight            F8_E4M3 [N, K]
//   M.weight_scale      one; or [N, 1] or [N]; or [ceil(N / block rows), ceil(K / block columns)];
//                       or (mxfp8) E8M0 bytes [N, K / 32]
//   M.weight_scale_inv  the same under another name: it is multiplied, too
//   M.input_scale       one, of static inputs; transformers says M.activation_scale
#include <algorithm>
#include <array>

#include "artifact/dialect_fields.h"
#include "artifact/layouts.h"

namespace sinter {
namespace {

int64_t blocks(int64_t n, int64_t block) { return (n + block - 1) / block; }

// A scale for every block of rows and columns.
void load_blocks(const Source& s, const StoredTensor& scales, LoadedWeight& out) {
  const int64_t block_rows = s.group.scheme.block_rows, block_cols = s.group.scheme.group;
  const std::vector<int64_t> shape = {blocks(s.rows, block_rows), blocks(s.cols, block_cols)};
  if (scales.shape != shape) {
    fail(Fault::corrupt, "tensor-shape",
         "{}: tensor \"{}\": expected [{}, {}] scales of blocks of {} x {}, found [{}]", s.where,
         scales.name, shape[0], shape[1], block_rows, block_cols, fmt::join(scales.shape, ", "));
  }
  out.weight.format = format_of(s.group.scheme, scales.dtype, s.cols);
  const int64_t group = out.weight.format.group;
  const int64_t scale_bytes = traits(scales.dtype).bytes;
  set_params(out, s.cols / group, {}, [&](int64_t r, int64_t g) {
    return bytes_of(scales) + (r / block_rows * shape[1] + g * group / block_cols) * scale_bytes;
  });
}

// E8M0 bytes as bf16, which holds every power of two that they can mean.
void load_powers(const Source& s, const StoredTensor& scales, LoadedWeight& out) {
  const int64_t group = s.group.scheme.group;
  if (scales.dtype != DType::u8 || s.cols % group != 0 ||
      scales.shape != std::vector{s.rows, s.cols / group}) {
    fail(Fault::corrupt, "tensor-shape",
         "{}: tensor \"{}\": expected U8 [{}, {} / {}], found {} "
         "[{}]",
         s.where, scales.name, s.rows, s.cols, group, traits(scales.dtype).name,
         fmt::join(scales.shape, ", "));
  }
  std::vector<uint16_t> powers(scales.bytes.size());
  for (size_t i = 0; i < powers.size(); ++i) {
    const uint8_t exponent = bytes_of(scales)[i];
    if (exponent == 0xFF) s.fail_corrupt(scales, fmt::format("scale {} is not a number", i));
    powers[i] = static_cast<uint16_t>(exponent == 0 ? 0x40 : exponent << 7);
  }
  set_params(out, s.cols / group, {}, [&](int64_t r, int64_t g) {
    return &powers[static_cast<size_t>(r * s.cols / group + g)];
  });
}

}  // namespace

void load_float8(const Source& s, LoadedWeight& out) {
  const StoredTensor& codes = s.need(".weight", DType::f8_e4m3, {s.rows, s.cols});
  out.weight.codes = bytes_of(codes);
  const StoredTensor* inverse = s.find(".weight_scale_inv");
  const StoredTensor& scales = inverse != nullptr ? *inverse : s.need(".weight_scale");
  if (s.group.power_of_two_scale) {
    out.weight.format = format_of(s.group.scheme, DType::bf16);
    return load_powers(s, scales, out);
  }
  check_scales(s, scales);
  out.weight.format = format_of(s.group.scheme, scales.dtype);
  if (s.group.scheme.block_rows > 0) return load_blocks(s, scales, out);
  const bool one = s.group.scheme.per_tensor;
  const int64_t group = s.group.scheme.group == 0 ? s.cols : s.group.scheme.group;
  const int64_t n_groups = s.cols / group;
  const bool fits =
      one ? scales.elements() == 1
          : s.cols % group == 0 && (scales.shape == std::vector{s.rows, n_groups} ||
                                    (n_groups == 1 && scales.shape == std::vector{s.rows}));
  if (!fits) {
    fail(Fault::corrupt, "tensor-shape", "{}: tensor \"{}\": expected {}, found [{}]", s.where,
         scales.name,
         one ? "one scale" : fmt::format("scales [{}, {} / {}]", s.rows, s.cols, group),
         fmt::join(scales.shape, ", "));
  }
  if (!one) {
    out.weight.params = bytes_of(scales);
    return;
  }
  set_params(out, 1, {}, [&](int64_t, int64_t) { return bytes_of(scales); });
}

Dialect read_fp8(const DialectSource& source) {
  const JsonFields& fields = source.fields;
  constexpr std::array<std::string_view, 10> kKeys = {
      "quant_method",       "activation_scheme",
      "weight_block_size",  "modules_to_not_convert",
      "ignored_layers",     "fmt",
      "dequantize",         "scale_fmt",
      "modules_to_convert", "expert_dtype"};
  refuse_unknown_keys(fields, kKeys);
  for (const auto& [key, value] : {std::pair{"fmt", "e4m3"}, std::pair{"scale_fmt", "float"}}) {
    if (const std::string found = fields.string(key, value); found != value) {
      unsupported("{}: {} \"{}\"", fields.where(), key, found.substr(0, 40));
    }
  }
  Dialect dialect;
  dialect.by_presence = true;
  read_patterns(fields, "modules_to_not_convert");  // shown by what is stored; but no nonsense
  read_patterns(fields, "ignored_layers");
  QuantGroup group{.name = "fp8", .targets = all_linears(), .scheme = {.number = Number::e4m3}};
  group.layout = Layout::float8;
  if (!read_patterns(fields, "modules_to_convert").empty()) {
    group.targets.emplace_back("Embedding", NamePattern::Globs::no, fields.where());
  }
  const std::string inputs = fields.string("activation_scheme", "dynamic");
  if (inputs != "dynamic" && inputs != "static") {
    unsupported("{}: activation_scheme \"{}\"", fields.where(), inputs.substr(0, 40));
  }
  if (!fields.has("weight_block_size")) {
    group.scheme.per_tensor = true;
    group.scheme.activation =
        inputs == "static" ? ActivationMode::fp8_tensor : ActivationMode::fp8_token;
  } else {
    read_block(fields, "weight_block_size", group);
    if (inputs == "static") {
      group.scheme.activation = ActivationMode::fp8_tensor;
    } else if (group.scheme.group == 128) {
      group.scheme.activation = ActivationMode::fp8_group;
    } else {
      leave_out(dialect, source.weights_only,
                fmt::format("{}: dynamic inputs in groups of {} columns", fields.where(),
                            group.scheme.group));
    }
  }
  dialect.groups.push_back(std::move(group));
  return dialect;
}

}  // namespace sinter
