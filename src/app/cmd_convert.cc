// sinter convert: the same model as one GGUF file, or in another dialect (stored_dialects() has the
// list).
#include <algorithm>
#include <filesystem>

#include "app/command.h"
#include "artifact/artifact.h"
#include "artifact/gguf.h"
#include "artifact/gguf_write.h"
#include "artifact/store.h"
#include "base/error.h"
#include "base/progress.h"
#include "compress/convert.h"
#include "model/config.h"

namespace sinter {
namespace {

struct Options {
  std::string model, out, to, type, embedding_type, head_type, name;
  bool no_tokenizer = false, force = false, weights_only = false;
  int threads = 0;
};

constexpr const char* kGguf = "gguf";

const Codec* codec_or_null(const std::string& name) {
  return name.empty() ? nullptr : format_named(name).codec;
}

// What a model is called by its path; a directory's name may have dots of its own.
std::string name_of(const std::string& model) {
  std::filesystem::path path = std::filesystem::absolute(model).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return is_directory(path) ? path.filename() : path.stem();
}

// Both return what was made, as JSON with at least {"bytes", "notes"}; `text` gets lines for
// people.
Json write_gguf_file(const Options& o, std::string& text) {
  const bool directory = is_directory(std::filesystem::path(o.out));
  if (directory || (!o.force && std::filesystem::exists(o.out))) {
    fail(Fault::bad_input, "convert-exists", "{}: expected nothing there, found a {}", o.out,
         directory ? "directory; choose another name" : "file; remove it, or give --force");
  }
  const GgufWriteOptions options{.type = codec_or_null(o.type),
                                 .embedding_type = codec_or_null(o.embedding_type),
                                 .head_type = codec_or_null(o.head_type),
                                 .tokenizer = !o.no_tokenizer,
                                 .name = o.name.empty() ? name_of(o.model) : o.name};
  const auto artifact = Artifact::open(o.model, {.weights_only = o.weights_only});
  const JsonFields config(artifact->config(), artifact->directory() + "/config.json");
  architecture_of(config).config(config);  // what nobody can run is not converted either
  ThreadPool pool(o.threads);
  std::unique_ptr<Progress> progress;
  install_interrupt();
  const GgufWritten written =
      write_gguf(*artifact, o.out, options, pool, [&](int64_t done, int64_t total) {
        if (interrupted()) {
          fail(Fault::interrupted, "interrupted",
               "{}: stopped after {} of {} tensors; nothing was kept", o.out, done, total);
        }
        if (!progress) progress = std::make_unique<Progress>("convert", total, "tensors");
        progress->advance();
      });
  progress.reset();
  std::vector<std::string> kinds;
  kinds.reserve(written.matrices.size());
  for (const auto& [type, n] : written.matrices) kinds.push_back(fmt::format("{} x {}", n, type));
  text = fmt::format("{}\n  matrices         {}\n  size             {} bytes\n", o.out,
                     fmt::join(kinds, ", "), written.bytes);
  if (written.n_exact > 0) {
    text += fmt::format("  not rounded      {} matrices in other blocks: every weight is equal\n",
                        written.n_exact);
  }
  return {{"bytes", written.bytes},
          {"matrices", written.matrices},
          {"exact", written.n_exact},
          {"notes", written.notes}};
}

Json write_dialect(const Options& o, const StoredDialect& dialect, std::string& text) {
  if (!o.type.empty() || !o.embedding_type.empty() || !o.head_type.empty() || !o.name.empty() ||
      o.no_tokenizer || o.force || o.weights_only) {
    fail(Fault::bad_input, "convert-target",
         "--to {}: expected none of --type, --embedding-type, --head-type, --name, --no-tokenizer, "
         "--weights-only and --force: this conversion changes no weight, keeps every file, and "
         "never replaces one",
         o.to);
  }
  install_interrupt();
  const CompressResult r = convert_dialect(o.model, dialect, o.out, {.stop = &interrupted()});
  text = fmt::format(
      "{}\n  was              {}\n  is               {}\n"
      "  size             {} bytes (was {})\n"
      "  proof            {} matrices, {} weights: dequantised, every bit equal\n"
      "                   (SHA-256 {}, in {}/{})\n",
      o.out, r.manifest.base_scheme, Artifact::open(o.out)->scheme(), r.bytes_after, r.bytes_before,
      r.manifest.proof["matrices"].get<int64_t>(), r.manifest.proof["weights"].get<int64_t>(),
      r.manifest.proof["sha256"].get<std::string>(), o.out, kManifestName);
  Json notes = Json::array();
  for (const std::string& file : r.not_copied) notes.push_back("not copied: " + file);
  return {{"bytes", r.bytes_after},       {"digest", r.manifest.digest},
          {"proof", r.manifest.proof},    {"shards_made", r.shards_made},
          {"shards_kept", r.shards_kept}, {"notes", notes}};
}

int run(const Options& o) {
  const auto dialects = stored_dialects();
  const auto dialect = std::find_if(dialects.begin(), dialects.end(),
                                    [&](const StoredDialect& d) { return o.to == d.name; });
  const bool gguf = o.to == kGguf || (o.to.empty() && o.out.ends_with(".gguf"));
  if (!gguf && dialect == dialects.end()) {
    std::string known = kGguf;
    for (const StoredDialect& d : dialects) known += fmt::format(", {}", d.name);
    fail(Fault::bad_input, "convert-target",
         "{}: expected an output whose name ends in .gguf, or --to one of {}, found {}", o.out,
         known, o.to.empty() ? "neither" : o.to);
  }
  std::string text;
  Json made = gguf ? write_gguf_file(o, text) : write_dialect(o, *dialect, text);
  if (globals().json) {
    made["model"] = o.model;
    made["out"] = o.out;
    made["target"] = gguf ? kGguf : dialect->name;
    print_json(made);
    return 0;
  }
  for (const Json& note : made["notes"]) {
    text += fmt::format("  note: {}\n", note.get<std::string>());
  }
  print_text(text);
  return 0;
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  std::string targets = fmt::format("\n  {:<20} one GGUF v3 file", kGguf);
  for (const StoredDialect& d : stored_dialects()) {
    targets += fmt::format("\n  {:<20} {}", d.name, d.meaning);
  }
  app.add_option("MODEL", o->model, "A model directory or a GGUF file.")->required();
  app.add_option("-o,--out", o->out, "What to write.")->required();
  app.add_option("--to", o->to, "The target. Default: gguf, if OUT ends in .gguf.");
  app.add_option("--type", o->type,
                 fmt::format("GGUF: the format of matrices: {}. Default: as stored, or in "
                             "blocks that hold the same values.",
                             fmt::join(gguf_formats(), ", ")));
  app.add_option("--embedding-type", o->embedding_type, "GGUF: of the embedding. Default: --type.");
  app.add_option("--head-type", o->head_type, "GGUF: of an untied head. Default: --type.");
  app.add_option("--name", o->name, "GGUF: general.name. Default: MODEL's.");
  app.add_flag("--no-tokenizer", o->no_tokenizer, "GGUF: leave the tokenizer out.");
  app.add_flag("--weights-only", o->weights_only,
               "GGUF: leave out what the checkpoint asks of inputs, keys and values.");
  app.add_flag("--force", o->force, "Replace OUT.");
  app.add_option("-t,--threads", o->threads,
                 "Threads, at most (from dialect to dialect one does it); 0 = one per core. Never "
                 "changes a byte.")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.footer(
      "Targets:" + targets +
      "\nBetween awq, gptq and compressed-tensors nothing is rounded: codes, scales and zero "
      "points are\nrearranged, then both sides are dequantised and compared bit by bit, and "
      "OUT/manifest.json says so.\nWhat the target cannot say (another order of columns, a "
      "scale that is no F16) is an error, before\nanything is written. Stopped or killed, "
      "the same command goes on.\n"
      "Examples:  sinter convert models/pebble -o pebble.gguf --type q8_0\n"
      "           sinter convert downloads/model-awq -o out/model-ct --to compressed-tensors");
  return [o] { return run(*o); };
}

}  // namespace

const Command kConvertCommand = {"convert", "The same model in another container or dialect.",
                                 setup};

}  // namespace sinter
