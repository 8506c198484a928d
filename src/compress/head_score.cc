#include "compress/head_score.h"

#include <algorithm>
#include <cmath>

#include "backend/matmul.h"
#include "model/logits.h"

namespace sinter {
namespace {

constexpr int64_t kChunkTokens = 256;

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

int64_t HeadScore::bytes(const Artifact& artifact, const ModelConfig& c, const ModuleNames& names) {
  // First beside the head as it is stored, then beside the logits.
  const int64_t stored =
      artifact.matrix(c.tied_embeddings ? names.embed : names.head, c.vocab, c.d_model).bytes();
  const int64_t rows = 4 * kChunkTokens * (3 * int64_t{c.vocab} + 2 * int64_t{c.d_model});
  return 4 * int64_t{c.vocab} * c.d_model + std::max(stored, rows);
}

void HeadScore::logits(const RowFile& hidden, int64_t first, MatMut out) {
  x_.resize(out.rows, head_.cols());
  normed_.resize(out.rows, head_.cols());
  hidden.read(first, x_.view(), threads_);
  backend_->rms_norm(final_norm_, eps_, std::as_const(x_).view(), normed_.view());
  matmul_nt(threads_, std::as_const(normed_).view(), std::as_const(head_).view(), out);
}

std::vector<Divergence> HeadScore::of(const RowFile& dense,
                                      std::span<const std::unique_ptr<RowFile>> others,
                                      int64_t rows) {
  std::vector<Divergence> result(others.size());
  const int64_t vocab = head_.rows();
  Matrix dense_logits, p, logits_of_other;
  std::vector<double> total, kl;
  std::vector<uint8_t> sure, flipped;
  for (int64_t first = 0; first < rows; first += kChunkTokens) {
    const int64_t n = std::min(kChunkTokens, rows - first);
    for (Matrix* m : {&dense_logits, &p, &logits_of_other}) m->resize(n, vocab);
    logits(dense, first, dense_logits.view());
    total.resize(static_cast<size_t>(n));
    threads_.run(n, 4, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const std::span<const float> row = std::as_const(dense_logits).row(r);
        const double sum = total[static_cast<size_t>(r)] = log_sum_exp(row);
        std::transform(row.begin(), row.end(), p.row(r).begin(),
                       [&](float z) { return static_cast<float>(std::exp(double{z} - sum)); });
      }
    });
    kl.resize(static_cast<size_t>(n));
    sure.resize(kl.size());
    flipped.resize(kl.size());
    for (size_t i = 0; i < others.size(); ++i) {
      logits(*others[i], first, logits_of_other.view());
      threads_.run(n, 4, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const auto at = static_cast<size_t>(r);
          const DenseRow row{std::as_const(dense_logits).row(r), total[at],
                             std::as_const(p).row(r)};
          const std::span<const float> other = std::as_const(logits_of_other).row(r);
          const double d = divergence(row, other);
          kl[at] = d <= kMostDivergence ? d : kMostDivergence;  // NaN compares false
          const Token choice = first_choice(row.logits);
          sure[at] = double{row.p[static_cast<size_t>(choice)]} >= kSure;
          flipped[at] = sure[at] != 0 && first_choice(other) != choice;
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
