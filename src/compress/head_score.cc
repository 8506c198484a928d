#include "compress/head_score.h"

#include <algorithm>
#include <cmath>

#include "backend/matmul.h"
#include "base/error.h"

namespace sinter {
namespace {

constexpr int64_t kChunkTokens = 256;

// Rows become log-probabilities.
void normalise(std::span<float> row) {
  const float most = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float z : row) sum += std::exp(double{z} - double{most});
  const double total = std::log(sum) + double{most};
  for (float& z : row) z = static_cast<float>(double{z} - total);
}

size_t first_choice(std::span<const float> row) {
  return static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

// `p`: exp of log_p.
double divergence(std::span<const float> p, std::span<const float> log_p,
                  std::span<const float> log_q) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += double{p[i]} * (double{log_p[i]} - double{log_q[i]});
  // NaN compares false.
  return sum <= kMostDivergence ? std::max(sum, 0.0) : kMostDivergence;
}

}  // namespace

HeadScore::HeadScore(const Artifact& artifact, const ModelConfig& config, const ModuleNames& names,
                     ThreadPool& threads)
    : threads_(threads),
      backend_(make_cpu_backend(1, "")),
      eps_(config.norm_eps),
      final_norm_(artifact.vector(names.final_norm, config.d_model)),
      head_(config.vocab, config.d_model) {
  const std::string& module = config.tied_embeddings ? names.embed : names.head;
  const Weight stored = artifact.matrix(module, config.vocab, config.d_model);
  threads_.run(config.vocab, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) unpack_row(stored, r, head_.row(r));
  });
  artifact.release(module, false);
}

void HeadScore::logits(const RowFile& hidden, int64_t first, MatMut out) {
  x_.resize(out.rows, head_.cols());
  normed_.resize(out.rows, head_.cols());
  hidden.read(first, x_.view());
  backend_->rms_norm(final_norm_, eps_, std::as_const(x_).view(), normed_.view());
  matmul_nt(threads_, std::as_const(normed_).view(), std::as_const(head_).view(), out);
  threads_.run(out.rows, 4, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) normalise(out.row(r));
  });
}

std::vector<Divergence> HeadScore::of(const RowFile& dense,
                                      std::span<const std::unique_ptr<RowFile>> others,
                                      int64_t rows) {
  std::vector<Divergence> result(others.size());
  const int64_t vocab = head_.rows();
  Matrix log_p, p, log_q;
  std::vector<double> kl;
  std::vector<uint8_t> sure, flipped;
  for (int64_t first = 0; first < rows; first += kChunkTokens) {
    const int64_t n = std::min(kChunkTokens, rows - first);
    for (Matrix* m : {&log_p, &p, &log_q}) m->resize(n, vocab);
    logits(dense, first, log_p.view());
    threads_.run(n, 4, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const std::span<const float> from = std::as_const(log_p).row(r);
        std::transform(from.begin(), from.end(), p.row(r).begin(),
                       [](float z) { return std::exp(z); });
      }
    });
    kl.resize(static_cast<size_t>(n));
    sure.resize(kl.size());
    flipped.resize(kl.size());
    for (size_t i = 0; i < others.size(); ++i) {
      logits(*others[i], first, log_q.view());
      threads_.run(n, 4, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const auto at = static_cast<size_t>(r);
          const std::span<const float> probabilities = std::as_const(p).row(r);
          const std::span<const float> q = std::as_const(log_q).row(r);
          kl[at] = divergence(probabilities, std::as_const(log_p).row(r), q);
          const size_t choice = first_choice(probabilities);
          sure[at] = double{probabilities[choice]} >= kSure;
          flipped[at] = sure[at] != 0 && first_choice(q) != choice;
        }
      });
      Divergence& d = result[i];
      for (size_t r = 0; r < kl.size(); ++r) {  // in order of tokens, whatever the threads
        d.kl += kl[r] / static_cast<double>(rows);
        d.sure += sure[r];
        d.flips += flipped[r];
      }
    }
  }
  return result;
}

}  // namespace sinter
