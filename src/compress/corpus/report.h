// Is a corpus good enough, before anything is compressed with it? What it holds beside its traces,
// what a model's activations say of it, and a verdict by fixed thresholds (docs/corpus.md).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compress/corpus/corpus.h"
#include "compress/corpus/stability.h"

namespace sinter {

enum class CorpusGrade { good, thin, not_enough };
const char* to_string(CorpusGrade grade);  // "good enough", "thin", "not enough"

struct CorpusCheck {
  std::string name;
  CorpusGrade grade = CorpusGrade::good;
  std::string found;   // in words, with numbers
  std::string wanted;  // for "good"
  std::string advice;  // what to add; empty if good
};

// What a model saw when it read the corpus.
struct CorpusActivations {
  std::string model;
  int64_t n_tokens = 0;  // read of the corpus's
  int64_t context = 0;   // of the model
  std::vector<LinearStability> linears;
};

struct CorpusReport {
  Corpus corpus;
  std::optional<CorpusActivations> activations;
  std::vector<CorpusCheck> checks;
  std::vector<std::string> notes;         // what a person must know and no threshold can judge
  CorpusGrade grade = CorpusGrade::good;  // the worst of the checks
};

CorpusReport judge_corpus(Corpus corpus, std::optional<CorpusActivations> activations);

// Which samples make which half: by a digest of their ids, each to the half with fewer tokens, so
// that both have a like share of every source. Whole samples until `max_tokens` (0 = all).
std::array<std::vector<size_t>, 2> halves_of(const Corpus& corpus, int64_t max_tokens);

Json corpus_report_json(const CorpusReport& report);
std::string corpus_report_text(const CorpusReport& report);

}  // namespace sinter
