// What a set of samples covers, in dimensions with cells: each sample lies in one cell of "task",
// "shape", "template", "language", "length" and "source", in any number of "structure", and by
// shares of its letters in those of "script". The rules are in docs/corpus.md; they are coarse, the
// same for traces and corpus, and see at most the first 16 KiB of a sample.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "compress/corpus/corpus.h"

namespace sinter {

struct Dimension {
  const char* name;
  const char* meaning;  // for reports
  bool stratified;      // whether the selection balances its cells
};
// The one list of dimensions.
inline constexpr std::array<Dimension, 8> kDimensions = {{
    {"task", "what is asked", true},
    {"shape", "system message, turns, tools, answer", true},
    {"template", "system messages, or openings of prompts, that recur", true},
    {"structure", "code, formulas, JSON, XML, tables, lists in the text", true},
    {"language", "by function words, or by script", true},
    {"script", "of the letters", false},
    {"length", "tokens of a sample", true},
    {"source", "trace files", true},
}};

struct Cell {
  size_t dimension;  // in kDimensions
  std::string name;
  double share = 1;  // of the sample
};

std::string task_of(const CorpusSample& sample);
std::string language_of(std::string_view text);
std::string length_cell(int64_t n_tokens);
std::vector<std::string> length_cells();  // in order
// Of the sample's system message and tools, or else of its prompt's first words: a digest, for the
// words themselves may be nobody's business. Empty for text.
std::string template_of(const CorpusSample& sample);

// All cells but those of "template", which need the whole set. `sample.kind` is its task.
std::vector<Cell> cells_of(const CorpusSample& sample);

struct SampleCoverage {
  int64_t n_tokens = 0;
  std::vector<Cell> cells;
  std::vector<Token> tokens;  // distinct, ascending
};

// Makes the cells of "template": templates that recur in at least 3 samples and 0.2 % of them, the
// 64 most frequent.
void add_template_cells(const std::vector<std::string>& templates,
                        std::vector<SampleCoverage>& samples);

struct CellCount {
  int64_t samples = 0;
  double tokens = 0;
};
using CoverageTable = std::array<std::map<std::string, CellCount>, kDimensions.size()>;

// Over samples[i] for i in `which`.
CoverageTable tabulate(const std::vector<SampleCoverage>& samples,
                       const std::vector<size_t>& which);

}  // namespace sinter
