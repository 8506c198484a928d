// One driver for all products: blocks of k in their order; in each, the smaller factor is packed
// whole for all to read (its strips stream through L1), and every task packs a block of strips of
// the larger one into its L2 and makes those rows (or columns) of C.
#include "backend/matmul.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "backend/cpu/instruction_sets.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/matmul.h"
#include "backend/cpu/product_kernels.h"
#include "base/error.h"
#include "base/huge_buffer.h"

namespace sinter {
namespace {

using cpu::ProductKernels;
using cpu::Strip;

// Bytes of a vector in a block of k. Sums are stored into C once a block: part of the order of a
// sum.
constexpr int64_t kBlockBytes = 4096;
// Rows of the block that stays in L2: with kBlockBytes, 1 MiB.
constexpr int64_t kResident = 256;
// Rows of the other factor that are packed at a time: with kBlockBytes, 12 MiB.
constexpr int64_t kStreaming = 3072;
constexpr int64_t kLine = 64;  // bytes

int64_t up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// A factor, as n vectors of k.
struct Factor {
  const float* at;
  int64_t n;
  int64_t stride;
  bool along_k;
  int64_t width;  // of a strip
  bool (*pack)(const Strip& from, uint8_t* to);

  int64_t n_strips() const { return up(n, width) / width; }
  Strip strip(int64_t i, int64_t k, int64_t n_k) const {
    const int64_t first = i * width;
    return {.at = at + (along_k ? first * stride + k : k * stride + first),
            .stride = stride,
            .along_k = along_k,
            .width = std::min(width, n - first),
            .k = n_k};
  }
};

// Strips of one block of k, packed one after another.
struct Packed {
  uint8_t* at = nullptr;
  int64_t strip_bytes = 0;
  std::vector<uint8_t> wide = {};  // by strip; threads write elements of their own

  void pack(const Factor& factor, int64_t first, int64_t i, int64_t k, int64_t n_k) {
    wide[static_cast<size_t>(i)] =
        static_cast<uint8_t>(factor.pack(factor.strip(first + i, k, n_k), at + i * strip_bytes));
  }
};

class Product {
 public:
  Product(const ProductKernels& kernels, Factor a, Factor b, int64_t k, MatMut c, bool lower)
      : kernels_(kernels), factors_{a, b}, k_(k), c_(c), lower_(lower) {}

  void run(ThreadPool& threads, Into into) {
    resident_ = lower_ || factors_[0].n >= factors_[1].n ? 0 : 1;
    const Factor &still = factors_[resident_], &moving = factors_[1 - resident_];
    const int64_t n_threads = threads.size();
    // As many blocks as the threads can share evenly; a triangle's differ, so they are smaller.
    const int64_t most = std::max<int64_t>(kResident / (lower_ ? 2 : 1) / still.width, 1);
    const int64_t n_blocks = up(up(still.n_strips(), most) / most, n_threads);
    block_ = up(still.n_strips(), n_blocks) / n_blocks;
    n_blocks_ = up(still.n_strips(), block_) / block_;
    const int64_t chunk = std::min(moving.n_strips(), kStreaming / moving.width);
    const int64_t block_k = kBlockBytes / kernels_.element_bytes;
    const int64_t k_bytes = kernels_.element_bytes * up(std::min(k_, block_k), kernels_.k_step);

    const int64_t moving_bytes = up(chunk * moving.width * k_bytes, kLine);
    still_bytes_ = up(block_ * still.width * k_bytes, kLine);
    const int64_t task_bytes = still_bytes_ + up(tile_bytes(), kLine);
    thread_local HugeBuffer scratch;
    if (scratch.bytes() < moving_bytes + n_threads * task_bytes) {
      scratch = {};
      scratch = HugeBuffer(moving_bytes + n_threads * task_bytes);
    }
    moving_ = {.at = scratch.at(),
               .strip_bytes = moving.width * k_bytes,
               .wide = std::vector<uint8_t>(static_cast<size_t>(chunk))};
    uint8_t* tasks = scratch.at() + moving_bytes;

    for (int64_t first = 0; first < moving.n_strips(); first += chunk) {
      const int64_t n = std::min(chunk, moving.n_strips() - first);
      Into now = into;
      for (int64_t k = 0; k < k_; k += block_k) {
        const int64_t n_k = std::min(block_k, k_ - k);
        threads.run(n, 1, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) moving_.pack(moving, first, i, k, n_k);
        });
        std::atomic<int64_t> next{0};
        threads.run(n_threads, 1, [&](int64_t begin, int64_t end) {
          for (int64_t slot = begin; slot < end; ++slot) {
            Packed still_strips{.at = tasks + slot * task_bytes,
                                .strip_bytes = still.width * k_bytes,
                                .wide = std::vector<uint8_t>(static_cast<size_t>(block_))};
            // The last block first: in a triangle it is the longest.
            for (int64_t i = next++; i < n_blocks_; i = next++) {
              make(n_blocks_ - 1 - i, still_strips, first, n, k, n_k, now);
            }
          }
        });
        if (now == Into::set) now = Into::add;
      }
    }
  }

 private:
  int64_t tile_bytes() const { return kernels_.rows * kernels_.cols * 4; }

  // Is any of a tile on or below the diagonal?
  bool wanted(int64_t row_strip, int64_t col_strip) const {
    return !lower_ || (row_strip + 1) * kernels_.rows > col_strip * kernels_.cols;
  }

  // Block `block` of the resident factor by n strips of the other one, from `first` on.
  void make(int64_t block, Packed& still, int64_t first, int64_t n, int64_t k, int64_t n_k,
            Into into) const {
    const int64_t begin = block * block_;
    const int64_t end = std::min(begin + block_, factors_[resident_].n_strips());
    if (!wanted(end - 1, first)) return;
    for (int64_t i = begin; i < end; ++i) still.pack(factors_[resident_], begin, i - begin, k, n_k);
    float* sums = reinterpret_cast<float*>(still.at + still_bytes_);
    const int64_t padded_k = up(n_k, kernels_.k_step), n_steps = padded_k / kernels_.k_step;
    // The next strip that moves comes to L2 while all that stay are multiplied with this one.
    const int64_t next_bytes = up(moving_.strip_bytes / ((end - begin) * n_steps), kLine);
    kernels_.enter();
    for (int64_t j = 0; j < n; ++j) {
      if (!wanted(end - 1, first + j)) break;
      const uint8_t* moving = moving_.at + j * moving_.strip_bytes;
      for (int64_t i = 0; i < end - begin; ++i) {
        const int64_t row_strip = resident_ == 0 ? begin + i : first + j;
        const int64_t col_strip = resident_ == 0 ? first + j : begin + i;
        if (!wanted(row_strip, col_strip)) continue;
        const int64_t row = row_strip * kernels_.rows, col = col_strip * kernels_.cols;
        const int64_t n_rows = std::min(kernels_.rows, c_.rows - row);
        const int64_t n_cols = std::min(kernels_.cols, c_.cols - col);
        float* c = c_.at + row * c_.stride + col;
        cpu::PackedStrips strips = {.a = still.at + i * still.strip_bytes,
                                    .b = moving,
                                    .a_wide = still.wide[static_cast<size_t>(i)] != 0,
                                    .b_wide = moving_.wide[static_cast<size_t>(j)] != 0,
                                    .k = padded_k,
                                    .next = moving + moving_.strip_bytes + i * next_bytes * n_steps,
                                    .next_bytes = j + 1 < n ? next_bytes : 0,
                                    .c = c,
                                    .c_stride = c_.stride};
        if (resident_ == 1) {
          std::swap(strips.a, strips.b);
          std::swap(strips.a_wide, strips.b_wide);
        }
        kernels_.multiply(strips, sums);
        kernels_.store(sums, n_rows, n_cols, into, c, c_.stride);
      }
    }
    kernels_.leave();
  }

  const ProductKernels& kernels_;
  Factor factors_[2];
  int64_t k_;
  MatMut c_;
  bool lower_;
  int resident_ = 0;
  int64_t block_ = 0, n_blocks_ = 0, still_bytes_ = 0;
  Packed moving_;
};

}  // namespace

namespace cpu {

void multiply(ThreadPool& threads, const ProductKernels& kernels, const Operand& a,
              const Operand& b, MatMut c, Into into, bool lower) {
  // As [n, k]: n vectors of k.
  const int64_t n_a = a.transposed ? a.at.cols : a.at.rows;
  const int64_t k_a = a.transposed ? a.at.rows : a.at.cols;
  const int64_t n_b = b.transposed ? b.at.rows : b.at.cols;
  const int64_t k_b = b.transposed ? b.at.cols : b.at.rows;
  SINTER_CHECK(n_a == c.rows && n_b == c.cols && k_a == k_b);
  if (c.rows == 0 || c.cols == 0) return;
  if (k_a == 0) {
    for (int64_t i = 0; i < c.rows && into == Into::set; ++i) std::ranges::fill(c.row(i), 0.0f);
    return;
  }
  Product(kernels,
          {.at = a.at.at,
           .n = n_a,
           .stride = a.at.stride,
           .along_k = !a.transposed,
           .width = kernels.rows,
           .pack = kernels.pack_a},
          {.at = b.at.at,
           .n = n_b,
           .stride = b.at.stride,
           .along_k = b.transposed,
           .width = kernels.cols,
           .pack = kernels.pack_b},
          k_a, c, lower)
      .run(threads, into);
}

}  // namespace cpu

namespace {

const ProductKernels& chosen(Precision precision) {
  static const ProductKernels& kernels = *cpu::kernels_named("").products;
  const bool rounded = precision == Precision::bfloat16 && kernels.rounded != nullptr;
  return rounded ? *kernels.rounded : kernels;
}

}  // namespace

void matmul_nt(ThreadPool& threads, MatView a, MatView b, MatMut c, Into into,
               Precision precision) {
  cpu::multiply(threads, chosen(precision), {a, false}, {b, true}, c, into, false);
}

void matmul_nn(ThreadPool& threads, MatView a, MatView b, MatMut c, Into into) {
  cpu::multiply(threads, chosen(Precision::float32), {a, false}, {b, false}, c, into, false);
}

void add_gram_lower(ThreadPool& threads, MatView x, MatMut h, Precision precision) {
  cpu::multiply(threads, chosen(precision), {x, true}, {x, false}, h, Into::add, true);
}

void add_gram(ThreadPool& threads, MatView x, MatMut h) {
  add_gram_lower(threads, x, h);
  mirror_lower(threads, h);
}

void mirror_lower(ThreadPool& threads, MatMut h) {
  SINTER_CHECK(h.rows == h.cols);
  constexpr int64_t kTile = 32;  // rows of a line each, in L1
  const int64_t n_tiles = up(h.rows, kTile) / kTile;
  threads.run(n_tiles, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin * kTile; row < std::min(end * kTile, h.rows); row += kTile) {
      for (int64_t col = row; col < h.cols; col += kTile) {
        for (int64_t i = row; i < std::min(row + kTile, h.rows); ++i) {
          for (int64_t j = std::max(col, i + 1); j < std::min(col + kTile, h.cols); ++j) {
            h.at[i * h.stride + j] = h.at[j * h.stride + i];
          }
        }
      }
    }
  });
}

float quadratic_form(std::span<const float> d, MatView g) {
  static const cpu::Kernels& kernels = cpu::kernels_named("");
  const auto n = static_cast<int64_t>(d.size());
  SINTER_CHECK(g.rows == n && g.cols == n);
  return kernels.quadratic_form(d.data(), g.at, g.stride, n);
}

}  // namespace sinter
