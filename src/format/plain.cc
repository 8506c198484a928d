// Codecs that store elements as they are (f32) or as a shorter float (f16, bf16), little endian.
// The only codecs without parameters: fit_row has nothing to do.
#include <cstring>

#include "format/codecs.h"

namespace sinter {
namespace {

float keep(float x) { return x; }

// Stored is the element on disk; the two functions convert it, the second rounding half to even.
template <typename Stored, float (*widen)(Stored), Stored (*narrow)(float)>
constexpr Codec plain(const char* name) {
  return {
      .name = name,
      .bits = 8.0 * sizeof(Stored),
      .is_plain = true,
      .has_zero_point = false,
      .col_multiple = [](const Format&) -> int64_t { return 1; },
      .row_bytes = [](const Format&, int64_t cols) -> int64_t {
        return cols * static_cast<int64_t>(sizeof(Stored));
      },
      .param_bytes = [](const Format&, int64_t) -> int64_t { return 0; },
      .fit_row = [](const Format&, std::span<const float>, const Fit&, uint8_t*) {},
      .pack_row =
          [](const Format&, std::span<const float> w, const uint8_t*, uint8_t* codes) {
            for (const float x : w) {
              const Stored stored = narrow(x);
              std::memcpy(codes, &stored, sizeof stored);
              codes += sizeof stored;
            }
          },
      .unpack_row =
          [](const Format&, const uint8_t* codes, const uint8_t*, std::span<float> w) {
            for (float& x : w) {
              Stored stored;
              std::memcpy(&stored, codes, sizeof stored);
              codes += sizeof stored;
              x = widen(stored);
            }
          },
      .grid = nullptr,
      .grid_row = nullptr,
  };
}

}  // namespace

const Codec kF32 = plain<float, keep, keep>("f32");
const Codec kF16 = plain<uint16_t, f16_to_f32, f32_to_f16>("f16");
const Codec kBf16 = plain<uint16_t, bf16_to_f32, f32_to_bf16>("bf16");

}  // namespace sinter
