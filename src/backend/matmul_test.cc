// Every instruction set's products are called directly, on odd sizes and strides, and compared with
// definitions in double.
#include "backend/matmul.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/instruction_sets.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/matmul.h"
#include "base/random.h"

namespace sinter {
namespace {

using cpu::Operand;
using cpu::ProductKernels;

constexpr float kOutside = 12345;  // between rows, where nobody may write

struct Matrix {
  Matrix(int64_t rows, int64_t cols, int64_t gap, uint64_t stream)
      : view{nullptr, rows, cols, cols + gap},
        // No gap after the last row: there a sanitizer sees what reads or writes beyond.
        floats(static_cast<size_t>(rows == 0 ? 0 : rows * (cols + gap) - gap), kOutside) {
    view.at = floats.data();
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        at(i, j) = static_cast<float>(
            2 * random_uniform(3, stream, static_cast<uint64_t>(i * cols + j)) - 1);
      }
    }
  }
  float& at(int64_t i, int64_t j) { return view.at[i * view.stride + j]; }
  MatMut view;
  std::vector<float> floats;
};

float element(const Operand& of, int64_t i, int64_t j) {
  return of.transposed ? of.at.at[j * of.at.stride + i] : of.at.at[i * of.at.stride + j];
}

struct Isa {
  std::string name;
  const ProductKernels* kernels;
};
std::vector<Isa> isas() {
  std::vector<Isa> list;
  for (const IsaSupport& isa : cpu_isas()) {
    if (!isa.supported) continue;
    const ProductKernels* kernels = cpu::kernels_named(isa.name).products;
    if (list.empty() || list.back().kernels != kernels) list.push_back({isa.name, kernels});
    if (kernels->rounded != nullptr) list.push_back({isa.name + ", bfloat16", kernels->rounded});
  }
  return list;
}

float rounded_to_bf16(float x) { return bf16_to_f32(f32_to_bf16(x)); }

// C = (0, C, C) + (1, 1, -1) A B in double, as near as the header says; of factors that are rounded
// first, as near as float32 sums of them.
void expect_product(const ProductKernels& kernels, const Operand& a, const Operand& b,
                    MatView before, MatView c, int64_t k, Into into, bool lower) {
  const bool rounded = kernels.element_bytes == 2;
  const double tolerance = kernels.whole != nullptr && !rounded ? 3 * 0x1p-16 : 0x1p-20;
  for (int64_t i = 0; i < c.rows; ++i) {
    for (int64_t j = 0; j < (lower ? i + 1 : c.cols); ++j) {
      const float was = before.row(i)[static_cast<size_t>(j)];
      double sum = 0, size = 0;
      for (int64_t l = 0; l < k; ++l) {
        const float left = element(a, i, l), right = element(b, l, j);
        const double term = rounded ? double{rounded_to_bf16(left)} * double{rounded_to_bf16(right)}
                                    : double{left} * double{right};
        sum += term;
        size += std::abs(term);
      }
      if (into == Into::subtract) sum = -sum;
      if (into != Into::set) sum += double{was};
      ASSERT_NEAR(c.row(i)[static_cast<size_t>(j)], sum, tolerance * (size + std::abs(double{was})))
          << "at " << i << ", " << j;
    }
  }
}

struct Shape {
  int64_t m, n, k;
};
const Shape kShapes[] = {{1, 1, 1},    {5, 3, 1},     {33, 47, 31},  {32, 32, 32},
                         {64, 65, 66}, {401, 37, 70}, {29, 520, 33}, {70, 51, 1601}};

TEST(Matmul, IsTheDefinition) {
  for (const Isa& isa : isas()) {
    SCOPED_TRACE(isa.name);
    for (const Shape& s : kShapes) {
      SCOPED_TRACE(fmt::format("m {} n {} k {}", s.m, s.n, s.k));
      for (int form = 0; form < 4; ++form) {
        const bool ta = (form & 1) != 0, tb = (form & 2) != 0;
        Matrix a = ta ? Matrix(s.k, s.m, 3, 1) : Matrix(s.m, s.k, 1, 1);
        Matrix b = tb ? Matrix(s.n, s.k, 5, 2) : Matrix(s.k, s.n, 2, 2);
        for (const Into into : {Into::set, Into::add, Into::subtract}) {
          if (form != 0 && into != Into::set) continue;
          Matrix c(s.m, s.n, 7, 3);
          Matrix before(s.m, s.n, 7, 3);
          ThreadPool threads(2);
          cpu::multiply(threads, *isa.kernels, {a.view, ta}, {b.view, tb}, c.view, into, false);
          expect_product(*isa.kernels, {a.view, ta}, {b.view, tb}, before.view, c.view, s.k, into,
                         false);
          if (HasFatalFailure()) return;
          for (int64_t i = 0; i + 1 < s.m; ++i) {
            for (int64_t j = s.n; j < c.view.stride; ++j) ASSERT_EQ(c.at(i, j), kOutside);
          }
        }
      }
    }
  }
}

// Long and wide enough for several blocks of every kind. The driver is one: the quickest will do.
TEST(Matmul, BlocksMeet) {
  const ProductKernels& kernels = *isas().front().kernels;
  for (const Shape& s : {Shape{3101, 3090, 2}, Shape{800, 40, 2100}, Shape{40, 800, 2100}}) {
    Matrix a(s.m, s.k, 0, 1), b(s.n, s.k, 0, 2), c(s.m, s.n, 0, 3), before(s.m, s.n, 0, 3);
    ThreadPool threads(2);
    cpu::multiply(threads, kernels, {a.view, false}, {b.view, true}, c.view, Into::add, false);
    expect_product(kernels, {a.view, false}, {b.view, true}, before.view, c.view, s.k, Into::add,
                   false);
    if (HasFatalFailure()) return;
  }
}

TEST(Matmul, AnyNumberOfThreadsGivesTheSameBits) {
  for (const Isa& isa : isas()) {
    SCOPED_TRACE(isa.name);
    const Shape s = {260, 333, 800};
    Matrix a(s.m, s.k, 1, 1), b(s.k, s.n, 2, 2);
    Matrix one(s.m, s.n, 0, 3), triangle(s.n, s.n, 0, 3);
    for (const int n_threads : {1, 2, 3, 8}) {
      ThreadPool threads(n_threads);
      Matrix c(s.m, s.n, 0, 3), h(s.n, s.n, 0, 3);
      cpu::multiply(threads, *isa.kernels, {a.view, false}, {b.view, false}, c.view, Into::subtract,
                    false);
      cpu::multiply(threads, *isa.kernels, {b.view, true}, {b.view, false}, h.view, Into::add,
                    true);
      mirror_lower(threads, h.view);
      if (n_threads == 1) {
        one.floats = c.floats;
        triangle.floats = h.floats;
      }
      ASSERT_EQ(std::memcmp(c.floats.data(), one.floats.data(), c.floats.size() * 4), 0);
      ASSERT_EQ(std::memcmp(h.floats.data(), triangle.floats.data(), h.floats.size() * 4), 0);
    }
  }
}

// An element's sum does not depend on what else is in the product.
TEST(Matmul, RowsAndColumnsAloneGiveTheSameBits) {
  for (const Isa& isa : isas()) {
    SCOPED_TRACE(isa.name);
    Matrix a(70, 900, 0, 1), b(90, 900, 0, 2), all(70, 90, 0, 3), part(3, 7, 0, 3);
    ThreadPool threads(2);
    cpu::multiply(threads, *isa.kernels, {a.view, false}, {b.view, true}, all.view, Into::set,
                  false);
    const MatView rows = {&a.at(41, 0), 3, 900, 900}, cols = {&b.at(50, 0), 7, 900, 900};
    cpu::multiply(threads, *isa.kernels, {rows, false}, {cols, true}, part.view, Into::set, false);
    for (int64_t i = 0; i < 3; ++i) {
      for (int64_t j = 0; j < 7; ++j) ASSERT_EQ(part.at(i, j), all.at(41 + i, 50 + j));
    }
  }
}

TEST(Matmul, GramIsTheDefinitionAndSymmetric) {
  for (const Isa& isa : isas()) {
    SCOPED_TRACE(isa.name);
    for (const auto& [n_tokens, k] : {std::pair{1, 1}, {3, 70}, {100, 33}, {50, 450}}) {
      Matrix x(n_tokens, k, 2, 1), h(k, k, 3, 2);
      ThreadPool threads(2);
      mirror_lower(threads, h.view);
      Matrix before = Matrix(k, k, 3, 2);
      before.floats = h.floats;
      cpu::multiply(threads, *isa.kernels, {x.view, true}, {x.view, false}, h.view, Into::add,
                    true);
      mirror_lower(threads, h.view);
      expect_product(*isa.kernels, {x.view, true}, {x.view, false}, before.view, h.view, n_tokens,
                     Into::add, true);
      if (HasFatalFailure()) return;
      for (int64_t i = 0; i < k; ++i) {
        for (int64_t j = 0; j < i; ++j) ASSERT_EQ(h.at(i, j), h.at(j, i));
      }
    }
  }
}

// What is not finite stays so, where float arithmetic has it, and nowhere else; the largest float
// is finite in both of its parts.
TEST(Matmul, InfinitiesAndNansPropagate) {
  const float inf = std::numeric_limits<float>::infinity();
  const float most = std::numeric_limits<float>::max();
  for (const Isa& isa : isas()) {
    SCOPED_TRACE(isa.name);
    Matrix a(40, 50, 0, 1), b(50, 40, 0, 2), c(40, 40, 0, 3), b_t(40, 50, 0, 2);
    for (int64_t j = 0; j < 40; ++j) b.at(7, j) = 0.5f;
    for (int64_t i = 0; i < 40; ++i) {
      for (int64_t j = 0; j < 50; ++j) b_t.at(i, j) = b.at(j, i);
    }
    a.at(3, 7) = inf;
    a.at(4, 7) = -inf;
    a.at(5, 7) = std::nanf("");
    a.at(6, 7) = isa.kernels->element_bytes == 2 ? most / 2 : most;  // most would round to infinity
    a.at(35, 7) = inf;
    a.at(35, 8) = std::nanf("");
    ThreadPool threads(2);
    for (const bool transposed : {false, true}) {
      cpu::multiply(threads, *isa.kernels, {a.view, false},
                    transposed ? Operand{b_t.view, true} : Operand{b.view, false}, c.view,
                    Into::set, false);
      for (int64_t j = 0; j < 40; ++j) {
        EXPECT_EQ(c.at(3, j), inf);
        EXPECT_EQ(c.at(4, j), -inf);
        EXPECT_TRUE(std::isnan(c.at(5, j)));
        EXPECT_NEAR(c.at(6, j) / a.at(6, 7), 0.5, 1e-2);
        EXPECT_TRUE(std::isnan(c.at(35, j)));
        for (const int64_t i : {0, 2, 7, 34, 36, 39}) EXPECT_TRUE(std::isfinite(c.at(i, j)));
      }
    }
  }
}

TEST(Matmul, EmptySumsAreZero) {
  for (const Isa& isa : isas()) {
    Matrix a(3, 0, 1, 1), b(5, 0, 1, 2), c(3, 5, 0, 3), before(3, 5, 0, 3);
    ThreadPool threads(2);
    cpu::multiply(threads, *isa.kernels, {a.view, false}, {b.view, true}, c.view, Into::add, false);
    EXPECT_EQ(c.floats, before.floats);
    cpu::multiply(threads, *isa.kernels, {a.view, false}, {b.view, true}, c.view, Into::set, false);
    EXPECT_EQ(c.floats, std::vector<float>(15, 0.0f));
  }
}

TEST(Matmul, PublicFunctions) {
  ThreadPool threads(2);
  const ProductKernels& kernels = *cpu::kernels_named("").products;
  Matrix a(20, 30, 1, 1), b(40, 30, 2, 2), c(20, 40, 0, 3), before(20, 40, 0, 3);
  matmul_nt(threads, a.view, b.view, c.view, Into::add);
  expect_product(kernels, {a.view, false}, {b.view, true}, before.view, c.view, 30, Into::add,
                 false);
  Matrix d(30, 40, 2, 2);
  matmul_nn(threads, a.view, d.view, c.view);
  expect_product(kernels, {a.view, false}, {d.view, false}, before.view, c.view, 30, Into::set,
                 false);
  Matrix h(30, 30, 0, 4);
  std::ranges::fill(h.floats, 0.0f);
  Matrix zeros = Matrix(30, 30, 0, 4);
  zeros.floats = h.floats;
  add_gram(threads, a.view, h.view);
  expect_product(kernels, {a.view, true}, {a.view, false}, zeros.view, h.view, 20, Into::add,
                 false);
}

}  // namespace
}  // namespace sinter
