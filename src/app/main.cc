// sinter: compress a language model, prove that it still behaves, run it. The only place that
// wires.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "app/command.h"
#include "base/build.h"
#include "base/error.h"
#include "base/progress.h"

namespace sinter {
namespace {

// The one list of commands, in the order that a newcomer meets them.
constexpr const Command* kCommands[] = {
    &kInspectCommand,     &kRunCommand,        &kCompressCommand, &kConvertCommand,
    &kDiffCommand,        &kGateCommand,       &kJudgeCommand,    &kPerplexityCommand,
    &kTokenizeCommand,    &kDetokenizeCommand, &kTemplateCommand, &kActivationsCommand,
    &kDoctorCommand,      &kBenchCommand,      &kSynthCommand,    &kCorpusCommand,
    &kSensitivityCommand, &kProfileCommand,    &kReplayCommand,
};

std::atomic<bool> g_interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // so a signal handler may set it

// Every flag --some-flag can also be set by SINTER_SOME_FLAG, but those that need another flag: a
// variable that is meant for one command must not break the others.
void name_environment(CLI::App& app) {
  for (CLI::App* nested : app.get_subcommands({})) name_environment(*nested);
  for (CLI::Option* option : app.get_options()) {
    if (option->get_lnames().empty() || !option->get_needs().empty()) continue;
    const std::string& name = option->get_lnames().front();
    if (name == "help" || name == "version") continue;
    std::string variable = "SINTER_" + name;
    std::transform(variable.begin(), variable.end(), variable.begin(), [](unsigned char c) {
      return c == '-' ? '_' : static_cast<char>(std::toupper(c));
    });
    option->envname(variable);
  }
}

void report(const Error& e) {
  if (globals().json) {
    const Json error = {
        {"error", {{"code", e.code()}, {"message", e.what()}, {"exit", exit_code(e.fault())}}}};
    fmt::print(stderr, "{}\n", to_line(error));
  } else {
    fmt::print(stderr, "sinter: {}\n  (error {}; see docs/errors.md)\n", e.what(), e.code());
  }
}

int run(int argc, char** argv) {
  CLI::App app(
      "Sinter compresses large language models, proves item by item that the compressed model "
      "still "
      "behaves as the dense one did, and runs it.",
      "sinter");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", build_name(), "Print version, commit and compiler.");
  app.add_flag("--json", globals().json, "Results (and errors) as JSON.");
  app.add_option(
         "--progress", globals().progress,
         "Progress on stderr: auto (a bar on a terminal, else plain lines), bar, plain, json, "
         "none.")
      ->capture_default_str();
  app.set_config("--config", "",
                 "Read flags from a TOML file: top-level names, or [command] sections.");
  app.allow_config_extras(false);
  app.footer(
      "Start here:  sinter inspect MODEL   then   sinter compress MODEL -r recipes/int8.yaml -o "
      "OUT\n"
      "Every flag --some-flag is also the environment variable SINTER_SOME_FLAG.\n"
      "Exit codes: 0 ok, 1 runtime, 2 usage, 3 a gate failed, 4 incompatible, 5 integrity, 6 will "
      "not "
      "fit, 130 interrupted (resumable).");

  std::function<int()> chosen;
  for (const Command* command : kCommands) {
    CLI::App* sub = app.add_subcommand(command->name, command->summary);
    sub->callback([&chosen, action = command->setup(*sub)] { chosen = action; });
  }
  name_environment(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    // CLI11 prints help, version and complaints; its complaints are usage errors here.
    return app.exit(e) == 0 ? 0 : 2;
  }
  set_progress_mode(parse_progress_mode(globals().progress));
  return chosen();
}

}  // namespace

Globals& globals() {
  static Globals g;
  return g;
}

void print_text(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    fail(Fault::io, "stdout-closed", "standard output: expected to write {} bytes, cannot",
         text.size());
  }
}

void print_json(const Json& value) { print_text(to_line(value) + "\n"); }

void install_interrupt() {
  const auto stop = [](int) { g_interrupted = true; };
  std::signal(SIGINT, stop);
  std::signal(SIGTERM, stop);
}

const std::atomic<bool>& interrupted() { return g_interrupted; }

}  // namespace sinter

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error with a message, not a death
  try {
    return sinter::run(argc, argv);
  } catch (const sinter::Error& e) {
    sinter::report(e);
    return sinter::exit_code(e.fault());
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "sinter: out of memory; lower --kv-mib, or see `sinter inspect MODEL`\n");
    return 6;
  } catch (const std::exception& e) {
    fmt::print(stderr, "sinter: {}\n", e.what());
    return 1;
  }
}
