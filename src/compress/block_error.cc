#include "compress/block_error.h"

#include <algorithm>
#include <cmath>

#include "backend/matmul.h"
#include "compress/round.h"

namespace sinter {
namespace {

// out = Q(w s) / s, Q by the peaks of groups.
void round_scaled(MatView w, std::span<const float> s, const RoundTarget& target,
                  ThreadPool& threads, Matrix& scaled, Matrix& out) {
  scaled.resize(w.rows, w.cols);
  out.resize(w.rows, w.cols);
  threads.run(w.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto from = w.row(r);
      const std::span<float> to = scaled.row(r);
      for (size_t j = 0; j < to.size(); ++j) to[j] = from[j] * s[j];
    }
  });
  RoundJob job{.module = "",
               .scheme = target.scheme,
               .format = target.format,
               .w = std::as_const(scaled).view(),
               .codes = {},
               .params = {}};
  fit_matrix(Observer::minmax, {}, threads, job);
  pack_matrix(job.w, threads, job);
  unpack_matrix(job, threads, out.view());
  threads.run(w.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const std::span<float> row = out.row(r);
      for (size_t j = 0; j < row.size(); ++j) row[j] /= s[j];
    }
  });
}

// How inputs are rounded: columns of one scale (0 = all), and the largest level.
struct InputGrid {
  int64_t group;
  float most;
  bool integer, measured;  // measured: one scale for all tokens
};

const InputGrid* input_grid(ActivationMode mode) {
  static constexpr InputGrid kToken8 = {0, 127, true, false}, kTensor8 = {0, 127, true, true},
                             kTokenFp8 = {0, 448, false, false}, kTensorFp8 = {0, 448, false, true},
                             kGroupFp8 = {128, 448, false, false};
  switch (mode) {
    case ActivationMode::exact:
      return nullptr;
    case ActivationMode::int8:
    case ActivationMode::int8_token:
      return &kToken8;
    case ActivationMode::int8_tensor:
      return &kTensor8;
    case ActivationMode::fp8_token:
      return &kTokenFp8;
    case ActivationMode::fp8_tensor:
      return &kTensorFp8;
    case ActivationMode::fp8_group:
      return &kGroupFp8;
  }
  return nullptr;
}

// x = Q(x / s) s, as the scheme rounds inputs. `peak`: the largest |x / s| of all tokens.
void round_inputs(const InputGrid& grid, std::span<const float> s, float peak, MatMut x) {
  for (int64_t i = 0; i < x.rows; ++i) {
    const std::span<float> row = x.row(i);
    const size_t group = grid.group == 0 ? row.size() : static_cast<size_t>(grid.group);
    for (size_t g = 0; g < row.size(); g += group) {
      const size_t end = std::min(row.size(), g + group);
      float most = grid.measured ? peak : 0;
      for (size_t j = g; j < end && !grid.measured; ++j) {
        most = std::max(most, std::abs(row[j] / s[j]));
      }
      if (most == 0) continue;
      const float scale = most / grid.most;
      for (size_t j = g; j < end; ++j) {
        const float level = std::clamp(row[j] / s[j] / scale, -grid.most, grid.most);
        row[j] =
            (grid.integer ? std::nearbyint(level) : e4m3_to_f32(f32_to_e4m3(level))) * scale * s[j];
      }
    }
  }
}

double squared_difference(MatView a, MatView b, ThreadPool& threads) {
  std::vector<double> rows(static_cast<size_t>(a.rows));
  threads.run(a.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto x = a.row(i), y = b.row(i);
      double sum = 0;
      for (size_t j = 0; j < x.size(); ++j) {
        const double d = double{x[j]} - double{y[j]};
        sum += d * d;
      }
      rows[static_cast<size_t>(i)] = sum;
    }
  });
  double sum = 0;
  for (const double r : rows) sum += r;
  return sum;
}

}  // namespace

double output_error(MatView difference, MatView gram, ThreadPool& threads) {
  Matrix seen(difference.rows, difference.cols);
  matmul_nt(threads, difference, gram, seen.view());
  std::vector<double> rows(static_cast<size_t>(difference.rows));
  threads.run(difference.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto d = difference.row(i);
      const std::span<const float> g = std::as_const(seen).row(i);
      double sum = 0;
      for (size_t j = 0; j < d.size(); ++j) sum += double{d[j]} * double{g[j]};
      rows[static_cast<size_t>(i)] = sum;
    }
  });
  double sum = 0;
  for (const double r : rows) sum += r;
  return sum;
}

BlockError::BlockError(const LayerToTransform& job, LayerInput input) : job_(job), input_(input) {
  if (by_gram()) return;
  probe_ = job.walk.probe(job.layer);
  x_ = probe_input();
  exact_.resize(x_.rows, job.walk.config().d_model);
  run_block(x_, exact_.view());
}

bool BlockError::by_gram() const {
  return !job_.statistics(input_).gram.empty() && input_ != LayerInput::attn &&
         input_ != LayerInput::ffn;
}

MatView BlockError::probe_input() const {
  return input_ == LayerInput::attn ? probe_.attn.view() : probe_.ffn.view();
}

void BlockError::run_block(MatView x, MatMut out) {
  if (input_ == LayerInput::attn) {
    job_.walk.attention_block(job_.layer, x, out);
  } else {
    job_.walk.mlp_block(job_.layer, x, out);
  }
}

double BlockError::of(std::span<const float> s) {
  ThreadPool& threads = job_.walk.threads();
  double sum = 0;
  if (by_gram()) {
    for (const LayerLinear l : readers_of(input_)) {
      if (job_.target(l).step == nullptr) continue;
      const Matrix& w = std::as_const(job_.layer).weight(l);
      round_scaled(w.view(), s, job_.target(l), threads, scaled_, rounded_[0]);
      Matrix& d = rounded_[0];
      threads.run(w.rows(), 16, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const std::span<float> row = d.row(r);
          for (size_t j = 0; j < row.size(); ++j) row[j] -= w.row(r)[j];
        }
      });
      sum += output_error(std::as_const(d).view(), job_.statistics(input_).gram.view(), threads);
    }
    return sum;
  }
  const InputGrid* grid = nullptr;
  const auto readers = readers_of(input_);
  for (size_t i = 0; i < readers.size(); ++i) {
    const RoundTarget& target = job_.target(readers[i]);
    if (target.step == nullptr) continue;
    grid = input_grid(target.scheme.activation);
    round_scaled(std::as_const(job_.layer).weight(readers[i]).view(), s, target, threads, scaled_,
                 rounded_[i]);
    std::swap(job_.layer.weight(readers[i]), rounded_[i]);
  }
  Matrix out(exact_.rows(), exact_.cols());
  if (grid == nullptr) {
    run_block(x_, out.view());
  } else {
    float peak = 0;
    for (size_t j = 0; j < s.size(); ++j) {
      peak = std::max(peak, job_.statistics(input_).peak[j] / s[j]);
    }
    Matrix x(x_.rows, x_.cols);
    std::copy_n(x_.at, x_.rows * x_.cols, x.view().at);
    round_inputs(*grid, s, peak, x.view());
    run_block(x.view(), out.view());
  }
  for (size_t i = 0; i < readers.size(); ++i) {
    if (job_.target(readers[i]).step != nullptr) {
      std::swap(job_.layer.weight(readers[i]), rounded_[i]);
    }
  }
  return squared_difference(exact_.view(), out.view(), threads);
}

}  // namespace sinter
