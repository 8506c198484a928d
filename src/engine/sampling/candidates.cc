#include "engine/sampling/candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "engine/sampling/lanes.h"

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

// The largest of each block of kBlock, and whether all are numbers.
SINTER_VECTOR_CLONES Finding scan(std::span<const float> row, float* block_max) {
  Finding found;
  Int8 bad = {}, banned = {};  // all ones; minus the number
  for (size_t first = 0; first < row.size(); first += kBlock) {
    const size_t n = std::min(kBlock, row.size() - first);
    const float* x = row.data() + first;
    Float8 top = Float8{} - kInfinity;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
      Float8 v;
      load(v, x + i);
      top = v > top ? v : top;
      bad |= ~(v < kInfinity);
      banned += v == -kInfinity;
    }
    float best = -kInfinity;
    for (int lane = 0; lane < 8; ++lane) best = std::max(best, top[lane]);
    for (; i < n; ++i) {
      best = std::max(best, x[i]);
      bad[0] |= x[i] < kInfinity ? 0 : -1;
      banned[0] -= x[i] == -kInfinity ? 1 : 0;
    }
    *block_max++ = best;
  }
  for (int lane = 0; lane < 8; ++lane) {
    found.not_finite = found.not_finite || bad[lane] != 0;
    found.banned -= static_cast<size_t>(static_cast<int64_t>(banned[lane]));
  }
  return found;
}

// Cody and Waite's reduction by ln 2 in two parts, then the Taylor series: its remainder on
// |r| <= ln(2) / 2 is below 2e-17. D: double, or lanes of them. x <= 0.
template <typename D, typename U>
SINTER_INLINE void exp_in_place(D& x) {
  constexpr double kLog2E = 0x1.71547652b82fep0;
  constexpr double kLn2High = 0x1.62e42fefa38p-1, kLn2Low = 0x1.ef35793c7673p-45;
  constexpr double kShift = 0x1.8p52;  // adding it rounds to an integer, in the low bits
  constexpr double kLeast = -700;
  constexpr double kSeries[] = {1.0 / 6227020800,
                                1.0 / 479001600,
                                1.0 / 39916800,
                                1.0 / 3628800,
                                1.0 / 362880,
                                1.0 / 40320,
                                1.0 / 5040,
                                1.0 / 720,
                                1.0 / 120,
                                1.0 / 24,
                                1.0 / 6,
                                0.5,
                                1.0,
                                1.0};
  const D least = D{} + kLeast, zero = D{};
  const D y = x > least ? x : least;
  const D shifted = y * kLog2E + kShift;
  const D k = shifted - kShift;
  const D r = (y - k * kLn2High) - k * kLn2Low;
  D p = zero;
  for (const double c : kSeries) p = p * r + c;
  const U bits = __builtin_bit_cast(U, p) + (__builtin_bit_cast(U, shifted) << 52);
  x = x > least ? __builtin_bit_cast(D, bits) : zero;
}

typedef uint64_t Bits4 __attribute__((vector_size(32)));

// The i-th four of a row as doubles, minus `centre`; past its end -infinity.
SINTER_INLINE void load_four(Double4& x, std::span<const float> row, size_t i, double centre) {
  Float4 v = Float4{} - kInfinity;
  if (i + 4 <= row.size()) {
    load(v, row.data() + i);
  } else {
    std::memcpy(&v, row.data() + i, (row.size() - i) * sizeof(float));
  }
  x = __builtin_convertvector(v, Double4) - centre;
}

// Over a row, what is above `top` left out.
SINTER_VECTOR_CLONES Candidates::Sums sum_of_weights(std::span<const float> row, double top,
                                                     double scale) {
  Double4 weight = {}, energy = {};
  const Double4 zero = {};
  for (size_t i = 0; i < row.size(); i += 4) {
    Double4 x;
    load_four(x, row, i, top);
    x *= scale;
    Double4 w = x;
    exp_in_place<Double4, Bits4>(w);
    w = x > zero ? zero : w;
    weight += w;
    energy += w > zero ? w * x : zero;
  }
  return {(weight[0] + weight[1]) + (weight[2] + weight[3]),
          (energy[0] + energy[1]) + (energy[2] + energy[3])};
}

// Sum of x - centre, or of its square, over what is not banned.
SINTER_VECTOR_CLONES double sum_of_powers(std::span<const float> row, double centre, bool squared) {
  Double4 sum = {};
  const Double4 zero = {}, none = Double4{} - std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < row.size(); i += 4) {
    Double4 x;
    load_four(x, row, i, centre);
    const Double4 term = squared ? x * x : x;
    sum += x > none ? term : zero;
  }
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

}  // namespace

double exp_of(double x) {
  exp_in_place<double, uint64_t>(x);
  return x;
}

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
