// Whether a sample holds what an evaluation suite asks: calibrating on the questions makes the
// verdict on them worthless.
//
// A leak is a run of `n_words` words (13, as in the GPT-3 paper, appendix C) that a sample and a
// string of the suite share. A string of 8 to n_words - 1 words leaks where all of it occurs; one
// of 3 to 7 words only where a whole message or text is equal to it, for shorter runs occur by
// chance. System messages and tools are left out on both sides: an application sends them with
// everything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "compress/corpus/corpus.h"
#include "compress/corpus/personal.h"

namespace sinter {

constexpr int kLeakWords = 13;

struct LeakSource {
  std::string suite;   // name of the directory or file
  std::string digest;  // of its files' bytes, in order of their names
  int64_t n_items = 0;
};

struct Leak {
  std::string suite, item;
  int64_t n_words = 0;  // of the run
};

class LeakIndex {
 public:
  explicit LeakIndex(int n_words = kLeakWords) : n_words_(static_cast<size_t>(n_words)) {}

  // A JSONL file, or a directory of them: every string of every line counts but of `tools` and
  // system messages. `redactor` does to a suite what was done to the traces. Throws
  // Error(not_found | corrupt | bad_input).
  void add_suite(const std::string& path, const Redactor& redactor);
  // One string of an item.
  void add(const std::string& suite, const std::string& item, const std::string& text);

  const std::vector<LeakSource>& suites() const { return suites_; }
  std::optional<Leak> find(const CorpusSample& sample) const;

 private:
  struct Entry {
    uint32_t suite;
    std::string item;
  };
  using Table = std::unordered_map<uint64_t, uint32_t>;  // run of words -> entry
  uint32_t entry(const std::string& suite, const std::string& item);
  void insert(Table& table, uint64_t run, uint32_t entry);
  bool may_hold(uint64_t run) const {
    return filter_.empty() || filter_[run & (filter_.size() - 1)];
  }

  size_t n_words_;
  Table runs_;                    // of n_words, or whole strings of fewer (by their length)
  Table messages_;                // whole strings of 3 words or more
  std::vector<bool> filter_;      // may a run be in runs_? A bit a hash, before the look-up
  std::vector<bool> has_length_;  // whether strings of so many words are in runs_
  std::vector<Entry> entries_;
  std::vector<LeakSource> suites_;
};

}  // namespace sinter
