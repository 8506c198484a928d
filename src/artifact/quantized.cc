#include "artifact/quantized.h"

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "format/scale.h"

namespace sinter {
namespace {

const uint8_t* bytes_of(const StoredTensor& t) {
  return reinterpret_cast<const uint8_t*>(t.bytes.data());
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// One module being loaded: its tensors, and how its errors begin.
struct Source {
  const Checkpoint& checkpoint;
  const std::string& where;
  const std::string& module;
  const QuantGroup& group;
  int64_t rows, cols;

  const StoredTensor* find(const char* suffix) const { return checkpoint.find(module + suffix); }

  const StoredTensor& need(const char* suffix) const {
    const StoredTensor* t = find(suffix);
    if (t == nullptr) {
      fail(Fault::not_found, "tensor-not-found",
           "{}: expected tensor \"{}{}\" (config_groups/{} quantises this module), found none; the "
           "checkpoint and its config.json do not belong together",
           where, module, suffix, group.name);
    }
    return *t;
  }

  const StoredTensor& need(const char* suffix, DType dtype, std::vector<int64_t> shape) const {
    const StoredTensor& t = need(suffix);
    if (t.dtype != dtype || t.shape != shape) {
      fail(Fault::corrupt, "tensor-shape", "{}: tensor \"{}\": expected {} {}, found {} {}", where,
           t.name, traits(dtype).name, shape_text(shape), traits(t.dtype).name,
           shape_text(t.shape));
    }
    return t;
  }
};

int64_t words(int64_t codes, int bits) { return (codes * bits + 31) / 32; }

// Field i of a stream of little-endian int32 words, low bits first (a stream of bytes, then).
uint8_t field(const uint8_t* stream, int64_t i, int bits) {
  const int64_t bit = i * bits;
  uint32_t two = stream[bit / 8];
  if (bit % 8 + bits > 8) two |= uint32_t{stream[bit / 8 + 1]} << 8;
  return static_cast<uint8_t>((two >> (bit % 8)) & ((1u << bits) - 1));
}

void load_packed_codes(const Source& s, LoadedWeight& out) {
  const int bits = s.group.scheme.bits;
  if (s.find(".weight_g_idx") != nullptr) {
    fail(Fault::unsupported, "dialect-unsupported",
         "{}: module \"{}\" has columns in another order than their groups (weight_g_idx), which "
         "this "
         "version does not read; quantise it without activation ordering",
         s.where, s.module);
  }
  if (const StoredTensor* shape = s.find(".weight_shape")) {
    int64_t stored[2] = {-1, -1};
    if (shape->dtype == DType::i64 && shape->bytes.size() == sizeof stored) {
      std::memcpy(stored, shape->bytes.data(), sizeof stored);
    } else if (shape->dtype == DType::i32 && shape->bytes.size() == 2 * sizeof(int32_t)) {
      int32_t narrow[2];
      std::memcpy(narrow, shape->bytes.data(), sizeof narrow);
      stored[0] = narrow[0];
      stored[1] = narrow[1];
    }
    if (stored[0] != s.rows || stored[1] != s.cols) {
      fail(Fault::corrupt, "quantized-corrupt",
           "{}: tensor \"{}\": expected the shape [{}, {}], found [{}, {}]", s.where, shape->name,
           s.rows, s.cols, stored[0], stored[1]);
    }
  }
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
  if (stored_bytes == row_bytes) return;
  out.codes.resize(static_cast<size_t>(s.rows * row_bytes));  // 8 bit, and a padded last word
  for (int64_t r = 0; r < s.rows; ++r) {
    std::memcpy(out.codes.data() + r * row_bytes, bytes_of(packed) + r * stored_bytes,
                static_cast<size_t>(row_bytes));
  }
  out.weight.codes = out.codes.data();
}

void load_byte_codes(const Source& s, LoadedWeight& out) {
  const StoredTensor& codes = s.need(".weight", DType::i8, {s.rows, s.cols});
  out.codes.assign(bytes_of(codes), bytes_of(codes) + codes.bytes.size());
  for (uint8_t& code : out.codes) code ^= 0x80;  // q as int8 -> q + 128
  out.weight.codes = out.codes.data();
}

// Scales as stored: [rows, n_groups] values, or a single one for the whole matrix.
const StoredTensor& find_scales(const Source& s, int64_t n_groups) {
  const StoredTensor& scales = s.need(".weight_scale");
  const bool fits = s.group.per_tensor ? scales.elements() == 1
                                       : scales.shape == std::vector{s.rows, n_groups} ||
                                             (n_groups == 1 && scales.shape == std::vector{s.rows});
  if (!fits) {
    fail(Fault::corrupt, "tensor-shape", "{}: tensor \"{}\": expected {} scales, found {}", s.where,
         scales.name, s.group.per_tensor ? "[1]" : shape_text({s.rows, n_groups}),
         shape_text(scales.shape));
  }
  if (plain_codec(scales.dtype) == nullptr) {
    fail(Fault::unsupported, "tensor-type",
         "{}: tensor \"{}\": expected scales of type BF16, F16 or F32, found {}", s.where,
         scales.name, traits(scales.dtype).name);
  }
  const int64_t scale_bytes = traits(scales.dtype).bytes;
  for (int64_t i = 0; i < scales.elements(); ++i) {
    if (!std::isfinite(load_scale(scales.dtype, bytes_of(scales) + i * scale_bytes))) {
      fail(Fault::corrupt, "quantized-corrupt",
           "{}: tensor \"{}\": scale {} is not a finite number", s.where, scales.name, i);
    }
  }
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
  const bool one = s.group.per_tensor;
  if (!(one && stored.dtype == DType::i8 && stored.elements() == 1) &&
      !(n_groups == 1 && stored.dtype == DType::i8 && stored.shape == std::vector{s.rows})) {
    s.need(".weight_zero_point", DType::i8, {s.rows, n_groups});
  }
  for (size_t i = 0; i < zeros.size(); ++i) {
    const int zero = static_cast<int8_t>(bytes_of(stored)[one ? 0 : i]) + middle;
    if (zero < 0 || zero >= 2 * middle) {
      fail(Fault::corrupt, "quantized-corrupt",
           "{}: tensor \"{}\": zero point {} is outside the range of {}-bit codes", s.where,
           stored.name, zero - middle, bits);
    }
    zeros[i] = static_cast<uint8_t>(zero);
  }
  return zeros;
}

}  // namespace

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
  Format format = format_of(group.scheme, DType::bf16);
  if (cols % format.codec->col_multiple(format) != 0) {
    fail(Fault::unsupported, "dialect-unsupported",
         "{}: module \"{}\": {} columns do not fill whole groups and words of {}", where, module,
         cols, to_string(format));
  }
  const int64_t n_groups = format.group == 0 ? 1 : cols / format.group;
  const StoredTensor& scales = find_scales(s, n_groups);
  format.scale = scales.dtype;
  out.weight = {.format = format, .rows = rows, .cols = cols};
  if (group.layout == Layout::packed) {
    load_packed_codes(s, out);
  } else {
    load_byte_codes(s, out);
  }
  const bool has_zeros = format.codec->has_zero_point;
  if (!has_zeros && !group.per_tensor) {
    out.weight.params = bytes_of(scales);
    return out;
  }
  const std::vector<uint8_t> zeros = has_zeros ? load_zeros(s, n_groups) : std::vector<uint8_t>();
  const int64_t scale_bytes = n_groups * traits(format.scale).bytes;
  const int64_t param_bytes = out.weight.param_bytes();
  out.params.resize(static_cast<size_t>(rows * param_bytes));
  for (int64_t r = 0; r < rows; ++r) {
    uint8_t* at = out.params.data() + r * param_bytes;
    std::memcpy(at, bytes_of(scales) + (group.per_tensor ? 0 : r * scale_bytes),
                static_cast<size_t>(scale_bytes));
    if (has_zeros) {
      std::memcpy(at + scale_bytes, zeros.data() + r * n_groups, static_cast<size_t>(n_groups));
    }
  }
  out.weight.params = out.params.data();
  return out;
}

}  // namespace sinter
