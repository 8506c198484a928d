// sinter doctor: is this machine, and this model, in order? Every check says what it found.
#include <cmath>

#include "app/command.h"
#include "app/loaded_model.h"
#include "base/build.h"
#include "base/error.h"
#include "base/huge_buffer.h"
#include "base/random.h"
#include "base/threads.h"
#include "model/logits.h"

namespace sinter {
namespace {

struct Options {
  std::string model;
  EngineOptions engine;
};

struct Check {
  std::string name;
  bool ok;
  std::string found;
};

// The chosen kernels against the plain ones, on one bf16 matrix.
Check kernels_agree(const EngineOptions& o) {
  constexpr int64_t kRows = 64, kCols = 300;
  std::vector<uint16_t> codes(kRows * kCols);
  std::vector<float> x(kCols);
  for (size_t i = 0; i < codes.size(); ++i) {
    codes[i] = f32_to_bf16(static_cast<float>(random_uniform(1, 0, i) - 0.5));
  }
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(random_uniform(1, 1, i) - 0.5);
  const Weight weight{.format = format_named("bf16"),
                      .rows = kRows,
                      .cols = kCols,
                      .codes = reinterpret_cast<const uint8_t*>(codes.data()),
                      .params = nullptr};
  const auto product = [&](Backend& backend) {
    std::vector<float> y(kRows);
    backend.linear(*backend.prepare(weight, {}), {}, {x.data(), 1, kCols, kCols},
                   {y.data(), 1, kRows, kRows});
    return y;
  };
  const auto backend = make_cpu_backend(o.threads, o.isa);
  const std::vector<float> fast = product(*backend), plain = product(*make_cpu_backend(1, "ref"));
  double worst = 0;
  for (size_t i = 0; i < fast.size(); ++i) {
    worst = std::max(worst, static_cast<double>(std::abs(fast[i] - plain[i])));
  }
  return {"kernels", worst < 1e-5,
          fmt::format("{} agrees with the plain kernels within {:.1e}", backend->name(), worst)};
}

Check model_answers(const LoadedModel& model, const EngineOptions& o) {
  const int32_t vocab = model.decoder->config().vocab;
  const std::vector<Token> tokens = {0, std::min(1, vocab - 1), vocab - 1};
  double nll = 0;
  for_each_row(*model.decoder, o, tokens, [&](int32_t position, std::span<const float> logits) {
    nll -= log_probability(logits, tokens[static_cast<size_t>(position)]);
  });
  return {"forward", std::isfinite(nll),
          fmt::format("three tokens through every layer: {}",
                      std::isfinite(nll) ? "finite" : "not finite")};
}

// Runs one check; an Error is a failed check, not the end.
template <typename F>
void attempt(std::vector<Check>& checks, const char* name, const F& f) {
  try {
    checks.push_back(f());
  } catch (const Error& e) {
    checks.push_back({name, false, e.what()});
  }
}

int run(const Options& o) {
  std::vector<Check> checks;
  checks.push_back({"build", true, build_name()});
  std::vector<std::string> isas;
  for (const IsaSupport& isa : cpu_isas()) {
    isas.push_back(fmt::format("{} {}", isa.name, isa.supported ? "yes" : "no"));
  }
  checks.push_back(
      {"cpu", true, fmt::format("{} cores to use; {}", available_cores(), fmt::join(isas, ", "))});
  const double gib = static_cast<double>(physical_memory_bytes()) / (1 << 30);
  checks.push_back({"memory", true, fmt::format("{:.1f} GiB", gib)});
  attempt(checks, "kernels", [&] { return kernels_agree(o.engine); });
  if (!o.model.empty()) {
    LoadedModel model;
    attempt(checks, "model", [&] {
      model =
          LoadedModel::load(o.model, make_cpu_backend(o.engine.threads, o.engine.isa), o.engine);
      return Check{"model", true, fmt::format("{}: {}", o.model, model.artifact->scheme())};
    });
    if (model.decoder) {
      attempt(checks, "forward", [&] { return model_answers(model, o.engine); });
      attempt(checks, "tokenizer", [&] {
        const std::string text = "Hello, world. 1 + 1 = 2";
        const auto ids = model.need_chat().tokenizer().encode(text, {.add_special = false});
        const std::string back = model.need_chat().tokenizer().decode(ids);
        return Check{"tokenizer", back.find("1 = 2") != std::string::npos,
                     fmt::format("{} ids; \"{}\" comes back as \"{}\"",
                                 model.need_chat().tokenizer().vocab_size(), text, back)};
      });
      attempt(checks, "template", [&] {
        const Json messages = {{{"role", "user"}, {"content", "Hi"}}};
        const size_t n =
            model.need_chat().encode({.messages = messages, .tools = {}, .extra = {}}).size();
        return Check{"template", n > 0, fmt::format("renders; \"Hi\" is a prompt of {} tokens", n)};
      });
    }
  }
  bool ok = true;
  Json list = Json::array();
  std::string text;
  for (const Check& c : checks) {
    ok = ok && c.ok;
    list.push_back({{"check", c.name}, {"ok", c.ok}, {"found", c.found}});
    text += fmt::format("{:<6} {:<10} {}\n", c.ok ? "ok" : "FAILED", c.name, c.found);
  }
  if (globals().json) {
    print_json({{"ok", ok}, {"checks", list}});
  } else {
    print_text(text);
  }
  return ok ? 0 : 1;
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model, "A model directory or GGUF file to check as well.");
  o->engine.add_to(app);
  return [o] { return run(*o); };
}

}  // namespace

const Command kDoctorCommand = {
    "doctor", "Check this machine, and a model if one is named; exit 1 if something is wrong.",
    setup};

}  // namespace sinter
