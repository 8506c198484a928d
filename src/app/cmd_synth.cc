// sinter synth: a checkpoint of a real shape with made-up weights, for speed work.
#include <chrono>

#include "app/command.h"
#include "artifact/gguf.h"
#include "base/error.h"
#include "base/file.h"
#include "bench/synth.h"
#include "model/arch/shapes.h"

namespace sinter {
namespace {

struct Options {
  std::string shape, out;
  bool list = false;
  SynthOptions synth;
};

int list_shapes() {
  Json list = Json::array();
  std::string text = fmt::format("{:<18}{:>15}  {}\n", "shape", "parameters", "architecture");
  for (const Shape& s : shapes()) {
    const std::string architecture = config_of(s)["architectures"][0].get<std::string>();
    list.push_back(
        {{"shape", s.name}, {"parameters", s.parameters}, {"architecture", architecture}});
    text += fmt::format("{:<18}{:>15}  {}\n", s.name, s.parameters, architecture);
  }
  if (globals().json) {
    print_json(list);
  } else {
    print_text(text);
  }
  return 0;
}

// A name of the list, or somebody's config.json.
Json config_for(const Options& o) {
  if (!o.shape.ends_with(".json")) return config_of(shape_named(o.shape), o.synth.n_layers);
  Json config = read_json_file(o.shape);
  for (const char* key : {"quantization_config", "compression_config"}) config.erase(key);
  if (o.synth.n_layers > 0) config["num_hidden_layers"] = o.synth.n_layers;
  return config;
}

int run(const Options& o) {
  if (o.list) return list_shapes();
  if (o.shape.empty() || o.out.empty()) {
    fail(Fault::bad_input, "synth-usage",
         "sinter synth: expected SHAPE and -o OUT; `sinter synth --list` shows the shapes");
  }
  const auto start = std::chrono::steady_clock::now();
  SynthGguf gguf;
  if (o.out.ends_with(".gguf")) {
    gguf = synth_gguf(config_for(o), o.synth, o.out);
  } else {
    gguf.made = synth_directory(config_for(o), o.synth, o.out);
  }
  const SynthResult& r = gguf.made;
  const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double bits = 8 * static_cast<double>(r.bytes) / static_cast<double>(r.parameters);
  if (globals().json) {
    print_json({{"out", o.out},
                {"format", o.synth.format},
                {"seed", o.synth.seed},
                {"parameters", r.parameters},
                {"weight_bytes", r.bytes},
                {"bits_per_weight", bits},
                {"notes", gguf.notes},
                {"seconds", s}});
  } else {
    for (const std::string& note : gguf.notes) print_text(fmt::format("note: {}\n", note));
    print_text(fmt::format(
        "{}: {} parameters in {}, {:.1f} MiB ({:.2f} bits per weight), made in {:.1f} s\n"
        "Next:  sinter bench {}\n",
        o.out, r.parameters, o.synth.format, static_cast<double>(r.bytes) / (1 << 20), bits, s,
        o.out));
  }
  return 0;
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("SHAPE", o->shape,
                 "A shape of the list (--list), or the path of a config.json to take sizes from.");
  app.add_option("-o,--out", o->out,
                 "Where to write: a new directory, or a file if it ends in .gguf.");
  app.add_option(
         "--format", o->synth.format,
         fmt::format("Number format of the linears: {} (N columns share a scale), or a preset "
                     "such as W8A8; in a GGUF file of every matrix: {}.",
                     fmt::join(directory_formats(), ", "), fmt::join(gguf_formats(), ", ")))
      ->capture_default_str();
  app.add_option("--head", o->synth.head,
                 "Number format of the output matrix (and of the embedding where they are one). "
                 "Default: as the linears.");
  app.add_option("--seed", o->synth.seed, "The same seed gives the same bytes.")
      ->capture_default_str();
  app.add_option("--layers", o->synth.n_layers,
                 "Fewer (or more) layers than the shape has; 0 = as it has.")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("-t,--threads", o->synth.threads, "Threads; 0 = one per core.")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_flag("--list", o->list, "Show the shapes and how many parameters each has.");
  app.footer(
      "The weights are drawn from N(0, 0.02^2): the model says nothing sensible, but costs what a\n"
      "trained one of its shape costs. A byte-level tokenizer comes along, so `sinter run` works.\n"
      "Examples:  sinter synth tinyllama-1.1b --format i4_group:128 -o tiny-i4\n"
      "           sinter synth tinyllama-1.1b --format q4_k -o q4.gguf && sinter bench q4.gguf");
  return [o] { return run(*o); };
}

}  // namespace

const Command kSynthCommand = {
    "synth", "Write a checkpoint of a real shape with made-up weights, for speed work.", setup};

}  // namespace sinter
