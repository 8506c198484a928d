// Figures of a benchmark: medians over rounds with their range, held against the limits of the
// hardware that were measured in the same rounds; as a table, Markdown, CSV, or JSON.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "backend/peaks.h"
#include "base/json.h"
#include "bench/measure.h"

namespace sinter {

// Median and range of repeated measurements; of none, all are 0.
struct Spread {
  double median = 0, min = 0, max = 0;
};
Spread spread_of(std::vector<double> values);

// The hardware's limits, measured once a round, just after the cases.
struct RoundLimits {
  double read = 0;    // bytes per second of reading as many bytes as a forward reads of weights
  double memory = 0;  // the same of a block that no cache holds
  std::vector<PeakRate> rates;
};

struct CaseFigures {
  BenchCase what;
  std::vector<Sample> samples;  // one a round
};

struct SkippedCase {
  std::string name, why;
};

struct BenchReport {
  Json machine;
  std::string build, backend;
  std::string activations;  // as activations_of has it
  std::string kv;           // type of stored keys and values
  int threads = 0;
  bool under_load = false;
  std::string model, scheme;
  int64_t parameters = 0;
  int64_t weight_bytes = 0;    // read for every forward
  int64_t resident_bytes = 0;  // all weights and the KV pages of the largest case
  int64_t peak_rss_bytes = 0;  // after one round of every case, before limits were measured
  double kv_bytes_per_token = 0;
  double load_s = 0;                // from the path to a model that can run
  double first_token_s = 0;         // the same and a first forward of one token
  std::string peak_name;            // of RoundLimits::rates: the best that these activations allow
  std::vector<RoundLimits> limits;  // one a round; empty = not measured
  std::vector<CaseFigures> cases;
  std::vector<SkippedCase> skipped;
};

// What really happens to the inputs of linears: "int8", or, where they differ, the mode of most
// multiplications first: "int8 x 154, exact x 1".
std::string activations_of(std::span<const LinearKernel> kernels);

// The rate that bounds linears with these activations (the first of them) on this backend: the
// fastest integer one for int8, tiles only where the backend uses them; else f32, which inputs
// rounded to FP8 are multiplied in as well. "" if there is none.
std::string bounding_rate(std::span<const PeakRate> rates, const std::string& activations,
                          const std::string& backend);

// The columns of a case; shares are 0 where limits were not measured.
struct CaseRow {
  std::string name;
  Spread tokens_per_s, read_GB_per_s;
  double read_share = 0;  // of RoundLimits::read, median over rounds
  double peak_share = 0;  // of the rate called peak_name, median over rounds
  double bytes_per_token = 0;
  double others = 0;  // cores that others kept busy, at worst
};
std::vector<CaseRow> rows_of(const BenchReport& report);

// {"bench": 1, ...}: docs/performance.md has the schema.
Json to_json(const BenchReport& report);
std::string to_text(const BenchReport& report);
std::string to_markdown(const BenchReport& report);
std::string to_csv(const BenchReport& report);

// A table of cells; the first column is left-aligned, the others right.
using TableCells = std::vector<std::vector<std::string>>;
std::string plain_table(const TableCells& cells);
std::string markdown_table(const TableCells& cells);

}  // namespace sinter
