// Two commands that measure, taking turns: A B, B A, A B ... so that a machine that warms up or
// slows down does so to both. Each round is a process of its own; what is compared is the ratio of
// a round's two figures.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "bench/report.h"

namespace sinter {

struct RatioFigure {
  std::string name;          // of the case
  double a = 0, b = 0;       // medians, tokens per second
  double ratio = 1;          // B over A: geometric mean over rounds
  double low = 1, high = 1;  // 95 % interval: percentile bootstrap of the mean log ratio
  int64_t rounds = 0;
};

struct Comparison {
  std::vector<RatioFigure> ratios;
  std::vector<SkippedCase> skipped;  // cases without a pair of figures
};

// `a` and `b` hold a round's {"bench": 1, ...} each, paired by index. Deterministic.
Comparison compare_rounds(const std::vector<Json>& a, const std::vector<Json>& b);

// "1.031 (1.012-1.050)" in words: which one is faster, or that no difference was seen.
std::string verdict(const RatioFigure& ratio);

// Runs a program to its end and reads one JSON document from its standard output; its standard
// error is ours. Throws Error(io, "bench-child") if it fails or says something else,
// Error(interrupted, "interrupted") if it was stopped.
Json run_for_json(const std::vector<std::string>& command);

}  // namespace sinter
