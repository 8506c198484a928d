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

}  // namespace

double output_error(MatView difference, MatView gram, Precision precision, ThreadPool& threads) {
  Matrix seen(difference.rows, difference.cols);
  matmul_nt(threads, difference, gram, seen.view(), Into::set, precision);
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

int64_t BlockError::bytes(const LayerWalk& walk, LayerInput input, bool by_gram) {
  int64_t all = 0, largest = 0;
  for (const LayerLinear l : readers_of(input)) {
    const LinearShape shape = layer_linear(walk.config(), walk.names(), 0, l);
    all += shape.rows * shape.cols;
    largest = std::max(largest, shape.rows * shape.cols);
  }
  // Scaled and rounded weights; then, what the Gram matrix makes of them, or the probe's inputs of
  // both blocks, exact, scaled and with the output, while a block runs.
  if (by_gram) return 12 * largest;
  return 4 * (largest + all + 5 * walk.probe_tokens() * walk.config().d_model) +
         walk.block_bytes(input, walk.probe_tokens());
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

// Q(x / s) s, as the scheme rounds inputs.
Matrix BlockError::rounded_inputs(const Scheme& scheme, std::span<const float> s) const {
  const std::vector<float>& peaks = job_.statistics(input_).peak;
  Matrix x(x_.rows, x_.cols);
  float peak = 0;
  for (size_t j = 0; j < s.size(); ++j) peak = std::max(peak, peaks[j] / s[j]);
  for (int64_t i = 0; i < x.rows(); ++i) {
    for (size_t j = 0; j < s.size(); ++j) x.row(i)[j] = x_.row(i)[j] / s[j];
  }
  job_.walk.round_inputs({.mode = scheme.activation, .scale = input_scale(scheme, peak)}, x.view());
  for (int64_t i = 0; i < x.rows(); ++i) {
    for (size_t j = 0; j < s.size(); ++j) x.row(i)[j] *= s[j];
  }
  return x;
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
      sum += output_error(std::as_const(d).view(), job_.statistics(input_).gram.view(),
                          job_.walk.precision(), threads);
    }
    return sum;
  }
  const Scheme* scheme = nullptr;
  const auto readers = readers_of(input_);
  for (size_t i = 0; i < readers.size(); ++i) {
    const RoundTarget& target = job_.target(readers[i]);
    if (target.step == nullptr) continue;
    scheme = &target.scheme;
    round_scaled(std::as_const(job_.layer).weight(readers[i]).view(), s, target, threads, scaled_,
                 rounded_[i]);
    std::swap(job_.layer.weight(readers[i]), rounded_[i]);
  }
  Matrix out(exact_.rows(), exact_.cols());
  if (scheme == nullptr || scheme->activation == ActivationMode::exact) {
    run_block(x_, out.view());
  } else {
    const Matrix x = rounded_inputs(*scheme, s);
    run_block(x.view(), out.view());
  }
  for (size_t i = 0; i < readers.size(); ++i) {
    if (job_.target(readers[i]).step != nullptr) {
      std::swap(job_.layer.weight(readers[i]), rounded_[i]);
    }
  }
  return rounding_error(exact_.view(), std::as_const(out).view(), threads).squared;
}

}  // namespace sinter
