// sinter gate: does the candidate still behave as the baseline did? And sinter judge: the same
// verdict again, from the recorded evidence alone.
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "app/command.h"
#include "app/loaded_model.h"
#include "base/error.h"
#include "gate/engine_subject.h"
#include "gate/gate.h"

namespace sinter {
namespace {

struct Options {
  std::string baseline, candidate;
  GateOptions gate;
  EngineOptions engine;
};

int terminal_width() {
  winsize size{};
  if (::ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 100;
}

int show(const Report& report, const std::string& folder) {
  if (globals().json) {
    print_text(report_json(report));
  } else {
    const bool colours = ::isatty(1) != 0 && std::getenv("NO_COLOR") == nullptr;
    print_text(report_terminal(report, colours, terminal_width()));
    print_text(fmt::format("\nReport: {}/report.html (also .json, .md, junit.xml)\n", folder));
  }
  return gate_exit_code(report.verdict);
}

int run(const Options& o) {
  const std::shared_ptr<Backend> backend = make_cpu_backend(o.engine.threads, o.engine.isa);
  const LoadedModel before = LoadedModel::load(o.baseline, backend, o.engine);
  const LoadedModel after = LoadedModel::load(o.candidate, backend, o.engine);
  before.need_chat();
  after.need_chat();
  EngineSubject baseline(before.artifact, before.chat, *before.decoder, before.engine_record(),
                         o.engine.limits());
  EngineSubject candidate(after.artifact, after.chat, *after.decoder, after.engine_record(),
                          o.engine.limits());
  return show(run_gate(o.gate, baseline, candidate), o.gate.report);
}

std::function<int()> setup(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("BASELINE", o->baseline, "The dense model: a directory or a GGUF file.")
      ->required();
  app.add_option("CANDIDATE", o->candidate, "The compressed model: likewise.")->required();
  app.add_option("--suite", o->gate.suite, "A suite's directory.")->required();
  app.add_option("--policy", o->gate.policy,
                 "A YAML policy. Default: the envelope of gates/envelope.yaml.");
  app.add_option("-o,--out", o->gate.report, "The directory for evidence and reports.")->required();
  app.add_flag("--resume", o->gate.resume, "Continue what a killed gate left there.");
  o->engine.add_to(app);
  app.footer(
      "Exit 0: promoted. Exit 3: refused, or not enough evidence to tell.\n"
      "Example:  sinter gate models/pebble out/int8 --suite suites/pebble -o out/gate-int8");
  return [o] { return run(*o); };
}

struct JudgeOptions {
  std::string report, policy;
};

std::function<int()> setup_judge(CLI::App& app) {
  auto o = std::make_shared<JudgeOptions>();
  app.add_option("REPORT", o->report, "A directory that sinter gate has written.")->required();
  app.add_option("--policy", o->policy, "Another policy. Default: the one it was judged by.");
  return [o] { return show(judge_again(o->report, o->policy), o->report); };
}

}  // namespace

const Command kGateCommand = {
    "gate", "Prove item by item that a compressed model still behaves; exit 3 if it does not.",
    setup};
const Command kJudgeCommand = {
    "judge", "Judge a gate's recorded evidence again, without a model, perhaps by another policy.",
    setup_judge};

}  // namespace sinter
