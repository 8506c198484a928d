// sinter replay: a receipt's answers once more. The same tokens, or what is different now.
#include <algorithm>
#include <sstream>

#include "app/answer.h"
#include "app/command.h"
#include "base/error.h"
#include "base/file.h"

namespace sinter {
namespace {

struct Options {
  std::string receipt, model, isa;
  int threads = 0;
  int64_t kv_mib = 512;
};

std::vector<Receipt> read_receipts(const std::string& path) {
  std::vector<Receipt> receipts;
  std::istringstream text(read_file(path));
  std::string line;
  for (int n = 1; std::getline(text, line); ++n) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = fmt::format("{}: line {}", path, n);
    receipts.push_back(Receipt::from_json(parse_json(line, where), where));
  }
  if (receipts.empty()) {
    fail(Fault::bad_input, "receipt-empty",
         "{}: expected receipts, one a line; `sinter run --receipt FILE` writes them", path);
  }
  return receipts;
}

std::string one_of(const JsonFields& f, const char* field, std::vector<std::string> known) {
  std::string value = f.string(field);
  if (std::find(known.begin(), known.end(), value) == known.end()) {
    fail(Fault::bad_input, "json-field", "{}: /{}: expected one of {}, found \"{}\"", f.where(),
         field, fmt::join(known, ", "), value);
  }
  return value;
}

// How the receipt's model ran, as far as this machine can.
EngineOptions engine_options(const Options& o, const Receipt& r) {
  const JsonFields ran(r.ran, o.receipt + ": /ran");
  EngineOptions e;
  e.threads = o.threads;
  e.kv_mib = o.kv_mib;
  e.activations = one_of(ran, "activations", {"exact", "int8"});
  e.weights_only = ran.boolean("weights_only", false);
  e.kv = one_of(ran, "kv", {"f32", "f16", "bf16"});
  e.isa = o.isa;
  if (e.isa.empty()) {
    const std::string backend = ran.string("instruction_set");
    for (const IsaSupport& isa : cpu_isas()) {
      if (isa.supported && backend == "cpu/" + isa.name) e.isa = isa.name;
    }
  }
  return e;
}

std::string list(const std::vector<ReceiptDifference>& differences) {
  std::string text;
  for (const ReceiptDifference& d : differences) {
    text += fmt::format("\n  {}: was {}, is {}", d.part, d.was, d.is);
  }
  return text;
}

Json to_json(const std::vector<ReceiptDifference>& differences) {
  Json out = Json::array();
  for (const ReceiptDifference& d : differences) {
    out.push_back({{"part", d.part}, {"was", d.was}, {"is", d.is}});
  }
  return out;
}

// Throws Error(incompatible, "replay-differs") if the tokens are others.
void compare(const Receipt& r, const Reply& reply, const std::vector<ReceiptDifference>& parts) {
  const std::vector<Token>& now = reply.completion.tokens;
  if (now == r.tokens && reply.completion.finish == r.finish) return;
  const auto parting = std::mismatch(now.begin(), now.end(), r.tokens.begin(), r.tokens.end());
  const auto at = parting.first - now.begin();
  const std::string where = fmt::format(
      "choice {}: {} tokens were written, {} come now, and they "
      "part after {}",
      r.choice, r.tokens.size(), now.size(), at);
  if (parts.empty()) {
    fail(Fault::corrupt, "replay-differs",
         "{}; model, build, instruction set and all else that is recorded are the same, so the "
         "receipt was not written by this program, or this is an error in it",
         where);
  }
  fail(Fault::incompatible, "replay-differs", "{}; what is different:{}", where, list(parts));
}

int replay(const Options& o) {
  install_interrupt();
  const std::vector<Receipt> receipts = read_receipts(o.receipt);
  Json results = Json::array();
  for (const Receipt& r : receipts) {
    const EngineOptions options = engine_options(o, r);
    const std::string path = o.model.empty() ? r.model : o.model;
    const LoadedModel model =
        LoadedModel::load(path, make_cpu_backend(options.threads, options.isa), options);
    const auto parts = differences(r.ran, parts_of(model, options));
    for (const ReceiptDifference& d : parts) {
      if (d.part == "artifact") {
        fail(Fault::incompatible, "replay-other-model",
             "{}: these are other weights, so there is nothing to repeat; name the model with "
             "--model:{}",
             path, list(parts));
      }
    }
    check(r.sampling, model.decoder->config().vocab);
    const Asked asked{.prompt = r.prompt,
                      .max_new_tokens = r.max_new_tokens,
                      .stop = r.stop,
                      .stop_strings = r.stop_strings,
                      .skip_special = r.skip_special,
                      .sampling = r.sampling,
                      .choices = {r.choice},
                      .logprobs = {}};
    const Reply reply = answer(model, options, asked, {}).front();
    if (interrupted()) return 130;
    compare(r, reply, parts);
    results.push_back({{"choice", r.choice},
                       {"tokens", r.tokens.size()},
                       {"same", true},
                       {"differences", to_json(parts)}});
    if (!globals().json) {
      print_text(fmt::format("choice {}: the same {} tokens{}{}\n", r.choice, r.tokens.size(),
                             parts.empty() ? "" : ", though not all is the same:", list(parts)));
    }
  }
  if (globals().json) print_json({{"replayed", results}});
  return 0;
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("RECEIPT", o->receipt, "What `sinter run --receipt FILE` wrote.")->required();
  app.add_option("-m,--model", o->model, "The model, if it is not where the receipt has it.");
  app.add_option("-t,--threads", o->threads, "Threads; 0 = one per core. Never changes an answer.")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option(
      "--isa", o->isa,
      fmt::format("Instruction set: {}. Default: the receipt's, where this machine has it.",
                  isa_names()));
  app.add_option("--kv-mib", o->kv_mib, "Memory for keys and values, at most, in MiB.")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  app.footer(
      "Example:  sinter run models/pebble 'Calculate 348 plus 275.' --receipt /tmp/receipt.json\n"
      "          sinter replay /tmp/receipt.json");
  return [o] { return replay(*o); };
}

}  // namespace

const Command kReplayCommand = {"replay", "Give a receipt's answer again, or say what differs.",
                                setup};

}  // namespace sinter
