#include "engine/sampling/candidates.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"

// The loops over a whole row exist once more for AVX2; the machine picks when the program starts.
// They hold comparisons and separate multiplications and additions only, so that both give the same
// bits. Sanitizers are not ready yet when that choice is made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define SINTER_VECTOR_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define SINTER_VECTOR_CLONES
#endif

namespace sinter {
namespace {

constexpr size_t kBlock = 128;     // logits; sampler_bench tried 64 to 256
constexpr size_t kFirstBand = 64;  // tokens collected at first: more than most draws look at
constexpr float kInfinity = std::numeric_limits<float>::infinity();

bool before(const Candidate& a, const Candidate& b) {
  if (a.value != b.value) return a.value > b.value;
  return a.token < b.token;
}

struct Finding {
  bool not_finite = false;  // NaN or +infinity
  size_t banned = 0;        // -infinity
};

// The largest of each block of kBlock, and whether all are numbers. Lanes, so that compilers use
// vectors: a maximum does not depend on the order.
SINTER_VECTOR_CLONES Finding scan(std::span<const float> row, float* block_max) {
  Finding found;
  for (size_t first = 0; first < row.size(); first += kBlock) {
    const size_t n = std::min(kBlock, row.size() - first);
    const float* x = row.data() + first;
    constexpr size_t kLanes = 16;
    float top[kLanes];
    uint32_t bad[kLanes] = {}, banned[kLanes] = {};
    std::fill(top, top + kLanes, -kInfinity);
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      for (size_t l = 0; l < kLanes; ++l) {
        const float v = x[i + l];
        top[l] = v > top[l] ? v : top[l];
        bad[l] += v < kInfinity ? 0u : 1u;
        banned[l] += v == -kInfinity ? 1u : 0u;
      }
    }
    for (; i < n; ++i) {
      top[0] = x[i] > top[0] ? x[i] : top[0];
      bad[0] += x[i] < kInfinity ? 0u : 1u;
      banned[0] += x[i] == -kInfinity ? 1u : 0u;
    }
    float best = top[0];
    for (size_t l = 0; l < kLanes; ++l) {
      best = std::max(best, top[l]);
      found.not_finite = found.not_finite || bad[l] != 0;
      found.banned += banned[l];
    }
    *block_max++ = best;
  }
  return found;
}

// Cody and Waite's reduction by ln 2 in two parts, then the Taylor series: its remainder on
// |r| <= ln(2) / 2 is below 2e-17. No table and no call, so that loops over it become vectors.
inline double exp_inline(double x) {
  constexpr double kLog2E = 0x1.71547652b82fep0;
  constexpr double kLn2High = 0x1.62e42fefa38p-1, kLn2Low = 0x1.ef35793c7673p-45;
  constexpr double kShift = 0x1.8p52;  // adding it rounds to an integer, in the low bits
  constexpr double kLeast = -700;
  const double y = x > kLeast ? x : kLeast;
  const double shifted = y * kLog2E + kShift;
  const double k = shifted - kShift;
  const double r = (y - k * kLn2High) - k * kLn2Low;
  double p = 1.0 / 6227020800;  // 1/13!
  p = p * r + 1.0 / 479001600;
  p = p * r + 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  const uint64_t bits = std::bit_cast<uint64_t>(p) + (std::bit_cast<uint64_t>(shifted) << 52);
  return x > kLeast ? std::bit_cast<double>(bits) : 0.0;
}

// Sums run in lanes, so that their order does not depend on the machine's vectors.
constexpr size_t kLanes = 8;

inline double sum_of_lanes(const double* lanes) {
  double sum = 0;
  for (size_t l = 0; l < kLanes; ++l) sum += lanes[l];
  return sum;
}

// Over a row, what is above `top` left out.
SINTER_VECTOR_CLONES Candidates::Sums sum_of_weights(std::span<const float> row, double top,
                                                     double scale) {
  double total[kLanes] = {}, energy[kLanes] = {};
  double weights[kBlock], energies[kBlock];
  for (size_t first = 0; first < row.size(); first += kBlock) {
    const size_t n = std::min(kBlock, row.size() - first);
    for (size_t i = 0; i < n; ++i) {
      const double x = (static_cast<double>(row[first + i]) - top) * scale;
      weights[i] = x > 0 ? 0.0 : exp_inline(x);
      energies[i] = weights[i] > 0 ? weights[i] * x : 0.0;
    }
    for (size_t i = n; i < kBlock; ++i) weights[i] = energies[i] = 0;
    for (size_t i = 0; i < kBlock; i += kLanes) {
      for (size_t l = 0; l < kLanes; ++l) {
        total[l] += weights[i + l];
        energy[l] += energies[i + l];
      }
    }
  }
  return {sum_of_lanes(total), sum_of_lanes(energy)};
}

// Sum of (x - centre)^power over what is not banned.
SINTER_VECTOR_CLONES double sum_of_powers(std::span<const float> row, double centre, bool squared) {
  double sums[kLanes] = {};
  double terms[kBlock];
  for (size_t first = 0; first < row.size(); first += kBlock) {
    const size_t n = std::min(kBlock, row.size() - first);
    for (size_t i = 0; i < n; ++i) {
      const float v = row[first + i];
      const double x = static_cast<double>(v) - centre;
      terms[i] = v == -kInfinity ? 0.0 : (squared ? x * x : x);
    }
    for (size_t i = n; i < kBlock; ++i) terms[i] = 0;
    for (size_t i = 0; i < kBlock; i += kLanes) {
      for (size_t l = 0; l < kLanes; ++l) sums[l] += terms[i + l];
    }
  }
  return sum_of_lanes(sums);
}

}  // namespace

double exp_of(double x) { return exp_inline(x); }

void Candidates::reset(std::span<const float> row, bool edited) {
  row_ = row;
  temperature_ = 1;
  block_max_.resize((row.size() + kBlock - 1) / kBlock);
  const Finding found = scan(row, block_max_.data());
  if (found.not_finite || (found.banned > 0 && !edited)) {
    fail(Fault::corrupt, "logits-not-finite",
         "the model's logits hold NaN or infinity; check the weights with `sinter inspect`");
  }
  alive_ = end_ = row.size() - found.banned;
  begin_ = 0;
  order_.clear();
  sorted_ = 0;
  threshold_ = kInfinity;
}

Token Candidates::best() const {
  SINTER_CHECK(alive_ > 0);
  const auto block = std::max_element(block_max_.begin(), block_max_.end());
  const auto first = row_.begin() + (block - block_max_.begin()) * static_cast<ptrdiff_t>(kBlock);
  return static_cast<Token>(std::find(first, row_.end(), *block) - row_.begin());
}

const Candidate& Candidates::operator[](size_t i) {
  if (begin_ + i >= sorted_) sort_until(begin_ + i + 1);
  return order_[begin_ + i];
}

void Candidates::sort_until(size_t n) {
  SINTER_CHECK(n <= alive_);
  while (sorted_ < n) {
    while (sorted_ == order_.size()) collect_band();
    // Pieces grow with what is sorted already, so that all of it costs no more than one sort.
    const size_t rest = order_.size() - sorted_;
    const size_t piece = std::max({n - sorted_, sorted_, kFirstBand});
    const auto first = order_.begin() + static_cast<ptrdiff_t>(sorted_);
    auto last = order_.end();
    if (piece < rest / 2) {
      last = first + static_cast<ptrdiff_t>(piece);
      std::nth_element(first, last, order_.end(), before);
    }
    std::sort(first, last, before);
    sorted_ = static_cast<size_t>(last - order_.begin());
  }
}

// The m-th largest maximum of a block is a bound that at least m tokens reach: the tokens from it
// up to the last bound are the next ones in the order.
void Candidates::collect_band() {
  const size_t wanted = std::max(kFirstBand, 4 * order_.size());
  float bound = -std::numeric_limits<float>::max();
  if (wanted < block_max_.size() / 2) {
    maxima_ = block_max_;
    const auto at = maxima_.begin() + static_cast<ptrdiff_t>(wanted - 1);
    std::nth_element(maxima_.begin(), at, maxima_.end(), std::greater<>());
    if (*at > bound && *at < threshold_) bound = *at;
  }
  for (size_t b = 0; b < block_max_.size(); ++b) {
    if (block_max_[b] < bound) continue;
    const size_t end = std::min(row_.size(), (b + 1) * kBlock);
    for (size_t i = b * kBlock; i < end; ++i) {
      const float v = row_[i];
      if (v >= bound && v < threshold_) order_.push_back({v, static_cast<Token>(i)});
    }
  }
  threshold_ = bound;
}

double Candidates::weight_of(float value) {
  const double top = static_cast<double>((*this)[0].value);
  return exp_of((static_cast<double>(value) - top) * (1 / temperature_));
}

Candidates::Sums Candidates::sums() {
  const Candidate top = (*this)[0];
  const double scale = 1 / temperature_;
  if (whole()) {
    Sums sums = sum_of_weights(row_, static_cast<double>(top.value), scale);
    // Those that went before it, and are as likely, have weight 1 and energy 0.
    for (size_t i = begin_; i > 0 && order_[i - 1].value == top.value; --i) sums.weight -= 1;
    return sums;
  }
  Sums sums;
  for (size_t i = 0; i < size(); ++i) {
    const double x = static_cast<double>((*this)[i].value) - static_cast<double>(top.value);
    const double w = exp_of(x * scale);
    sums.weight += w;
    sums.energy += w * (x * scale);
  }
  return sums;
}

double Candidates::entropy() {
  const Sums s = sums();
  return std::log(s.weight) - s.energy / s.weight;
}

void Candidates::keep(size_t first, size_t n) {
  SINTER_CHECK(n > 0 && first + n <= size());
  begin_ += first;
  end_ = begin_ + n;
}

size_t Candidates::count_from(double least) {
  size_t n = 1;
  while (n < size() && weight(n) >= least) ++n;
  return n;
}

double Candidates::deviation() {
  const auto n = static_cast<double>(size());
  if (whole() && begin_ == 0) {
    const double mean = sum_of_powers(row_, 0, false) / n;
    return std::sqrt(sum_of_powers(row_, mean, true) / n);
  }
  double sum = 0, squares = 0;
  for (size_t i = 0; i < size(); ++i) sum += static_cast<double>((*this)[i].value);
  for (size_t i = 0; i < size(); ++i) {
    const double x = static_cast<double>((*this)[i].value) - sum / n;
    squares += x * x;
  }
  return std::sqrt(squares / n);
}

}  // namespace sinter
