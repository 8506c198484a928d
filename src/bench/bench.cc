#include "bench/bench.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/build.h"
#include "base/error.h"
#include "base/huge_buffer.h"
#include "base/progress.h"
#include "bench/machine.h"

namespace sinter {
namespace {

constexpr int kTries = 3;  // of a sample that others disturbed

double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Of the keys and values that the largest case holds; the pool takes memory only as pages are used.
int64_t kv_bytes_needed(const ModelConfig& c, DType dtype, const std::vector<BenchCase>& cases,
                        int64_t steps) {
  const KvShape kv{.n_kv_heads = c.n_kv_heads, .head_dim = c.head_dim, .dtype = dtype};
  int64_t pages = 1;
  for (const BenchCase& b : cases) pages = std::max(pages, case_pages(b, steps));
  return pages * c.n_layers * kv.layer_bytes();
}

ModelConfig config_of(const Artifact& artifact) {
  const JsonFields json(artifact.config(), artifact.directory() + "/config.json");
  return architecture_of(json).config(json);
}

// Moves the cases that this model or machine cannot run to report.skipped.
std::vector<BenchCase> runnable(const BenchOptions& o, const ModelConfig& c, int64_t weight_bytes,
                                BenchReport& report) {
  const int64_t limit = o.context_limit > 0 ? o.context_limit : c.max_tokens;
  std::vector<BenchCase> cases;
  for (const BenchCase& b : o.cases) {
    const int64_t kv = kv_bytes_needed(c, o.decoder.kv_dtype, {b}, o.steps);
    // The tokens that decoding adds may go beyond the limit: a context of just that many fits.
    if (const int64_t tokens = b.context + b.prompt; tokens > limit) {
      report.skipped.push_back(
          {b.name, fmt::format("skipped: {} tokens are more than {}; --context N allows more",
                               tokens, limit)});
    } else if (weight_bytes + kv > physical_memory_bytes() / 10 * 9) {
      report.skipped.push_back(
          {b.name, fmt::format("skipped: its keys and values may need {} MiB, which this machine "
                               "has not",
                               kv >> 20)});
    } else {
      cases.push_back(b);
    }
  }
  return cases;
}

[[noreturn]] void fail_busy(const std::string& when, double others) {
  fail(Fault::io, "machine-busy",
       "{}: other processes kept {:.2f} cores busy (at most {:.2f} is quiet), so figures would "
       "mislead; wait for them (`top` shows which), or pass --allow-load, which marks the figures",
       when, others, kMaxOthersCores);
}

// One sample; what others disturbed is measured again, a few times.
Sample quiet_sample(Decoder& decoder, const BenchOptions& o, const BenchCase& c) {
  for (int attempt = 1;; ++attempt) {
    Sample s = run_case(decoder, decoder.bytes_per_token(), c, o.steps, o.chunk);
    if (!s.busy || o.allow_load) return s;
    if (attempt == kTries) fail_busy(fmt::format("{}, tried {} times", c.name, kTries), s.others);
  }
}

RoundLimits measure_limits(PeakMeter& meter, int64_t weight_bytes) {
  constexpr int kPasses = 3;
  // Far more than any cache, where the machine has it.
  const int64_t far =
      std::clamp<int64_t>(physical_memory_bytes() / 8, int64_t{64} << 20, int64_t{2} << 30);
  RoundLimits limits;
  limits.rates = meter.arithmetic();
  limits.memory = meter.read_rate(far, kPasses);
  limits.read = meter.read_rate(std::clamp<int64_t>(weight_bytes, int64_t{1} << 20, far), kPasses);
  return limits;
}

}  // namespace

void require_quiet_machine() {
  const LoadNow load = look_around(1.0);
  if (load.others > kMaxOthersCores) {
    fail_busy(fmt::format("this machine is busy ({} processes want a core, load average {:.2f})",
                          load.runnable, load.loadavg_1m),
              load.others);
  }
}

BenchReport bench_model(const BenchOptions& o) {
  BenchReport report;
  report.under_load = o.allow_load && look_around(0.5).others > kMaxOthersCores;
  if (!o.allow_load) require_quiet_machine();

  const auto start = std::chrono::steady_clock::now();
  const auto artifact = Artifact::open(o.model, o.artifact);
  const auto backend = make_cpu_backend(o.threads, o.isa);
  DecoderOptions decoder_options = o.decoder;
  const ModelConfig config = config_of(*artifact);
  decoder_options.kv_bytes =
      std::max(o.decoder.kv_bytes, kv_bytes_needed(config, o.decoder.kv_dtype, o.cases, o.steps));
  Decoder decoder(artifact, *backend, decoder_options);
  report.load_s = since(start);
  const BenchCase first = {.name = "first", .sequences = 1, .context = 0, .prompt = 1};
  run_case(decoder, decoder.bytes_per_token(), first, 1, 1);
  report.first_token_s = since(start);
  if (o.loaded) o.loaded(decoder, *backend);

  report.machine = machine_record();
  report.build = build_name();
  report.backend = backend->name();
  report.activations = activations_of(decoder.kernels());
  report.kv = plain_codec(o.decoder.kv_dtype)->name;
  report.threads = backend->n_threads();
  report.model = o.model;
  report.scheme = artifact->scheme();
  report.parameters = config.parameters();
  report.weight_bytes = decoder.bytes_per_token();
  report.kv_bytes_per_token = kv_bytes_per_token(decoder);
  const std::vector<BenchCase> cases = runnable(o, config, report.weight_bytes, report);
  int64_t tokens = 0, most_pages = 0;
  for (const BenchCase& c : cases) {
    report.cases.push_back({c, {}});
    tokens += case_tokens(c, o.steps);
    most_pages = std::max(most_pages, case_pages(c, o.steps));
    // To warm up: buffers grow, pages are touched.
    BenchCase warm = c;
    if (c.prompt > 0) warm.prompt = std::min(c.prompt, o.chunk);
    run_case(decoder, report.weight_bytes, warm, 2, o.chunk);
  }
  report.resident_bytes = decoder.weight_bytes() + most_pages * decoder.pages().page_bytes();

  Progress progress("bench", tokens * o.rounds, "tokens");
  std::optional<PeakMeter> meter;
  for (int round = 0; round < o.rounds; ++round) {
    for (CaseFigures& c : report.cases) {
      if (o.stop != nullptr && o.stop->load()) {
        fail(Fault::interrupted, "interrupted", "bench: stopped; nothing was kept");
      }
      c.samples.push_back(quiet_sample(decoder, o, c.what));
      progress.advance(case_tokens(c.what, o.steps), c.what.name);
    }
    if (round == 0) report.peak_rss_bytes = peak_rss_bytes();
    if (!o.measure_limits) continue;
    if (!meter) meter.emplace(report.threads, report.backend.substr(report.backend.find('/') + 1));
    report.limits.push_back(measure_limits(*meter, report.weight_bytes));
  }
  if (!report.limits.empty()) {
    report.peak_name =
        bounding_rate(report.limits.front().rates, report.activations, report.backend);
  }
  for (const CaseFigures& c : report.cases) {
    for (const Sample& s : c.samples) report.under_load = report.under_load || s.busy;
  }
  return report;
}

}  // namespace sinter
