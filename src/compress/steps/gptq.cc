// GPTQ (Frantar et al., arXiv 2210.17323): columns are rounded one after another, and the error of
// each is made up for by those still to come, as far as the inputs' Gram matrix H says they can.
//
//   U: upper triangular, U^T U = H^-1.   e = (w_i - q_i) / U_ii;   w_j -= e U_ij for all j > i
//
// Columns go in order of their inputs' energy (act_order), while groups stay what they are in the
// matrix, their grids chosen from the weights as they were ("static groups"): the result is an
// ordinary checkpoint, no g_idx.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "backend/cholesky.h"
#include "backend/matmul.h"
#include "base/error.h"
#include "compress/matrix_grid.h"
#include "compress/round.h"
#include "compress/steps.h"
#include "compress/yaml_tree.h"

namespace sinter {
namespace {

constexpr int64_t kBlock = 128;   // columns whose errors are spread together
constexpr double kMostDamp = 10;  // of the diagonal's mean: beyond, H says nothing any more

struct Words {
  double damp = 0.01;
  bool act_order = true;
};

// Column j of the result is column order[j] of m.
Matrix permuted_columns(MatView m, std::span<const int64_t> order, ThreadPool& threads) {
  Matrix out(m.rows, m.cols);
  threads.run(m.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const std::span<const float> from = m.row(r);
      const std::span<float> to = out.row(r);
      for (size_t j = 0; j < to.size(); ++j) to[j] = from[static_cast<size_t>(order[j])];
    }
  });
  return out;
}

// H with `damp` on its diagonal, rows and columns in `order`. A column whose inputs are all zero
// has nothing to say, and nothing to fear: its diagonal becomes `dead`.
Matrix damped(MatView gram, std::span<const int64_t> order, double damp, double dead,
              ThreadPool& threads) {
  Matrix h(gram.rows, gram.cols);
  threads.run(h.rows(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* from = gram.at + order[static_cast<size_t>(i)] * gram.stride;
      const std::span<float> to = h.row(i);
      for (size_t j = 0; j < to.size(); ++j) to[j] = from[order[j]];
      float& diagonal = to[static_cast<size_t>(i)];
      diagonal = static_cast<float>((diagonal > 0 ? double{diagonal} : dead) + damp);
    }
  });
  return h;
}

class Gptq : public RoundStep {
 public:
  Gptq(RoundWords words, Words own) : RoundStep(std::move(words)), own_(own) {}
  const char* method() const override { return "gptq"; }
  bool needs_gram() const override { return true; }

  std::string problem(const Format& format, int64_t) const override {
    if (format.codec->grid == nullptr) {
      return fmt::format("gptq needs a format whose values lie on a grid, found {}",
                         to_string(format));
    }
    return "";
  }

  // U, beside it a third of another while it is found; then the weights twice over, the errors of a
  // block and the grid.
  int64_t scratch_bytes(const Format& format, int64_t rows, int64_t cols) const override {
    const int64_t grid =
        cols / scale_columns(format, cols) * (format.codec->grid->has_offset ? 2 : 1);
    return 4 * (cols * cols + std::max(cols * cols / 3, rows * (2 * cols + kBlock + grid)));
  }

  void round(std::span<RoundJob> jobs, const InputStatistics* inputs, ThreadPool& threads,
             std::vector<ManifestNote>& notes) const override {
    SINTER_CHECK(inputs != nullptr);
    const MatView gram = inputs->gram.view();
    for (RoundJob& job : jobs) {
      fit_matrix(words().observer, gram, threads, job);
    }
    const std::vector<int64_t> order = column_order(gram);
    double damp = own_.damp;
    const Matrix u = factor(gram, order, jobs, threads, damp, notes);
    for (RoundJob& job : jobs) {
      job.damp = damp;
      if (u.empty()) {
        pack_matrix(job.w, threads, job);
      } else {
        spread_errors(job, order, u.view(), threads);
      }
    }
  }

 private:
  std::vector<int64_t> column_order(MatView gram) const {
    std::vector<int64_t> order(static_cast<size_t>(gram.rows));
    std::iota(order.begin(), order.end(), int64_t{0});
    if (!own_.act_order) return order;
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return gram.at[a * gram.stride + a] > gram.at[b * gram.stride + b];
    });
    return order;
  }

  // U, or nothing where no damping makes H positive definite. `damp` becomes what it took.
  static Matrix factor(MatView gram, std::span<const int64_t> order, std::span<const RoundJob> jobs,
                       ThreadPool& threads, double& damp, std::vector<ManifestNote>& notes) {
    const auto note = [&](const std::string& what, const std::string& why) {
      for (const RoundJob& job : jobs) notes.push_back({job.module, what, why});
    };
    double mean = 0;
    int64_t dead = 0;
    for (int64_t i = 0; i < gram.rows; ++i) {
      const double diagonal = gram.at[i * gram.stride + i];
      mean += diagonal / static_cast<double>(gram.rows);
      if (!(diagonal > 0)) ++dead;
    }
    if (dead > 0) {
      note(fmt::format("{} of {} columns rounded to nearest", dead, gram.rows),
           "no calibration token reaches them");
    }
    const double asked = damp;
    if (mean == 0) mean = 1;
    for (; damp <= kMostDamp; damp = damp > 0 ? damp * 10 : 0.01) {
      Matrix h = damped(gram, order, damp * mean, mean, threads);
      if (!upper_inverse_factor(threads, h.view())) continue;
      if (damp > asked) {
        note(fmt::format("damped by {:g} of the mean", damp),
             fmt::format("the inputs' Gram matrix is not positive definite with {:g}", asked));
      }
      return h;
    }
    note("rounded to nearest",
         "the inputs' Gram matrix is not positive definite under any damping");
    damp = 0;
    return {};
  }

  static void spread_errors(RoundJob& job, std::span<const int64_t> order, MatView u,
                            ThreadPool& threads) {
    const int64_t rows = job.w.rows, cols = job.w.cols;
    Matrix w = permuted_columns(job.w, order, threads);
    Matrix errors(rows, kBlock);
    const MatrixGrid grid(job.format, rows, cols, job.params.data(), threads);
    for (int64_t begin = 0; begin < cols; begin += kBlock) {
      const int64_t end = std::min(cols, begin + kBlock), n = end - begin;
      const MatMut e{errors.view().at, rows, n, kBlock};
      threads.run(rows, 8, [&](int64_t first, int64_t last) {
        for (int64_t r = first; r < last; ++r) {
          float* row = w.view().at + r * cols;
          for (int64_t i = begin; i < end; ++i) {
            const float* u_row = u.at + i * u.stride;
            const float q = grid.nearest(row[i], r, order[static_cast<size_t>(i)]);
            const float error = (row[i] - q) / u_row[i];
            row[i] = q;
            e.at[r * kBlock + i - begin] = error;
            for (int64_t j = i + 1; j < end; ++j) row[j] -= error * u_row[j];
          }
        }
      });
      if (end == cols) break;
      matmul_nn(threads, e, {u.at + begin * u.stride + end, n, cols - end, u.stride},
                {w.view().at + end, rows, cols - end, cols}, Into::subtract);
    }
    std::vector<int64_t> back(order.size());
    for (size_t j = 0; j < order.size(); ++j) {
      back[static_cast<size_t>(order[j])] = static_cast<int64_t>(j);
    }
    w = permuted_columns(std::as_const(w).view(), back, threads);
    pack_matrix(std::as_const(w).view(), threads, job);
  }

  Words own_;
};

}  // namespace

Step read_gptq(const YamlNode& node, const std::string& where) {
  std::vector<std::string_view> keys = round_keys();
  for (const char* key : {"damp", "act_order"}) keys.push_back(key);
  const YamlFields fields(node, where, keys);
  Words own;
  own.damp = fields.number("damp", own.damp, 0, kMostDamp);
  own.act_order = fields.boolean("act_order", own.act_order);
  RoundWords words = read_round_words(fields, where);
  if (!fields.has("observer")) words.observer = Observer::norm;
  return {.transform = nullptr, .round = std::make_shared<Gptq>(std::move(words), own)};
}

}  // namespace sinter
