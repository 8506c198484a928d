// sinter convert: the same model in another container or dialect. Each target says which paths or
// --to names it answers to, and does the work; the list of them is at the end.
#include <array>
#include <filesystem>

#include "app/command.h"
#include "artifact/artifact.h"
#include "artifact/gguf_write.h"
#include "artifact/store.h"
#include "base/error.h"
#include "base/progress.h"
#include "compress/convert.h"

namespace sinter {
namespace {

struct Options {
  std::string model, out, to, type, embedding_type, head_type, name;
  bool no_tokenizer = false, force = false;
  int threads = 0;
};

struct Target {
  const char* name;     // of --to
  const char* suffix;   // of OUT, that means it without --to; "" = none
  const char* meaning;  // one line for --help
  // Returns what was made, as JSON with at least {"bytes", "notes"}; `text` gets lines for people.
  Json (*write)(const Options& o, const Artifact& artifact, std::string& text);
  bool resumes = false;  // OUT is a directory, and a killed conversion into it can go on
};

const Codec* codec_or_null(const std::string& name) {
  return name.empty() ? nullptr : format_named(name).codec;
}

Json write_gguf_file(const Options& o, const Artifact& artifact, std::string& text) {
  const std::filesystem::path model(o.model);
  const GgufWriteOptions options{.type = codec_or_null(o.type),
                                 .embedding_type = codec_or_null(o.embedding_type),
                                 .head_type = codec_or_null(o.head_type),
                                 .tokenizer = !o.no_tokenizer,
                                 .name = !o.name.empty() ? o.name
                                         : model.has_filename()
                                             ? model.stem().string()
                                             : model.parent_path().filename().string()};
  ThreadPool pool(o.threads);
  std::unique_ptr<Progress> progress;
  const GgufWritten written =
      write_gguf(artifact, o.out, options, pool, [&](int64_t, int64_t total) {
        if (!progress) progress = std::make_unique<Progress>("convert", total, "tensors");
        progress->advance();
      });
  progress.reset();
  std::vector<std::string> kinds;
  kinds.reserve(written.matrices.size());
  for (const auto& [type, n] : written.matrices) kinds.push_back(fmt::format("{} x {}", n, type));
  text = fmt::format("{}\n  matrices         {}\n  size             {} bytes\n", o.out,
                     fmt::join(kinds, ", "), written.bytes);
  return {{"bytes", written.bytes}, {"matrices", written.matrices}, {"notes", written.notes}};
}

// A directory in the dialect that o.to names.
Json write_dialect(const Options& o, const Artifact&, std::string& text) {
  if (!o.type.empty() || !o.embedding_type.empty() || !o.head_type.empty() || !o.name.empty() ||
      o.no_tokenizer || o.force) {
    fail(Fault::bad_input, "convert-target",
         "--to {}: expected none of --type, --embedding-type, --head-type, --name, --no-tokenizer "
         "and --force: this conversion changes no weight, keeps every file, and never replaces one",
         o.to);
  }
  install_interrupt();
  for (const StoredDialect& d : stored_dialects()) {
    if (o.to != d.name) continue;
    const CompressResult r = convert_dialect(o.model, d, o.out, {.stop = &interrupted()});
    text = fmt::format(
        "{}\n  was              {}\n  is               {}\n"
        "  size             {} bytes (was {})\n"
        "  proof            {} matrices, {} weights: dequantised, every bit equal\n"
        "                   (SHA-256 {}, in {}/{})\n",
        o.out, r.manifest.base_scheme, Artifact::open(o.out)->scheme(), r.bytes_after,
        r.bytes_before, r.manifest.proof["matrices"].get<int64_t>(),
        r.manifest.proof["weights"].get<int64_t>(), r.manifest.proof["sha256"].get<std::string>(),
        o.out, kManifestName);
    Json notes = Json::array();
    for (const std::string& file : r.not_copied) notes.push_back("not copied: " + file);
    return {{"bytes", r.bytes_after},       {"digest", r.manifest.digest},
            {"proof", r.manifest.proof},    {"shards_made", r.shards_made},
            {"shards_kept", r.shards_kept}, {"notes", notes}};
  }
  SINTER_CHECK(false);
}

// The one list of targets.
constexpr std::array kTargets = {
    Target{"gguf", ".gguf", "one GGUF v3 file", write_gguf_file},
    Target{"awq", "", "AutoAWQ, 4 bits, from GPTQ or compressed-tensors", write_dialect, true},
    Target{"gptq", "", "GPTQ, from AWQ or compressed-tensors", write_dialect, true},
    Target{"compressed-tensors", "", "pack-quantized, from AWQ or GPTQ", write_dialect, true},
};

const Target& target_of(const Options& o) {
  std::string known;
  for (const Target& t : kTargets) {
    const std::string_view suffix = t.suffix;
    if (o.to == t.name || (o.to.empty() && !suffix.empty() && o.out.ends_with(suffix))) return t;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", t.name);
  }
  fail(Fault::bad_input, "convert-target",
       "{}: expected an output whose name says what it is (such as OUT.gguf), or --to one of {}, "
       "found {}",
       o.out, known, o.to.empty() ? "neither" : o.to);
}

int run(const Options& o) {
  const Target& target = target_of(o);
  if (!o.force && !target.resumes && std::filesystem::exists(o.out)) {
    fail(Fault::bad_input, "convert-exists",
         "{}: expected nothing there, found a file or directory; remove it, or give --force",
         o.out);
  }
  const auto artifact = Artifact::open(o.model);
  std::string text;
  Json made = target.write(o, *artifact, text);
  if (globals().json) {
    made["model"] = o.model;
    made["out"] = o.out;
    made["target"] = target.name;
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
  std::string targets;
  for (const Target& t : kTargets) targets += fmt::format("\n  {:<20} {}", t.name, t.meaning);
  app.add_option("MODEL", o->model, "A model directory or a GGUF file.")->required();
  app.add_option("-o,--out", o->out, "What to write.")->required();
  app.add_option("--to", o->to, "The target; else the name of OUT decides.");
  app.add_option(
      "--type", o->type,
      "GGUF: the format of matrices: f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q4_k, q5_k, "
      "q6_k, iq4_nl, iq4_xs. Default: as stored.");
  app.add_option("--embedding-type", o->embedding_type, "GGUF: of the embedding. Default: --type.");
  app.add_option("--head-type", o->head_type, "GGUF: of an untied head. Default: --type.");
  app.add_option("--name", o->name, "GGUF: general.name. Default: MODEL's.");
  app.add_flag("--no-tokenizer", o->no_tokenizer, "GGUF: leave the tokenizer out.");
  app.add_flag("--force", o->force, "Replace OUT.");
  app.add_option("-t,--threads", o->threads, "Threads; 0 = one per core. Never changes a byte.")
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
