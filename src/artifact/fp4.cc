// FP4 weights, as compressed-tensors and ModelOpt store them. The bytes of codes and block scales
// are the codecs' (format/float4.cc); only the matrix's scale has to be put beside every row.
//
//   nvfp4     M.weight_packed U8 [N, K / 2], M.weight_scale F8_E4M3 [N, K / 16],
//             M.weight_global_scale: one, divides
//   modelopt  M.weight, M.weight_scale alike, M.weight_scale_2: one, multiplies
//   mxfp4     M.weight_packed U8 [N, K / 2], M.weight_scale U8 [N, K / 32]: E8M0
#include <cstring>

#include "artifact/layouts.h"
#include "base/error.h"

namespace sinter {
namespace {

void need_codes(const Source& s, const char* suffix, LoadedWeight& out, int64_t block) {
  if (s.cols % block != 0) {
    fail(Fault::unsupported, "dialect-unsupported",
         "{}: module \"{}\": {} columns do not fill whole blocks of {}", s.where, s.module, s.cols,
         block);
  }
  const StoredTensor& codes = s.need(suffix, DType::u8, {s.rows, s.cols / 2});
  out.weight.format = format_of(s.group.scheme, DType::bf16);
  out.weight.codes = bytes_of(codes);
}

void refuse_byte(const Source& s, const StoredTensor& scales, uint8_t mask) {
  for (size_t i = 0; i < scales.bytes.size(); ++i) {
    if ((bytes_of(scales)[i] & mask) == mask) {
      s.fail_corrupt(scales, fmt::format("scale {} is not a number", i));
    }
  }
}

void load_two_levels(const Source& s, const char* codes, const char* matrix_scale,
                     LoadedWeight& out) {
  constexpr int64_t kBlock = 16;
  need_codes(s, codes, out, kBlock);
  const int64_t n_blocks = s.cols / kBlock;
  const StoredTensor& blocks = s.need(".weight_scale", DType::f8_e4m3, {s.rows, n_blocks});
  refuse_byte(s, blocks, 0x7F);
  const float matrix = positive_scalar(s, s.need(matrix_scale));
  const int64_t param_bytes = out.weight.param_bytes();
  out.params.resize(static_cast<size_t>(s.rows * param_bytes));
  for (int64_t r = 0; r < s.rows; ++r) {
    uint8_t* at = out.params.data() + r * param_bytes;
    std::memcpy(at, bytes_of(blocks) + r * n_blocks, static_cast<size_t>(n_blocks));
    std::memcpy(at + n_blocks, &matrix, sizeof matrix);
  }
  out.weight.params = out.params.data();
}

}  // namespace

void load_nvfp4(const Source& s, LoadedWeight& out) {
  load_two_levels(s, ".weight_packed", ".weight_global_scale", out);
}

void load_modelopt(const Source& s, LoadedWeight& out) {
  if (const StoredTensor* scale = s.find(".pre_quant_scale")) {
    fail(Fault::unsupported, "dialect-unsupported",
         "{}: tensor \"{}\": a scale of every input column (AWQ), which this version does not "
         "apply; export the model without AWQ",
         s.where, scale->name);
  }
  load_two_levels(s, ".weight", ".weight_scale_2", out);
}

void load_mxfp4(const Source& s, LoadedWeight& out) {
  constexpr int64_t kBlock = 32;
  need_codes(s, ".weight_packed", out, kBlock);
  const StoredTensor& scales = s.need(".weight_scale", DType::u8, {s.rows, s.cols / kBlock});
  refuse_byte(s, scales, 0xFF);
  out.weight.params = bytes_of(scales);
}

}  // namespace sinter
