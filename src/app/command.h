// What every command shares: the one list of commands, the flags of a loaded engine, and how
// results leave the program. stdout carries results only; progress and errors go to stderr.
#pragma once

#include <CLI/CLI.hpp>
#include <atomic>
#include <functional>
#include <string>

#include "base/json.h"

namespace sinter {

struct Globals {
  bool json = false;
  std::string progress = "auto";
};
Globals& globals();

// A command adds its flags to `app` and returns what to run; the result is the exit code.
struct Command {
  const char* name;
  const char* summary;
  std::function<int()> (*setup)(CLI::App& app);
};

// Prints one JSON document to stdout.
void print_json(const Json& value);
// Prints text to stdout; throws Error(io, "stdout-closed") when nobody can read it.
void print_text(std::string_view text);

// True once SIGINT or SIGTERM came after install_interrupt(); long work polls it and stops
// resumably.
void install_interrupt();
const std::atomic<bool>& interrupted();

extern const Command kInspectCommand;
extern const Command kRunCommand;
extern const Command kReplayCommand;
extern const Command kTokenizeCommand;
extern const Command kDetokenizeCommand;
extern const Command kTemplateCommand;
extern const Command kPerplexityCommand;
extern const Command kCompressCommand;
extern const Command kConvertCommand;
extern const Command kCorpusCommand;
extern const Command kSensitivityCommand;
extern const Command kProfileCommand;
extern const Command kGateCommand;
extern const Command kJudgeCommand;
extern const Command kActivationsCommand;
extern const Command kDiffCommand;
extern const Command kDoctorCommand;
extern const Command kBenchCommand;
extern const Command kSynthCommand;

}  // namespace sinter
