#include "compress/fold.h"

#include <cmath>

#include "base/error.h"

namespace sinter {
namespace {

// The norm in front of an input, or null.
std::vector<float>* norm_of(const LayerToTransform& job, LayerInput input) {
  LayerVectors& v = job.layer.vectors;
  const bool sub_norm = job.walk.config().sub_norm;
  if (input == LayerInput::attn) return &v.attn_norm;
  if (input == LayerInput::ffn) return &v.ffn_norm;
  if (!sub_norm) return nullptr;
  return input == LayerInput::o ? &v.attn_sub_norm : &v.ffn_sub_norm;
}

// The row of v that column j of o reads.
size_t value_row(const ModelConfig& c, size_t j) {
  const auto head_dim = static_cast<size_t>(c.head_dim);
  const auto sharing = static_cast<size_t>(c.n_heads / c.n_kv_heads);
  return j / head_dim / sharing * head_dim + j % head_dim;
}

float stored_as(DType dtype, float x) {
  if (dtype == DType::bf16) return bf16_to_f32(f32_to_bf16(x));
  return dtype == DType::f16 ? f16_to_f32(f32_to_f16(x)) : x;
}

void divide_norm(std::vector<float>& gains, DType dtype, std::span<float> s) {
  for (size_t j = 0; j < s.size(); ++j) {
    const float divided = stored_as(dtype, gains[j] / s[j]);
    if (divided == 0 || !std::isfinite(divided)) {
      s[j] = 1;
      continue;
    }
    s[j] = gains[j] / divided;
    gains[j] = divided;
  }
}

void divide_row(const LayerToTransform& job, LayerLinear linear, size_t row, float s) {
  for (float& w : job.layer.weight(linear).row(static_cast<int64_t>(row))) w /= s;
  if (!job.layer.bias(linear).empty()) job.layer.bias(linear)[row] /= s;
}

}  // namespace

void share_scales(const LayerToTransform& job, LayerInput input, std::span<float> s) {
  if (input != LayerInput::o || norm_of(job, input) != nullptr) return;
  const ModelConfig& c = job.walk.config();
  const int64_t rows = job.layer.weight(LayerLinear::v).rows();
  std::vector<double> logs(static_cast<size_t>(rows));
  for (size_t j = 0; j < s.size(); ++j) logs[value_row(c, j)] += std::log(double{s[j]});
  const double sharing = c.n_heads / c.n_kv_heads;
  for (size_t j = 0; j < s.size(); ++j) {
    s[j] = static_cast<float>(std::exp(logs[value_row(c, j)] / sharing));
  }
}

void fold(const LayerToTransform& job, LayerInput input, std::span<float> s) {
  const ModelConfig& c = job.walk.config();
  if (std::vector<float>* norm = norm_of(job, input); norm != nullptr) {
    divide_norm(*norm, job.norm_types[static_cast<size_t>(input)], s);
  } else if (input == LayerInput::down) {
    for (size_t j = 0; j < s.size(); ++j) divide_row(job, LayerLinear::up, j, s[j]);
  } else {
    // Each row of v once, though several columns of o read it.
    const auto head_dim = static_cast<size_t>(c.head_dim);
    const auto sharing = static_cast<size_t>(c.n_heads / c.n_kv_heads);
    for (size_t j = 0; j < s.size(); ++j) {
      if (j / head_dim % sharing == 0) divide_row(job, LayerLinear::v, value_row(c, j), s[j]);
    }
  }
  for (const LayerLinear l : readers_of(input)) {
    Matrix& w = job.layer.weight(l);
    job.walk.threads().run(w.rows(), 16, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const std::span<float> row = w.row(r);
        for (size_t j = 0; j < row.size(); ++j) row[j] *= s[j];
      }
    });
  }
  job.statistics(input).divide(s);
}

}  // namespace sinter
