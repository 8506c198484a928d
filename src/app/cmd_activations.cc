// sinter activations: what rounding the inputs of linears does to each linear's output, measured on
// a text against float32 inputs.
#include <algorithm>
#include <cmath>

#include "app/command.h"
#include "app/loaded_model.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"

namespace sinter {
namespace {

struct Options {
  std::string model, file;
  int32_t tokens = 256;
  EngineOptions engine;
};

// Sums over the text of one linear's outputs.
struct LinearError {
  std::string module, activations;
  double difference = 0;  // squared, of rounded against exact
  double size = 0;        // squared, of exact
  double worst = 0;       // largest relative error of one token
  double relative() const { return size > 0 ? std::sqrt(difference / size) : 0; }
};

double squared(std::span<const float> v) {
  double sum = 0;
  for (const float x : v) sum += static_cast<double>(x) * static_cast<double>(x);
  return sum;
}

LinearError compare(MatView exact, MatView rounded) {
  LinearError e;
  std::vector<float> difference(static_cast<size_t>(exact.cols));
  for (int64_t i = 0; i < exact.rows; ++i) {
    const auto a = exact.row(i), b = rounded.row(i);
    for (size_t j = 0; j < a.size(); ++j) difference[j] = b[j] - a[j];
    const double d = squared(difference), s = squared(a);
    e.difference += d;
    e.size += s;
    if (s > 0) e.worst = std::max(e.worst, std::sqrt(d / s));
  }
  return e;
}

int run(const Options& o) {
  if (o.engine.activations != "exact") {
    fail(Fault::bad_input, "activations-usage",
         "sinter activations: expected no --activations, found {}: both ways are compared, on the "
         "inputs that an exact model has",
         o.engine.activations);
  }
  const auto backend = std::shared_ptr(make_cpu_backend(o.engine.threads, o.engine.isa));
  const LoadedModel model = LoadedModel::load(o.model, backend, o.engine);
  std::vector<Token> tokens = model.need_chat().tokenizer().encode(read_file(o.file));
  if (tokens.empty()) {
    fail(Fault::bad_input, "prompt-empty", "{}: expected text, found none", o.file);
  }
  tokens.resize(std::min(tokens.size(), static_cast<size_t>(o.tokens)));

  // The model runs as it is; beside it each linear is tried on the same inputs, exact and rounded.
  std::vector<LinearError> errors;
  const std::vector<LinearKernel> linears = model.decoder->kernels();
  Progress progress("activations", static_cast<int64_t>(linears.size()), "linears");
  model.decoder->set_tap([&](std::string_view module, MatView x) {
    const LinearKernel& l = *std::find_if(
        linears.begin(), linears.end(), [&](const LinearKernel& k) { return k.module == module; });
    const Weight weight = model.artifact->matrix(l.matrix, l.rows, l.cols);
    const auto in_float = backend->prepare(weight, {});
    Activation activation = model.artifact->activation(l.module);
    if (activation.mode == ActivationMode::exact) activation.mode = ActivationMode::int8;
    const auto rounded = backend->prepare(weight, activation);
    std::vector<float> want(static_cast<size_t>(x.rows * weight.rows)), got(want.size());
    const auto as_mat = [&](std::vector<float>& v) {
      return MatMut{v.data(), x.rows, weight.rows, weight.rows};
    };
    backend->linear(*in_float, {}, x, as_mat(want));
    backend->linear(*rounded, {}, x, as_mat(got));
    errors.push_back(compare(as_mat(want), as_mat(got)));
    errors.back().module = l.module;
    errors.back().activations = rounded->kernel().activations;
    // The decoder may read the stored bytes as this does; of a tied head it reads the embedding.
    model.artifact->release(l.matrix, in_float->reads_stored() || l.matrix != l.module);
    progress.advance(1);
  });
  PageTable table(model.decoder->pages());
  Batch batch;
  batch.tokens = tokens;
  batch.spans = {{&table, 0, static_cast<int32_t>(tokens.size()), 0}};
  batch.logit_rows = {static_cast<int32_t>(tokens.size()) - 1};
  if (PageTable::pages_for(static_cast<int64_t>(tokens.size())) >
      model.decoder->pages().max_pages()) {
    fail(Fault::exhausted, "kv-too-small", "{} tokens do not fit the KV cache; raise --kv-mib",
         tokens.size());
  }
  model.decoder->forward(batch);

  LinearError all{.module = "all", .activations = {}};
  for (const LinearError& e : errors) {
    all.difference += e.difference;
    all.size += e.size;
    all.worst = std::max(all.worst, e.worst);
  }
  if (globals().json) {
    Json rows = Json::array();
    for (const LinearError& e : errors) {
      rows.push_back({{"module", e.module},
                      {"activations", e.activations},
                      {"relative_error", e.relative()},
                      {"worst", e.worst}});
    }
    print_json({{"model", o.model},
                {"tokens", tokens.size()},
                {"engine", model.engine_record()},
                {"relative_error", all.relative()},
                {"worst_token", all.worst},
                {"linears", rows}});
    return 0;
  }
  std::string text =
      fmt::format("{}: outputs of each linear, rounded inputs against float32, {} tokens, {}\n\n",
                  o.model, tokens.size(), backend->name());
  const auto line = [&](const LinearError& e) {
    text += fmt::format("{:<44} {:<11} {:>8.3f}% {:>11.3f}%\n", e.module, e.activations,
                        100 * e.relative(), 100 * e.worst);
  };
  text += fmt::format("{:<44} {:<11} {:>9} {:>12}\n", "linear", "inputs", "error", "worst token");
  for (const LinearError& e : errors) line(e);
  line(all);
  print_text(text);
  return 0;
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model, "A model directory or a GGUF file.")->required();
  app.add_option("TEXT", o->file, "A text file, as the model will meet it.")->required();
  app.add_option("--tokens", o->tokens, "Tokens of the text to use.")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  o->engine.add_to(app);
  app.footer(
      "Root-mean-square error of each output, relative to its size. Inputs are rounded as the\n"
      "checkpoint says, else to int8; linears whose weights are not integers stay exact then and\n"
      "show 0. To see what the errors do to answers: `sinter perplexity MODEL TEXT`, with and\n"
      "without --activations int8.");
  return [o] { return run(*o); };
}

}  // namespace

const Command kActivationsCommand = {
    "activations", "Error of rounded inputs, linear by linear, measured on a text.", setup};

}  // namespace sinter
