#include "artifact/quantized.h"

#include <algorithm>
#include <cmath>

#include "artifact/layouts.h"
#include "base/error.h"
#include "format/scale.h"

namespace sinter {
namespace {

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

struct LayoutRecord {
  Layout layout;
  LayoutTensors tensors;
  // The other tensors of a module that its loader reads.
  std::array<std::string_view, 3> others;
  void (*load)(const Source& s, LoadedWeight& out);
  // Rows and columns of the matrix for a unit of each dimension of the tensor of codes.
  bool transposed;
  int64_t codes_per_element;  // of the packed dimension; 0 = 32 / bits
};
// The one list of layouts.
constexpr std::array kLayouts = {
    LayoutRecord{Layout::packed,
                 {".weight_packed", DType::i32, ".weight_scale"},
                 {".weight_zero_point", ".weight_shape", ".weight_g_idx"},
                 load_packed,
                 false,
                 0},
    LayoutRecord{Layout::bytes,
                 {".weight", DType::i8, ".weight_scale"},
                 {".weight_zero_point", ".input_scale", ".activation_scale"},
                 load_bytes,
                 false,
                 1},
    LayoutRecord{Layout::float8,
                 {".weight", DType::f8_e4m3, ".weight_scale"},
                 {".weight_scale_inv", ".input_scale", ".activation_scale"},
                 load_float8,
                 false,
                 1},
    LayoutRecord{Layout::nvfp4,
                 {".weight_packed", DType::u8, ".weight_scale"},
                 {".weight_global_scale"},
                 load_nvfp4,
                 false,
                 2},
    LayoutRecord{
        Layout::mxfp4, {".weight_packed", DType::u8, ".weight_scale"}, {}, load_mxfp4, false, 2},
    LayoutRecord{Layout::modelopt,
                 {".weight", DType::u8, ".weight_scale"},
                 {".weight_scale_2"},
                 load_modelopt,
                 false,
                 2},
    LayoutRecord{Layout::awq, {".qweight", DType::i32, ".scales"}, {".qzeros"}, load_awq, true, 8},
    LayoutRecord{Layout::gptq,
                 {".qweight", DType::i32, ".scales"},
                 {".qzeros", ".g_idx"},
                 load_gptq,
                 true,
                 0},
};

constexpr auto kCodeSuffixes = [] {
  std::array<const char*, kLayouts.size()> suffixes{};
  for (size_t i = 0; i < kLayouts.size(); ++i) suffixes[i] = kLayouts[i].tensors.codes;
  return suffixes;
}();

const LayoutRecord& record_of(Layout layout) {
  const LayoutRecord& record = kLayouts.at(static_cast<size_t>(layout));
  SINTER_CHECK(record.layout == layout);
  return record;
}

// The two numbers of a .weight_shape; {-1, -1} if it has no two.
std::array<int64_t, 2> shape_in(const StoredTensor& t) {
  std::array<int64_t, 2> stored = {-1, -1};
  std::array<int32_t, 2> narrow;
  if (t.dtype == DType::i64 && t.bytes.size() == sizeof stored) {
    std::memcpy(stored.data(), t.bytes.data(), sizeof stored);
  } else if (t.dtype == DType::i32 && t.bytes.size() == sizeof narrow) {
    std::memcpy(narrow.data(), t.bytes.data(), sizeof narrow);
    stored = {narrow[0], narrow[1]};
  }
  return stored;
}

// Older files have no such tensor; where there is one, it must agree.
void check_stored_shape(const Source& s) {
  const StoredTensor* t = s.find(".weight_shape");
  if (t == nullptr) return;
  const std::array<int64_t, 2> stored = shape_in(*t);
  if (stored != std::array{s.rows, s.cols}) {
    s.fail_corrupt(*t, fmt::format("expected the shape [{}, {}], found [{}]", s.rows, s.cols,
                                   fmt::join(stored, ", ")));
  }
}

// Scales as stored: [rows, n_groups] values, or a single one for the whole matrix.
const StoredTensor& find_scales(const Source& s, int64_t n_groups) {
  const StoredTensor& scales = s.need(".weight_scale");
  const bool fits = s.group.scheme.per_tensor
                        ? scales.elements() == 1
                        : scales.shape == std::vector{s.rows, n_groups} ||
                              (n_groups == 1 && scales.shape == std::vector{s.rows});
  if (!fits) {
    fail(Fault::corrupt, "tensor-shape", "{}: tensor \"{}\": expected {} scales, found {}", s.where,
         scales.name, s.group.scheme.per_tensor ? "[1]" : shape_text({s.rows, n_groups}),
         shape_text(scales.shape));
  }
  check_scales(s, scales);
  return scales;
}

// Zero points [rows, n_groups] in code units. On disk they are signed: int8, or packed like codes
// but down the rows (word w of column g holds rows 32/bits * w and up).
std::vector<uint8_t> load_zeros(const Source& s, int64_t n_groups) {
  const int bits = s.group.scheme.bits, middle = 1 << (bits - 1);
  std::vector<uint8_t> zeros(static_cast<size_t>(s.rows * n_groups));
  const StoredTensor& stored = s.need(".weight_zero_point");
  if (stored.dtype == DType::i32 && s.group.layout == Layout::packed) {
    const int64_t column_words = words(s.rows, bits);
    s.need(".weight_zero_point", DType::i32, {column_words, n_groups});
    std::vector<uint8_t> column(static_cast<size_t>(4 * column_words));
    for (int64_t g = 0; g < n_groups; ++g) {
      for (int64_t w = 0; w < column_words; ++w) {
        std::memcpy(column.data() + 4 * w, bytes_of(stored) + 4 * (w * n_groups + g), 4);
      }
      for (int64_t r = 0; r < s.rows; ++r) {
        zeros[static_cast<size_t>(r * n_groups + g)] = field(column.data(), r, bits);
      }
    }
    return zeros;
  }
  const bool one = s.group.scheme.per_tensor;
  const bool fits =
      stored.dtype == DType::i8 &&
      (one ? stored.elements() == 1 : n_groups == 1 && stored.shape == std::vector{s.rows});
  if (!fits) {
    s.need(".weight_zero_point", DType::i8,
           one ? std::vector<int64_t>{1} : std::vector{s.rows, n_groups});
  }
  for (size_t i = 0; i < zeros.size(); ++i) {
    const int zero = static_cast<int8_t>(bytes_of(stored)[one ? 0 : i]) + middle;
    if (zero < 0 || zero >= 2 * middle) {
      s.fail_corrupt(stored, fmt::format("zero point {} is outside the range of {}-bit codes",
                                         zero - middle, bits));
    }
    zeros[i] = static_cast<uint8_t>(zero);
  }
  return zeros;
}

// Scales and zero points of the integer layouts of compressed-tensors; the format with them.
void load_params(const Source& s, LoadedWeight& out) {
  Format format = integer_format(s, DType::bf16);
  const int64_t n_groups = format.n_groups(s.cols);
  const StoredTensor& scales = find_scales(s, n_groups);
  format.scale = scales.dtype;
  out.weight.format = format;
  const bool has_zeros = format.codec->has_zero_point;
  if (!has_zeros && !s.group.scheme.per_tensor) {
    out.weight.params = bytes_of(scales);
    return;
  }
  const std::vector<uint8_t> zeros = has_zeros ? load_zeros(s, n_groups) : std::vector<uint8_t>();
  const int64_t scale_bytes = traits(format.scale).bytes;
  set_params(out, n_groups, zeros, [&](int64_t r, int64_t g) {
    return bytes_of(scales) + (s.group.scheme.per_tensor ? 0 : r * n_groups + g) * scale_bytes;
  });
}

}  // namespace

const StoredTensor& Source::need(const char* suffix) const {
  const StoredTensor* t = find(suffix);
  if (t == nullptr) {
    fail(Fault::not_found, "tensor-not-found",
         "{}: expected tensor \"{}{}\" (\"{}\" of quantization_config quantises this module), "
         "found none; the checkpoint and its config.json do not belong together",
         where, module, suffix, group.name);
  }
  return *t;
}

const StoredTensor& Source::need(const char* suffix, DType dtype,
                                 const std::vector<int64_t>& shape) const {
  const StoredTensor& t = need(suffix);
  if (t.dtype != dtype || t.shape != shape) {
    fail(Fault::corrupt, "tensor-shape", "{}: tensor \"{}\": expected {} {}, found {} {}", where,
         t.name, traits(dtype).name, shape_text(shape), traits(t.dtype).name, shape_text(t.shape));
  }
  return t;
}

void Source::fail_corrupt(const StoredTensor& t, const std::string& problem) const {
  fail(Fault::corrupt, "quantized-corrupt", "{}: tensor \"{}\": {}", where, t.name, problem);
}

void check_scales(const Source& s, const StoredTensor& scales) {
  if (plain_codec(scales.dtype) == nullptr) {
    fail(Fault::unsupported, "tensor-type",
         "{}: tensor \"{}\": expected scales of type BF16, F16 or F32, found {}", s.where,
         scales.name, traits(scales.dtype).name);
  }
  const int64_t scale_bytes = traits(scales.dtype).bytes;
  for (int64_t i = 0; i < scales.elements(); ++i) {
    if (!std::isfinite(load_scale(scales.dtype, bytes_of(scales) + i * scale_bytes))) {
      s.fail_corrupt(scales, fmt::format("scale {} is not a finite number", i));
    }
  }
}

float positive_scalar(const Source& s, const StoredTensor& t) {
  if (t.elements() != 1) {
    fail(Fault::corrupt, "tensor-shape", "{}: tensor \"{}\": expected one number, found {}",
         s.where, t.name, shape_text(t.shape));
  }
  check_scales(s, t);
  const float scale = load_scale(t.dtype, bytes_of(t));
  if (!(scale > 0)) s.fail_corrupt(t, fmt::format("expected a positive scale, found {}", scale));
  return scale;
}

void order_columns(const Source& s, const StoredTensor& index, LoadedWeight& out) {
  const Format& format = out.weight.format;
  const int64_t n_groups = format.n_groups(s.cols), group = s.cols / n_groups;
  if (index.dtype != DType::i32 || index.shape != std::vector{s.cols}) {
    fail(Fault::corrupt, "tensor-shape", "{}: tensor \"{}\": expected I32 [{}], found {} {}",
         s.where, index.name, s.cols, traits(index.dtype).name, shape_text(index.shape));
  }
  std::vector<int32_t> of_column(static_cast<size_t>(s.cols));
  std::memcpy(of_column.data(), index.bytes.data(), index.bytes.size());
  if (std::all_of(of_column.begin(), of_column.end(), [](int32_t g) { return g == -1; })) return;
  std::vector<int64_t> next(static_cast<size_t>(n_groups));  // stored column of a group's next
  for (int64_t g = 0; g < n_groups; ++g) next[static_cast<size_t>(g)] = g * group;
  std::vector<int32_t> order(static_cast<size_t>(s.cols));
  bool in_order = true;
  for (size_t k = 0; k < of_column.size(); ++k) {
    const int32_t g = of_column[k];
    if (g < 0 || g >= n_groups || next[static_cast<size_t>(g)] == (g + 1) * group) {
      s.fail_corrupt(index, fmt::format("column {} is in group {}, of which there are {}, of {} "
                                        "columns each",
                                        k, g, n_groups, group));
    }
    const auto at = static_cast<size_t>(next[static_cast<size_t>(g)]++);
    order[at] = static_cast<int32_t>(k);
    in_order = in_order && at == k;
  }
  if (in_order) return;
  const auto bits = static_cast<int>(format.codec->bits);
  const int64_t row_bytes = out.weight.row_bytes();
  std::vector<uint8_t> codes(static_cast<size_t>(s.rows * row_bytes));
  for (int64_t r = 0; r < s.rows; ++r) {
    for (int64_t j = 0; j < s.cols; ++j) {
      add_field(codes.data() + r * row_bytes, j, bits,
                field(out.weight.row_codes(r), order[static_cast<size_t>(j)], bits));
    }
  }
  out.codes = std::move(codes);
  out.weight.codes = out.codes.data();
  out.column_order = std::move(order);
  out.weight.column_order = out.column_order.data();
}

Format integer_format(const Source& s, DType scale) {
  const Format format = format_of(s.group.scheme, scale);
  if (s.cols % format.codec->col_multiple(format) != 0) {
    fail(Fault::unsupported, "dialect-unsupported",
         "{}: module \"{}\": {} columns do not fill whole groups and words of {}", s.where,
         s.module, s.cols, to_string(format));
  }
  return format;
}

void load_packed(const Source& s, LoadedWeight& out) {
  const int bits = s.group.scheme.bits;
  load_params(s, out);
  check_stored_shape(s);
  const StoredTensor& packed = s.need(".weight_packed");
  const int64_t padded_words = (s.cols + 32 / bits - 1) / (32 / bits);
  if (bits == 3 && packed.shape == std::vector<int64_t>{s.rows, padded_words}) {
    fail(Fault::unsupported, "dialect-unsupported",
         "{}: tensor \"{}\": 3-bit codes, ten to a word, as older versions of compressed-tensors "
         "pack them; save the checkpoint with a version that packs them densely",
         s.where, packed.name);
  }
  s.need(".weight_packed", DType::i32, {s.rows, words(s.cols, bits)});
  const int64_t row_bytes = out.weight.row_bytes(), stored_bytes = 4 * words(s.cols, bits);
  out.weight.codes = bytes_of(packed);
  if (stored_bytes != row_bytes) {  // 8 bit, and a padded last word
    out.codes.resize(static_cast<size_t>(s.rows * row_bytes));
    for (int64_t r = 0; r < s.rows; ++r) {
      std::memcpy(out.codes.data() + r * row_bytes, bytes_of(packed) + r * stored_bytes,
                  static_cast<size_t>(row_bytes));
    }
    out.weight.codes = out.codes.data();
  }
  if (const StoredTensor* index = s.find(".weight_g_idx")) {
    order_columns(s, *index, out);
  } else if (s.group.column_order) {
    s.need(".weight_g_idx");
  }
}

void load_bytes(const Source& s, LoadedWeight& out) {
  load_params(s, out);
  const StoredTensor& codes = s.need(".weight", DType::i8, {s.rows, s.cols});
  const int bits = s.group.scheme.bits, middle = 1 << (bits - 1);
  if (bits == 8) {
    out.codes.assign(bytes_of(codes), bytes_of(codes) + codes.bytes.size());
    for (uint8_t& code : out.codes) code ^= 0x80;  // q as int8 -> q + 128
  } else {                                         // a few bits, each in a byte of its own
    const int64_t row_bytes = out.weight.row_bytes();
    out.codes.resize(static_cast<size_t>(s.rows * row_bytes));
    for (int64_t i = 0; i < s.rows * s.cols; ++i) {
      const int code = static_cast<int8_t>(bytes_of(codes)[i]) + middle;
      if (code < 0 || code >= 2 * middle) {
        s.fail_corrupt(
            codes, fmt::format("code {} of element {} is outside {} bits", code - middle, i, bits));
      }
      add_field(out.codes.data() + i / s.cols * row_bytes, i % s.cols, bits,
                static_cast<uint8_t>(code));
    }
  }
  out.weight.codes = out.codes.data();
}

const LayoutTensors& tensors_of(Layout layout) { return record_of(layout).tensors; }

std::span<const char* const> code_suffixes() { return kCodeSuffixes; }

bool reads_tensor(Layout layout, std::string_view suffix) {
  const LayoutRecord& r = record_of(layout);
  return suffix == r.tensors.codes || suffix == r.tensors.scales ||
         std::find(r.others.begin(), r.others.end(), suffix) != r.others.end();
}

bool is_stored(const Checkpoint& checkpoint, std::string_view module, const QuantGroup& group) {
  const LayoutTensors& tensors = tensors_of(group.layout);
  const StoredTensor* t = checkpoint.find(std::string(module) + tensors.codes);
  return t != nullptr && t->dtype == tensors.dtype;
}

DType scale_type(const Checkpoint& checkpoint, std::string_view module, const QuantGroup& group) {
  const std::string name = std::string(module) + tensors_of(group.layout).scales;
  const StoredTensor* scales = checkpoint.find(name);
  if (scales == nullptr) scales = checkpoint.find(name + "_inv");  // as transformers' FP8 has it
  return scales != nullptr && plain_codec(scales->dtype) != nullptr ? scales->dtype : DType::bf16;
}

std::array<int64_t, 2> stored_shape(const Checkpoint& checkpoint, const std::string& where,
                                    const std::string& module, const QuantGroup& group) {
  const Source s{checkpoint, where, module, group, 0, 0};
  const LayoutRecord& record = record_of(group.layout);
  const StoredTensor& t = s.need(record.tensors.codes);
  if (t.shape.size() != 2 || t.shape[0] > INT32_MAX || t.shape[1] > INT32_MAX) {
    fail(Fault::corrupt, "tensor-shape", "{}: tensor \"{}\": expected a matrix, found {}", where,
         t.name, shape_text(t.shape));
  }
  if (const StoredTensor* shape = s.find(".weight_shape")) return shape_in(*shape);
  // A row of bytes may end inside a word.
  if (group.layout == Layout::packed && group.scheme.bits == 8) s.need(".weight_shape");
  const auto unpacked = [&](int64_t n) {
    return record.codes_per_element > 0 ? n * record.codes_per_element : n * 32 / group.scheme.bits;
  };
  if (record.transposed && record.codes_per_element == 0) {
    return {t.shape[1], unpacked(t.shape[0])};
  }
  if (record.transposed) return {unpacked(t.shape[1]), t.shape[0]};
  return {t.shape[0], unpacked(t.shape[1])};
}

LoadedWeight load_quantized(const Checkpoint& checkpoint, const std::string& where,
                            const std::string& module, const QuantGroup& group, int64_t rows,
                            int64_t cols) {
  const Source s{checkpoint, where, module, group, rows, cols};
  if (rows < 1 || cols < 1 || cols > INT32_MAX || rows > INT32_MAX) {
    fail(Fault::corrupt, "tensor-shape",
         "{}: module \"{}\": expected a weight, found the shape [{}, {}]", where, module, rows,
         cols);
  }
  LoadedWeight out;
  out.weight.rows = rows;
  out.weight.cols = cols;
  record_of(group.layout).load(s, out);
  return out;
}

float load_input_scale(const Checkpoint& checkpoint, const std::string& where,
                       const std::string& module, const QuantGroup& group) {
  const Source s{checkpoint, where, module, group, 0, 0};
  const StoredTensor* scale = s.find(".activation_scale");  // as transformers calls it
  return positive_scalar(s, scale != nullptr ? *scale : s.need(".input_scale"));
}

}  // namespace sinter
