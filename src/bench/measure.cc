#include "bench/measure.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "base/random.h"
#include "bench/machine.h"

namespace sinter {
namespace {

constexpr int64_t kSeedTokens = int64_t{8} * kPageTokens;  // of a context that go through the model

Token token_at(const ModelConfig& c, uint64_t sequence, int64_t position) {
  const uint64_t bits = random_bits(1, sequence, static_cast<uint64_t>(position));
  return static_cast<Token>(bits % static_cast<uint64_t>(c.vocab));
}

// Appends rows [first, first + n) of a sequence to the batch.
void add_rows(Batch& batch, const ModelConfig& c, uint64_t sequence, PageTable& table, int64_t n) {
  const int32_t first = table.n_tokens();
  batch.spans.push_back({.table = &table,
                         .first_row = static_cast<int32_t>(batch.tokens.size()),
                         .n_rows = static_cast<int32_t>(n),
                         .first_position = first});
  for (int64_t i = 0; i < n; ++i) batch.tokens.push_back(token_at(c, sequence, first + i));
}

// Keys and values for `context` tokens: the first by a forward, the others as copies of their
// pages.
void fill_context(Model& model, uint64_t sequence, PageTable& table, int64_t context) {
  const int64_t seed = std::min(context, kSeedTokens);
  if (seed == 0) return;
  Batch batch;
  add_rows(batch, model.config(), sequence, table, seed);
  model.forward(batch);
  if (seed == context) return;
  table.extend(static_cast<int32_t>(context - seed));
  const auto bytes = static_cast<size_t>(model.pages().page_bytes());
  for (int64_t page = kSeedTokens / kPageTokens; page < PageTable::pages_for(context); ++page) {
    const int64_t from = page % (kSeedTokens / kPageTokens);
    std::memcpy(table.pages()[page], table.pages()[from], bytes);
  }
}

// Keys that the row at `position` of layer i reads.
int64_t reach(const ModelConfig& c, size_t layer, int64_t position) {
  const int64_t window = c.sliding_window[layer];
  return window > 0 ? std::min<int64_t>(window, position + 1) : position + 1;
}

// Bytes of KV that a span of n rows from `first` on reads at least: each layer's keys and values in
// reach of its last row, once.
double kv_bytes(const ModelConfig& c, double per_token, int64_t first, int64_t n) {
  double layers = 0;
  for (size_t i = 0; i < c.sliding_window.size(); ++i) {
    layers += static_cast<double>(std::min(first + n, reach(c, i, first + n - 1) + n - 1));
  }
  return per_token / static_cast<double>(c.n_layers) * layers;
}

}  // namespace

double kv_bytes_per_token(Model& model) {
  return static_cast<double>(model.pages().page_bytes()) / kPageTokens;
}

double row_ops(const ModelConfig& c, int64_t position, bool with_logits) {
  const auto q_dim = static_cast<double>(int64_t{c.n_heads} * c.head_dim);
  const auto kv_dim = static_cast<double>(int64_t{c.n_kv_heads} * c.head_dim);
  const double d = c.d_model;
  const double linears = c.n_layers * (d * (2 * q_dim + 2 * kv_dim) + 3 * d * c.d_ff) +
                         (with_logits ? d * c.vocab : 0);
  double keys = 0;
  for (size_t i = 0; i < c.sliding_window.size(); ++i) {
    keys += static_cast<double>(reach(c, i, position));
  }
  return 2 * linears + 4 * q_dim * keys;  // scores, then the sum of values
}

int64_t case_tokens(const BenchCase& c, int64_t steps) {
  return c.prompt > 0 ? c.sequences * c.prompt : c.sequences * steps;
}

int64_t case_pages(const BenchCase& c, int64_t steps) {
  return c.sequences * PageTable::pages_for(c.longest(steps));
}

Sample run_case(Model& model, int64_t weight_bytes, const BenchCase& c, int64_t steps,
                int64_t chunk) {
  const ModelConfig& config = model.config();
  const double kv = kv_bytes_per_token(model);
  std::vector<PageTable> tables;
  for (int64_t s = 0; s < c.sequences; ++s) tables.emplace_back(model.pages());
  for (size_t s = 0; s < tables.size(); ++s) fill_context(model, s, tables[s], c.context);

  Sample sample;
  Batch batch;
  const CpuClock before = CpuClock::now();
  const auto start = std::chrono::steady_clock::now();
  const int64_t per_sequence = c.prompt > 0 ? c.prompt : steps;
  for (int64_t done = 0; done < per_sequence;) {
    const int64_t n = c.prompt > 0 ? std::min(chunk, per_sequence - done) : 1;
    const bool logits = c.prompt == 0 || done + n == per_sequence;
    batch.clear();
    for (size_t s = 0; s < tables.size(); ++s) {
      const int64_t first = tables[s].n_tokens();
      add_rows(batch, config, s, tables[s], n);
      if (logits) batch.logit_rows.push_back(static_cast<int32_t>(batch.tokens.size()) - 1);
      sample.bytes += kv_bytes(config, kv, first, n);
      for (int64_t i = 0; i < n; ++i) {
        sample.ops += row_ops(config, first + i, logits && i + 1 == n);
      }
    }
    model.forward(batch);
    sample.bytes += static_cast<double>(weight_bytes);
    sample.tokens += static_cast<int64_t>(batch.tokens.size());
    done += n;
  }
  sample.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const CpuClock after = CpuClock::now();
  sample.others = others_cores(before, after);
  sample.busy = too_busy(before, after);
  return sample;
}

}  // namespace sinter
