#include "bench/compare.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>

#include "base/error.h"
#include "gate/statistics.h"

extern char** environ;

namespace sinter {
namespace {

constexpr double kConfidence = 0.95;
constexpr int kResamples = 10000;
constexpr uint64_t kSeed = 1;

const Json* entry(const Json& document, const char* list, const std::string& name) {
  if (!document.contains(list)) return nullptr;
  for (const Json& c : document.at(list)) {
    if (c.at("case") == name) return &c;
  }
  return nullptr;
}

// Tokens per second of the case, or 0 if this document lacks it.
double figure(const Json& document, const std::string& name) {
  const Json* c = entry(document, "cases", name);
  return c == nullptr ? 0 : c->at("tokens_per_s").at("median").get<double>();
}

// Of every case that a document has figures for or has skipped.
void add_names(const Json& document, std::vector<std::string>& names) {
  for (const char* list : {"cases", "skipped"}) {
    if (!document.contains(list)) continue;
    for (const Json& c : document.at(list)) {
      const auto name = c.at("case").get<std::string>();
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
}

std::string why_skipped(const Json& document, const std::string& name) {
  const Json* c = entry(document, "skipped", name);
  return c != nullptr                 ? c->at("why").get<std::string>()
         : figure(document, name) > 0 ? "measured"
                                      : "no figure";
}

}  // namespace

Comparison compare_rounds(const std::vector<Json>& a, const std::vector<Json>& b) {
  SINTER_CHECK(a.size() == b.size() && !a.empty());
  std::vector<std::string> names;
  add_names(a.front(), names);
  add_names(b.front(), names);
  Comparison result;
  for (const std::string& name : names) {
    std::vector<double> of_a, of_b, logs;
    for (size_t i = 0; i < a.size(); ++i) {
      const double x = figure(a[i], name), y = figure(b[i], name);
      if (x <= 0 || y <= 0) continue;
      of_a.push_back(x);
      of_b.push_back(y);
      logs.push_back(std::log(y / x));
    }
    if (logs.empty()) {
      result.skipped.push_back({name, fmt::format("A: {}; B: {}", why_skipped(a.front(), name),
                                                  why_skipped(b.front(), name))});
      continue;
    }
    double sum = 0;
    for (const double log : logs) sum += log;
    const Interval interval = bootstrap_mean(logs, kConfidence, kResamples, kSeed);
    result.ratios.push_back({.name = name,
                             .a = median(of_a),
                             .b = median(of_b),
                             .ratio = std::exp(sum / static_cast<double>(logs.size())),
                             .low = std::exp(interval.low),
                             .high = std::exp(interval.high),
                             .rounds = static_cast<int64_t>(logs.size())});
  }
  return result;
}

std::string verdict(const RatioFigure& r) {
  // With few rounds the bootstrap has too little to draw from: it cannot see what did not happen.
  constexpr int64_t kFewest = 5;
  if (r.rounds < kFewest) return "too few rounds to tell";
  if (r.low > 1) return fmt::format("B is faster, by {:.1f} %", 100 * (r.ratio - 1));
  if (r.high < 1) return fmt::format("A is faster, by {:.1f} %", 100 * (1 / r.ratio - 1));
  return "no difference seen";
}

Json run_for_json(const std::vector<std::string>& command) {
  const std::string& program = command.front();
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) {
    fail(Fault::io, "bench-child", "{}: cannot make a pipe: {}", program, std::strerror(errno));
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  ::posix_spawn_file_actions_addclose(&actions, ends[0]);
  ::posix_spawn_file_actions_addclose(&actions, ends[1]);
  std::vector<std::string> words = command;
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const int refused =
      ::posix_spawnp(&child, program.c_str(), &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::string out;
  char block[65536];
  for (ssize_t n = 1; refused == 0 && n != 0;) {
    n = ::read(ends[0], block, sizeof block);
    if (n < 0 && errno != EINTR) break;
    if (n > 0) out.append(block, static_cast<size_t>(n));
  }
  ::close(ends[0]);
  if (refused != 0) {
    fail(Fault::io, "bench-child", "{}: cannot run it: {}", program, std::strerror(refused));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  // A Ctrl-C reaches the child too; its own code for that is 130.
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  if (signal == SIGINT || signal == SIGTERM ||
      (WIFEXITED(status) && WEXITSTATUS(status) == exit_code(Fault::interrupted))) {
    fail(Fault::interrupted, "interrupted", "bench: stopped; nothing was kept");
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fail(Fault::io, "bench-child",
         "{}: expected it to run `bench` and end well, it ended with {}; its own message is above",
         program,
         WIFEXITED(status) ? fmt::format("code {}", WEXITSTATUS(status))
                           : fmt::format("signal {}", signal));
  }
  const Json json = parse_json(out, program + ": its output");
  const JsonFields fields(json, program + ": its output");
  if (fields.integer("bench") != 1 || !fields.at("cases").is_array()) {
    fail(Fault::io, "bench-child", "{}: expected figures of schema 1, found another", program);
  }
  return json;
}

}  // namespace sinter
