// The tokens that may still be drawn, most likely first, and how likely they are. The order is
// sorted only as far as somebody looks, because a vocabulary has 128K tokens and a draw is nearly
// always among the first few.
//
// Every filter keeps a contiguous piece of this order: the first k, those above a threshold, those
// around the entropy (typical), all but the very first (XTC).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sinter {

using Token = int32_t;

struct Candidate {
  float value;  // a logit
  Token token;
};

// exp(x) for x <= 0, the same on every machine; 0 below -700.
double exp_of(double x);

class Candidates {
 public:
  // Looks at a row of logits: [vocab], -infinity = banned. The row must outlive the use. Throws
  // Error(corrupt, "logits-not-finite") on NaN or +infinity, and on -infinity unless `edited`.
  void reset(std::span<const float> row, bool edited);

  Token best() const;  // the lowest id of the largest logit; requires size() > 0
  size_t size() const { return end_ - begin_; }
  // The i-th most likely that remains; equal logits by id. Requires i < size().
  const Candidate& operator[](size_t i);
  // Its probability relative to the most likely one's: exp((value - value[0]) / temperature).
  double weight(size_t i) { return weight_of((*this)[i].value); }
  double weight_of(float value);
  struct Sums {
    double weight = 0;  // of all that remain; at least 1
    double energy = 0;  // of weight * ln(weight)
  };
  Sums sums();
  double total() { return sums().weight; }
  double entropy();    // nats
  double deviation();  // of the logits that remain
  // Keeps [first, first + n) of what remains. Requires n > 0.
  void keep(size_t first, size_t n);
  // Largest n <= size() such that weight(n - 1) >= least; at least 1. For least in [0, 1].
  size_t count_from(double least);

  double temperature() const { return temperature_; }
  void set_temperature(double temperature) { temperature_ = temperature; }

 private:
  bool whole() const { return end_ == alive_; }
  void sort_until(size_t n);
  void collect_band();

  std::span<const float> row_;
  double temperature_ = 1;
  size_t alive_ = 0;              // tokens that are not banned
  size_t begin_ = 0, end_ = 0;    // what remains, of the order
  std::vector<float> block_max_;  // of kBlock logits each
  std::vector<float> maxima_;     // the same, to be shuffled
  std::vector<Candidate> order_;  // [0, sorted_) sorted, the rest in any order; all >= threshold_
  size_t sorted_ = 0;
  float threshold_ = 0;  // what is below has not been collected
};

}  // namespace sinter
