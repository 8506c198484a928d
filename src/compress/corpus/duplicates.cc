#include "compress/corpus/duplicates.h"

#include <algorithm>

#include "compress/corpus/words.h"

namespace sinter {
namespace {

// Of one band's bucket so many are compared: texts that agree in eight minima and are not alike are
// rare, and a trace made of them must not cost quadratic time.
constexpr size_t kMaxCompared = 64;

// The hash functions: multiply and add, odd multipliers drawn once (Dietzfelbinger's
// multiply-shift).
struct HashFamily {
  std::array<uint64_t, kMinHashes> multiplier, addend;
  HashFamily() {
    for (size_t i = 0; i < kMinHashes; ++i) {
      multiplier[i] = mix_bits(2 * i + 1) | 1;
      addend[i] = mix_bits(2 * i + 2);
    }
  }
};
const HashFamily& hashes() {
  static const HashFamily kFamily;
  return kFamily;
}

}  // namespace

Fingerprint fingerprint(const CorpusSample& sample) {
  Fingerprint print;
  std::vector<uint64_t> all, said;
  for_each_text(sample, true, [&](const std::string& text) {
    append_words(text, all);
    all.push_back(0);  // where one text ends and another begins
  });
  print.exact = mix_bits(all.size());
  for (const uint64_t word : all) print.exact = mix_bits(print.exact ^ word) + word;
  if (sample.is_chat()) {
    for (const Json& message : sample.messages) {
      for (const char c : message.value("role", "")) {
        print.exact = mix_bits(print.exact + static_cast<unsigned char>(c));
      }
    }
  }

  for_each_text(sample, false, [&](const std::string& text) { append_words(text, said); });
  if (said.size() < kShingleWords) return print;
  print.comparable = true;
  print.minima.fill(UINT32_MAX);
  const WordRuns runs(said);
  const HashFamily& family = hashes();
  for (size_t i = 0; i + kShingleWords <= runs.n_words(); ++i) {
    const uint64_t run = runs.at(i, kShingleWords);
    for (size_t h = 0; h < kMinHashes; ++h) {
      const auto value =
          static_cast<uint32_t>((run * family.multiplier[h] + family.addend[h]) >> 32);
      print.minima[h] = std::min(print.minima[h], value);
    }
  }
  return print;
}

Seen DuplicateFilter::add(const Fingerprint& print) {
  const auto number = static_cast<uint32_t>(kept_.size());
  if (!exact_.emplace(print.exact, number).second) return Seen::exactly;
  if (!print.comparable) return Seen::no;
  std::array<uint64_t, kBands> bands;
  constexpr size_t kRows = kMinHashes / kBands;
  for (size_t b = 0; b < kBands; ++b) {
    uint64_t key = mix_bits(b + 1);
    for (size_t r = 0; r < kRows; ++r) key = mix_bits(key ^ print.minima[b * kRows + r]);
    bands[b] = key;
  }
  for (const uint64_t band : bands) {
    const auto bucket = buckets_.find(band);
    if (bucket == buckets_.end()) continue;
    for (const uint32_t other : bucket->second) {
      const auto& minima = kept_[other];
      int agree = 0;
      for (size_t h = 0; h < kMinHashes; ++h) agree += minima[h] == print.minima[h] ? 1 : 0;
      if (agree >= kNearDuplicate * static_cast<double>(kMinHashes)) return Seen::nearly;
    }
  }
  for (const uint64_t band : bands) {
    std::vector<uint32_t>& bucket = buckets_[band];
    if (bucket.size() < kMaxCompared) bucket.push_back(number);
  }
  kept_.push_back(print.minima);
  return Seen::no;
}

}  // namespace sinter
