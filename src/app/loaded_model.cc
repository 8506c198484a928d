#include "app/loaded_model.h"

#include <algorithm>

#include "artifact/gguf_artifact.h"
#include "artifact/gguf_tokenizer.h"
#include "base/build.h"
#include "base/error.h"

namespace sinter {

std::string isa_names() {
  std::vector<std::string> names;
  for (const IsaSupport& isa : cpu_isas()) names.push_back(isa.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

void EngineOptions::add_to(CLI::App& app) {
  app.add_option("-t,--threads", threads, "Threads; 0 = one per core. Never changes an answer.")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option(
      "--isa", isa,
      fmt::format("Instruction set: {}. Default: what SINTER_ISA says, or the best there "
                  "is. Part of the answer's last bits.",
                  isa_names()));
  app.add_option("--activations", activations,
                 "Inputs of linears that the checkpoint leaves in float: exact, or int8 (one scale "
                 "per group of columns, integer products: faster, and part of the answer).")
      ->check(CLI::IsMember({"exact", "int8"}))
      ->capture_default_str();
  app.add_flag("--weights-only", weights_only,
               "Leave out what the checkpoint asks of inputs, keys and values (FP8 or FP4 inputs, "
               "an FP8 KV cache): part of the answer, and of the scheme's name.");
  app.add_option("--kv", kv,
                 "Type of stored keys and values: f32, or f16 or bf16 (half the memory; part of "
                 "the answer).")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}))
      ->capture_default_str();
  app.add_flag(kShowKernels, show_kernels, "Print how each linear will be multiplied.");
  app.add_flag("--require-kernel", require_kernel,
               "Make it an error if a linear has no fast kernel; else it is a warning.");
  app.add_option("--kv-mib", kv_mib, "Memory for keys and values, at most, in MiB.")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  app.add_option("--max-sequences", max_sequences, "Sequences decoded together, at most.")
      ->check(CLI::Range(1, 512))
      ->capture_default_str();
  app.add_option("--prefill-chunk", prefill_chunk, "Prompt tokens of one forward, at most.")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
}

std::vector<std::string> EngineOptions::words() const {
  std::vector<std::string> words = {"--threads",
                                    fmt::format("{}", threads),
                                    "--activations",
                                    activations,
                                    fmt::format("--weights-only={}", weights_only),
                                    "--kv",
                                    kv,
                                    fmt::format("--require-kernel={}", require_kernel),
                                    "--kv-mib",
                                    fmt::format("{}", kv_mib),
                                    "--max-sequences",
                                    fmt::format("{}", max_sequences),
                                    "--prefill-chunk",
                                    fmt::format("{}", prefill_chunk)};
  if (!isa.empty()) words.insert(words.end(), {"--isa", isa});
  if (show_kernels) words.emplace_back(kShowKernels);
  return words;
}

DecoderOptions EngineOptions::decoder() const {
  return {.kv_bytes = kv_mib << 20,
          .kv_dtype = kv == "f16"    ? DType::f16
                      : kv == "bf16" ? DType::bf16
                                     : DType::f32,
          .activations = activations == "int8" ? ActivationMode::int8 : ActivationMode::exact};
}

EngineLimits EngineOptions::limits() const {
  return {.max_sequences = max_sequences,
          .step_tokens = std::max(prefill_chunk, 2 * max_sequences),
          .max_chunk = prefill_chunk};
}

std::shared_ptr<const Chat> load_chat(const std::string& path) {
  if (!is_gguf(path)) return Chat::load(path);
  const GgufText text = read_gguf_text(*GgufFile::open(path));
  return Chat::load(path, [&](const std::string& name) { return text.file(name); });
}

void report_kernels(const std::string& model, const Decoder& decoder, const Backend& backend,
                    const EngineOptions& options) {
  const std::vector<LinearKernel> kernels = decoder.kernels();
  if (options.show_kernels) {
    fmt::print(stderr, "{}\n", backend.name());
    for (const LinearKernel& k : kernels) {
      fmt::print(stderr, "  {:<44} {:<20} {:<9} {:<11} {}\n", k.module, to_string(k.format),
                 k.kernel.codes, k.kernel.activations, k.kernel.why_slow);
    }
  }
  const auto is_slow = [](const LinearKernel& k) { return !k.kernel.why_slow.empty(); };
  const auto n_slow = std::count_if(kernels.begin(), kernels.end(), is_slow);
  if (n_slow == 0) return;
  const LinearKernel& first = *std::find_if(kernels.begin(), kernels.end(), is_slow);
  const std::string what = fmt::format(
      "{}: {} of {} linears have no fast kernel on {} (first {}, {}: {})", model, n_slow,
      kernels.size(), backend.name(), first.module, to_string(first.format), first.kernel.why_slow);
  if (options.require_kernel) {
    fail(Fault::unsupported, "kernel-missing",
         "{}; leave --require-kernel out to run them slowly, or convert the model to a format that "
         "has one",
         what);
  }
  fmt::print(stderr, "warning: {}; they run slowly (--show-kernels lists them)\n", what);
}

LoadedModel LoadedModel::load(const std::string& directory, std::shared_ptr<Backend> backend,
                              const EngineOptions& options) {
  LoadedModel m;
  m.backend = std::move(backend);
  m.activations = options.activations + (options.weights_only ? ", weights only" : "");
  m.artifact = Artifact::open(directory, {.weights_only = options.weights_only});
  if (m.artifact->text_file("tokenizer.json")) {
    m.chat =
        Chat::load(directory, [&](const std::string& name) { return m.artifact->text_file(name); });
  }
  m.decoder = std::make_unique<Decoder>(m.artifact, *m.backend, options.decoder());
  m.kv = options.kv;
  report_kernels(directory, *m.decoder, *m.backend, options);
  const int32_t vocab = m.decoder->config().vocab;
  if (m.chat && m.chat->tokenizer().vocab_size() > vocab) {
    fail(Fault::incompatible, "vocabulary-mismatch",
         "{}: tokenizer.json has ids up to {}, config.json's vocab_size is {}; they do not belong "
         "together",
         directory, m.chat->tokenizer().vocab_size() - 1, vocab);
  }
  return m;
}

const Chat& LoadedModel::need_chat() const {
  if (!chat) {
    fail(Fault::not_found, "tokenizer-missing",
         "{}: expected tokenizer.json, found none; text needs one (token ids do not)",
         artifact->directory());
  }
  return *chat;
}

Json LoadedModel::engine_record() const {
  return {{"build", build_name()},
          {"backend", backend->name()},
          {"activations", activations},
          {"kv", fmt::format("{}, pages of {}", kv, kPageTokens)}};
}

void for_each_row(Decoder& decoder, const EngineOptions& options, const std::vector<Token>& tokens,
                  const RowObserver& row) {
  Engine engine(decoder, options.limits());
  std::string error;
  engine.add({.prompt = tokens,
              .max_new_tokens = 0,
              .sampling = {},
              .stop = {},
              .observe = row,
              .observe_from = 1,
              .on_token = {}},
             [&](const Completion& c) { error = c.error; });
  engine.run();
  if (!error.empty()) fail(Fault::corrupt, "logits-not-finite", "{}", error);
}

}  // namespace sinter
