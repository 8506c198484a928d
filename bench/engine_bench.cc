// Speed of the engine on one model, beside the limits of the hardware measured in the same run:
// plain memory read, and peak float32 multiply-adds through the same tile kernel.
//     engine_bench MODEL [threads]
// One line of JSON per case: {case, tokens_per_s, GB_per_s of weights, GFLOP_per_s}.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"
#include "engine/engine.h"

namespace sinter {
namespace {

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median_of_5(const std::function<double()>& measure) {
  std::vector<double> v(5);
  for (double& x : v) x = measure();
  std::sort(v.begin(), v.end());
  return v[2];
}

void memory_read(ThreadPool& pool) {
  std::vector<uint64_t> block(size_t{1} << 26, 1);  // 512 MiB
  std::atomic<uint64_t> sink = 0;
  const double s = median_of_5([&] {
    return seconds([&] {
      pool.run(static_cast<int64_t>(block.size()), 1 << 20, [&](int64_t begin, int64_t end) {
        sink += std::accumulate(block.begin() + begin, block.begin() + end, uint64_t{0});
      });
    });
  });
  fmt::print("{{\"case\":\"memory_read\",\"GB_per_s\":{:.1f}}}\n",
             static_cast<double>(block.size() * 8) / s / 1e9);
}

std::vector<Token> prompt(int64_t n, uint64_t stream, int32_t vocab) {
  std::vector<Token> tokens(static_cast<size_t>(n));
  for (size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<Token>(random_bits(1, stream, i) % static_cast<uint64_t>(vocab));
  }
  return tokens;
}

// n_sequences of n_prompt tokens in, n_new out each; the rate counts `counted` tokens of each.
void run_case(Decoder& model, const char* name, int n_sequences, int n_prompt, int n_new) {
  const double s = median_of_5([&] {
    Engine engine(model, {.max_sequences = 64, .step_tokens = 512, .max_chunk = 512});
    for (int i = 0; i < n_sequences; ++i) {
      Request r;
      r.prompt = prompt(n_prompt, static_cast<uint64_t>(i), model.config().vocab);
      r.max_new_tokens = n_new;
      engine.add(std::move(r), [](const Completion&) {});
    }
    return seconds([&] { engine.run(); });
  });
  const double tokens = n_sequences * (n_new > 1 ? n_new : n_prompt);
  const double steps = n_new > 1 ? n_new : 1;
  fmt::print(
      "{{\"case\":\"{}\",\"tokens_per_s\":{:.1f},\"weights_GB_per_s\":{:.2f},"
      "\"GFLOP_per_s\":{:.1f}}}\n",
      name, tokens / s, static_cast<double>(model.bytes_per_token()) * steps / s / 1e9,
      2 * static_cast<double>(model.config().parameters()) * tokens / s / 1e9);
}

int bench(const std::string& directory, int threads) {
  ThreadPool pool(threads);
  memory_read(pool);
  const auto backend = make_cpu_backend(threads, "");
  Decoder model(Artifact::open(directory), *backend, {.kv_bytes = int64_t{1} << 30});
  fmt::print("{{\"case\":\"machine\",\"backend\":\"{}\",\"threads\":{}}}\n", backend->name(),
             backend->n_threads());
  run_case(model, "decode_1", 1, 1, 128);
  run_case(model, "decode_16", 16, 1, 64);
  run_case(model, "decode_64", 64, 1, 64);
  run_case(model, "prefill_512", 1, 512, 1);
  run_case(model, "prefill_4x512", 4, 512, 1);
  return 0;
}

}  // namespace
}  // namespace sinter

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: engine_bench MODEL [threads]\n");
    return 2;
  }
  try {
    return sinter::bench(argv[1], argc > 2 ? std::atoi(argv[2]) : 0);
  } catch (const sinter::Error& e) {
    fmt::print(stderr, "engine_bench: {}\n", e.what());
    return 1;
  }
}
