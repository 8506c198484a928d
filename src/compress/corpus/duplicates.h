// Samples that say the same again. Exact: equal words and roles. Near: MinHash (Broder 1997) of 128
// values over runs of five words, candidates by 16 bands of 8 (a pair of Jaccard similarity s is
// looked at with probability 1 - (1 - s^8)^16: 0.95 at 0.8), near where at least 80 % of the 128
// agree. What an application sends every time (system messages, tools) is left out of the runs, or
// all requests of one application would be alike.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "compress/corpus/corpus.h"

namespace sinter {

constexpr size_t kMinHashes = 128;
constexpr size_t kShingleWords = 5;
constexpr double kNearDuplicate = 0.8;

struct Fingerprint {
  uint64_t exact = 0;
  bool comparable = false;                    // long enough for runs of words
  std::array<uint32_t, kMinHashes> minima{};  // by hash function
};

Fingerprint fingerprint(const CorpusSample& sample);

enum class Seen { no, exactly, nearly };

// Takes samples in order: the first of a kind stays.
class DuplicateFilter {
 public:
  Seen add(const Fingerprint& print);

 private:
  static constexpr size_t kBands = 16;
  std::unordered_map<uint64_t, std::vector<uint32_t>> buckets_;  // of kept prints, by band
  std::unordered_map<uint64_t, uint32_t> exact_;
  std::vector<std::array<uint32_t, kMinHashes>> kept_;
};

}  // namespace sinter
