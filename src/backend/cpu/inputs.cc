#include "backend/cpu/inputs.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace sinter::cpu {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Columns that share a scale, and the scale of a run whose largest magnitude is `peak`.
struct Rounding {
  ActivationMode mode;
  bool to_int8;
  int64_t columns;  // 0 = the token's
  float (*scale)(float peak);
};

// compressed-tensors' grids: the scale is the peak over half the steps (int8) or over the largest
// value (E4M3), and never zero.
float token_int8(float peak) {
  return std::max(peak / 127.5f, std::numeric_limits<float>::epsilon());
}
float token_fp8(float peak) {
  return std::max(peak / 448.0f, std::numeric_limits<float>::epsilon());
}
float group_int8(float peak) { return peak / 127.0f; }
float group_fp8(float peak) { return peak / 448.0f; }

// The one list of modes that round, but for the two static ones, whose scale is the checkpoint's.
constexpr Rounding kRoundings[] = {{ActivationMode::int8, true, 128, group_int8},
                                   {ActivationMode::int8_token, true, 0, token_int8},
                                   {ActivationMode::int8_tensor, true, 0, nullptr},
                                   {ActivationMode::fp8_token, false, 0, token_fp8},
                                   {ActivationMode::fp8_tensor, false, 0, nullptr},
                                   {ActivationMode::fp8_group, false, 128, group_fp8}};

const Rounding* rounding_of(ActivationMode mode) {
  for (const Rounding& r : kRoundings) {
    if (r.mode == mode) return &r;
  }
  return nullptr;
}

// A scale of zero (a run of zeros) would divide by it; a peak that is no number makes NaN, which
// says so downstream, as it would have in float32.
float scale_of(const Rounding& r, Activation activation, float peak) {
  if (!std::isfinite(peak)) return kNan;
  return r.scale == nullptr ? activation.scale : r.scale(peak);
}

template <typename T>
T* sized(std::vector<T>& v, int64_t n) {
  if (v.size() < static_cast<size_t>(n)) v.resize(static_cast<size_t>(n));
  return v.data();
}

// Rows into tiles (see PanelJob), `step` columns of an input beside each other.
template <typename T>
const T* tiled(const TileWidths& widths, ThreadPool& threads, const T* rows, int64_t stride,
               int64_t step, int64_t n, int64_t columns, T* out) {
  if (n == 1) return rows;
  struct Tile {
    int64_t first, width;
  };
  std::vector<Tile> tiles;
  for (int64_t i = 0; i < n; i += tiles.back().width) {
    tiles.push_back({i, tile_width(widths, n, i)});
  }
  threads.run(static_cast<int64_t>(tiles.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const Tile tile = tiles[static_cast<size_t>(t)];
      T* to = out + tile.first * columns;
      for (int64_t c = 0; c < columns; c += step) {
        for (int64_t i = 0; i < tile.width; ++i) {
          const T* from = rows + (tile.first + i) * stride + c;
          for (int64_t j = 0; j < step; ++j) *to++ = from[j];
        }
      }
    }
  });
  return out;
}

// Rows into matrices of 16 inputs by 64 columns (see Kernels::int8_matrices).
const int8_t* in_matrices(ThreadPool& threads, const int8_t* rows, int64_t n, int64_t columns,
                          int8_t* out) {
  threads.run((n + 15) / 16, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = 16 * begin; i < std::min(16 * end, n); ++i) {
      int8_t* to = out + i / 16 * 16 * round_up(columns, 64) + i % 16 * 64;
      for (int64_t c = 0; c < columns; c += 64, to += 16 * 64) {
        std::memcpy(to, rows + i * columns + c,
                    static_cast<size_t>(std::min<int64_t>(64, columns - c)));
      }
    }
  });
  return out;
}

}  // namespace

bool is_int8(ActivationMode mode) {
  const Rounding* r = rounding_of(mode);
  return r != nullptr && r->to_int8;
}

MatView Inputs::as_floats(const Kernels& k, ThreadPool& threads, Activation activation,
                          const int32_t* column_order, int64_t cols, int64_t stride, MatView x) {
  const Rounding* rounding = rounding_of(activation.mode);
  if (rounding == nullptr && column_order == nullptr && stride == cols) return x;
  float* out = sized(floats_, x.rows * stride);
  threads.run(x.rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* from = x.at + i * x.stride;
      float* to = out + i * stride;
      std::copy(from, from + cols, to);
      std::fill(to + cols, to + stride, 0.0f);
      if (rounding != nullptr) {
        const int64_t run = rounding->columns == 0 ? cols : rounding->columns;
        for (int64_t at = 0; at < cols; at += run) {
          const int64_t n = std::min(run, cols - at);
          const float scale = scale_of(*rounding, activation, k.peak(to + at, n));
          for (int64_t c = at; c < at + n; ++c) {
            if (scale == 0) continue;
            to[c] = rounding->to_int8
                        ? std::clamp(std::nearbyint(to[c] / scale), -128.0f, 127.0f) * scale
                        : e4m3_to_f32(f32_to_e4m3(to[c] / scale)) * scale;
          }
        }
      }
      if (column_order != nullptr) {
        const std::vector<float> row(to, to + cols);
        for (int64_t c = 0; c < cols; ++c) to[c] = row[static_cast<size_t>(column_order[c])];
      }
    }
  });
  return {out, x.rows, stride, stride};
}

InputForm input_form(const Kernels& k, Activation activation, const int32_t* column_order,
                     int64_t cols, const Panels& w) {
  const bool has_offset = w.offset.kind != FactorKind::none;
  const bool integers = is_int8(activation.mode) && k.int8[static_cast<size_t>(w.kind)] != nullptr;
  // One scale for weight and input each: then the whole row is one exact sum of integers.
  const bool whole_row = integers && rounding_of(activation.mode)->columns == 0 &&
                         w.scale.per_panel == 1 && !has_offset &&
                         w.super_scale.kind == FactorKind::none;
  return {.activation = activation,
          .column_order = column_order,
          .cols = cols,
          .columns = w.columns,
          .block = whole_row ? w.columns : w.block,
          .bias = w.bias,
          .integers = integers,
          .needs_sums = has_offset};
}

void Inputs::prepare(const Kernels& k, ThreadPool& threads, const InputForm& form, MatView x,
                     PanelJob& job) {
  job.n = x.rows;
  job.block = form.block;
  job.n_blocks = (form.cols + form.block - 1) / form.block;
  // Integers are rounded below, all others here.
  const Activation before = form.integers ? Activation{} : form.activation;
  const MatView in = as_floats(k, threads, before, form.column_order, form.cols, form.columns, x);
  float* sums = form.needs_sums ? sized(sums_, x.rows * job.n_blocks) : nullptr;
  job.x_sum = sums;
  if (form.integers) return round(k, threads, form, in, job);

  float* tiles = sized(tiles_, x.rows * form.columns);
  job.x = tiled(k.tiles, threads, in.at, in.stride, 1, x.rows, form.columns, tiles);
  for (int64_t i = 0; form.needs_sums && i < x.rows; ++i) {
    for (int64_t b = 0; b < job.n_blocks; ++b) {
      const float* from = in.at + i * in.stride + b * form.block;
      const int64_t n = std::min(form.block, form.cols - b * form.block);
      float sum = 0;
      for (int64_t c = 0; c < n; ++c) sum += from[c];
      sums[b * x.rows + i] = sum;
    }
  }
}

void Inputs::round(const Kernels& k, ThreadPool& threads, const InputForm& form, MatView rows,
                   PanelJob& job) {
  const Rounding& rounding = *rounding_of(form.activation.mode);
  // The dynamic mode's scales follow the weight's groups, from 32 to 128 columns.
  const int64_t run =
      rounding.columns == 0 ? round_up(form.cols, form.block) : std::max(form.block, kUnitColumns);
  auto* codes = sized(codes_, rows.rows * form.columns);
  float* scales = sized(scales_, rows.rows * job.n_blocks);
  int32_t* biases = sized(biases_, rows.rows * job.n_blocks);
  float* sums = form.needs_sums ? sums_.data() : nullptr;
  threads.run(rows.rows, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* from = rows.at + i * rows.stride;
      int8_t* to = codes + i * form.columns;
      for (int64_t at = 0; at < form.columns; at += run) {
        const int64_t n = std::min(run, form.columns - at);
        const float scale =
            scale_of(rounding, form.activation, k.peak(from + at, std::min(n, form.cols - at)));
        const bool usable = std::isfinite(scale) && scale > 0;
        if (!usable) std::fill(to + at, to + at + n, int8_t{0});
        for (int64_t c = at; c < at + n; c += form.block) {
          const int64_t block = std::min(form.block, form.columns - c);
          if (c / form.block >= job.n_blocks) break;
          const int64_t b = c / form.block * rows.rows + i;
          const int32_t sum = usable ? k.round_codes(from + c, scale, block, to + c) : 0;
          scales[b] = scale;
          biases[b] = -form.bias * sum;
          if (sums != nullptr) sums[b] = scale * static_cast<float>(sum);
        }
      }
    }
  });
  int8_t* tiles = sized(code_tiles_, round_up(rows.rows, 16) * round_up(form.columns, 64));
  job.codes = k.int8_matrices && rows.rows > k.tiles.few
                  ? in_matrices(threads, codes, rows.rows, form.columns, tiles)
                  : tiled(k.tiles, threads, codes, form.columns, 4, rows.rows, form.columns, tiles);
  job.x_scale = scales;
  job.x_bias = biases;
}

}  // namespace sinter::cpu
