#include "artifact/gguf_exact.h"

#include <array>
#include <atomic>
#include <cmath>
#include <optional>
#include <vector>

#include "base/error.h"
#include "format/codecs.h"
#include "format/gguf_block.h"

namespace sinter {
namespace {

constexpr int64_t kBlock = 32;

bool is_finite_half(float x) { return std::isfinite(x) && f16_to_f32(f32_to_f16(x)) == x; }

// A block: value = scale * level.
struct Levels {
  float scale;
  std::span<const int16_t, kBlock> level;
  int lowest() const { return *std::min_element(level.begin(), level.end()); }
  int highest() const { return *std::max_element(level.begin(), level.end()); }
};

// A row of blocks.
struct LevelRow {
  std::vector<int16_t> level;  // [cols]
  std::vector<float> scale;    // [cols / kBlock]
  Levels block(size_t b) const {
    return {scale[b], std::span<const int16_t, kBlock>(level.data() + b * kBlock, kBlock)};
  }
};

// Why no matrix of this kind has blocks of levels; "" = it has.
std::string kind_problem(const Weight& w) {
  const Grid* grid = w.format.codec->grid;
  if (w.column_order != nullptr) {
    return "its columns are in another order than their groups (desc_act)";
  }
  if (grid == nullptr || grid->levels == Grid::Levels::e4m3 || grid->super > 0) {
    return fmt::format("{} is no grid of whole numbers under one scale", w.format.codec->name);
  }
  if (w.cols % kBlock != 0 || scale_columns(w.format, w.cols) % kBlock != 0) {
    return fmt::format("its {} columns in groups of {} do not fill blocks of {}", w.cols,
                       scale_columns(w.format, w.cols), kBlock);
  }
  return "";
}

// Of a matrix without kind_problem().
LevelRow levels_of(const Weight& w, int64_t row) {
  const Grid& grid = *w.format.codec->grid;
  const auto cols = static_cast<size_t>(w.cols);
  const auto group = static_cast<size_t>(scale_columns(w.format, w.cols));
  std::vector<uint8_t> codes(cols);
  std::vector<float> scale(cols / group), offset(grid.has_offset ? cols / group : 0);
  w.format.codec->grid_row(
      w.format, w.row_codes(row), w.row_params(row),
      {.codes = codes, .scale = scale, .offset = offset, .super_scale = {}, .super_offset = {}});
  LevelRow out{std::vector<int16_t>(cols), std::vector<float>(cols / kBlock)};
  for (size_t j = 0; j < cols; ++j) {
    const size_t g = j / group;
    const int level = grid.table != nullptr ? grid.table[codes[j]] : codes[j] - grid.bias;
    // How far a zero point is from the bias; no number where the scale is none.
    const float zero = grid.has_offset ? std::nearbyint(offset[g] / scale[g]) : 0;
    out.level[j] = static_cast<int16_t>(std::abs(zero) <= 255 ? level - static_cast<int>(zero) : 0);
  }
  for (size_t b = 0; b < out.scale.size(); ++b) out.scale[b] = scale[b * kBlock / group];
  return out;
}

// Q4_1's q = level - low, of all that are possible one whose minimum is a half.
std::optional<int> low_of(const Levels& block) {
  for (int low = block.lowest(); low >= block.highest() - 15; --low) {
    if (is_finite_half(block.scale * static_cast<float>(low))) return low;
  }
  return std::nullopt;
}

bool fits_between(const Levels& block, int low, int high) {
  return block.lowest() >= low && block.highest() <= high;
}

// Level - low of each column, as codes.
std::array<uint8_t, kBlock> codes_from(const Levels& block, int low) {
  std::array<uint8_t, kBlock> q{};
  for (size_t i = 0; i < kBlock; ++i) q[i] = static_cast<uint8_t>(block.level[i] - low);
  return q;
}

// The codecs, the smallest first.
struct Target {
  const Codec* codec;
  bool (*holds)(const Levels& block);
  void (*pack)(const Levels& block, uint8_t* out);
};
constexpr std::array kTargets = {
    Target{&kQ40, [](const Levels& block) { return fits_between(block, -8, 7); },
           [](const Levels& block, uint8_t* out) {
             store_half(block.scale, out);
             pack_nibbles(codes_from(block, -8).data(), out + 2);
           }},
    Target{&kQ41, [](const Levels& block) { return low_of(block).has_value(); },
           [](const Levels& block, uint8_t* out) {
             const int low = low_of(block).value();
             store_half(block.scale, out);
             store_half(block.scale * static_cast<float>(low), out + 2);
             pack_nibbles(codes_from(block, low).data(), out + 4);
           }},
    Target{&kQ50, [](const Levels& block) { return fits_between(block, -16, 15); },
           [](const Levels& block, uint8_t* out) {
             const auto q = codes_from(block, -16);
             uint32_t high = 0;
             for (size_t i = 0; i < kBlock; ++i) high |= uint32_t{q[i]} >> 4 << i;
             store_half(block.scale, out);
             std::memcpy(out + 2, &high, sizeof high);
             pack_nibbles(q.data(), out + 6);
           }},
    Target{&kQ80, [](const Levels& block) { return fits_between(block, -128, 127); },
           [](const Levels& block, uint8_t* out) {
             store_half(block.scale, out);
             for (size_t i = 0; i < kBlock; ++i) out[2 + i] = static_cast<uint8_t>(block.level[i]);
           }},
};

}  // namespace

const Codec* exact_blocks(const Weight& weight, const Codec* wanted, ThreadPool& threads,
                          std::string& why) {
  why = kind_problem(weight);
  if (!why.empty()) return nullptr;
  std::atomic<bool> halves = true;
  std::array<std::atomic<bool>, kTargets.size()> holds;
  for (std::atomic<bool>& h : holds) h = true;
  threads.run(weight.rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end && halves; ++r) {
      const LevelRow row = levels_of(weight, r);
      for (size_t b = 0; b < row.scale.size(); ++b) {
        if (!is_finite_half(row.scale[b])) halves = false;
        for (size_t t = 0; t < kTargets.size(); ++t) {
          if (holds[t] && !kTargets[t].holds(row.block(b))) holds[t] = false;
        }
      }
    }
  });
  if (!halves) {
    why = "a scale is no F16, which is the type of all scales in GGUF";
    return nullptr;
  }
  for (size_t t = 0; t < kTargets.size(); ++t) {
    if (holds[t] && (wanted == nullptr || wanted == kTargets[t].codec)) return kTargets[t].codec;
  }
  why = "its levels are too many for one byte";
  return nullptr;
}

void pack_exact_row(const Weight& weight, int64_t row, const Codec& codec, uint8_t* out) {
  const auto target = std::find_if(kTargets.begin(), kTargets.end(),
                                   [&](const Target& t) { return t.codec == &codec; });
  SINTER_CHECK(target != kTargets.end());
  const LevelRow levels = levels_of(weight, row);
  const int64_t bytes = codec.row_bytes({.codec = &codec}, kBlock);
  for (size_t b = 0; b < levels.scale.size(); ++b, out += bytes) target->pack(levels.block(b), out);
}

}  // namespace sinter
