// JSON-Schema-Test-Suite and MaskBench against the compiled grammars: a case is right, refused, or
// wrong. Both lie beside the project; where they are absent the tests are skipped.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <random>

#include "base/file.h"
#include "grammar/constraint.h"
#include "grammar/json/json_schema.h"
#include "grammar/json/json_validator.h"
#include "grammar/json/suite_files.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;
using namespace suite;

std::shared_ptr<GrammarVocabulary> bytes_vocabulary() {
  static const std::shared_ptr<GrammarVocabulary> vocabulary = [] {
    std::vector<std::string> bytes;
    for (int byte = 0; byte < 256; ++byte) bytes.emplace_back(1, static_cast<char>(byte));
    return std::make_shared<GrammarVocabulary>(bytes, std::vector<Token>{});
  }();
  return vocabulary;
}

bool accepts(const GrammarEngine& engine, const std::string& text) {
  Constraint constraint = engine.start();
  return constraint.accept_bytes(text) && constraint.may_end();
}

struct Count {
  int right = 0, refused = 0, wrong = 0;
};

struct SuiteRun {
  Count all;
  std::map<std::string, Count> by_file;
  std::string wrong_cases, refusals;
};

SuiteRun run_suite(const std::string& folder, Draft draft, bool assert_formats) {
  SuiteRun run;
  const auto documents = remotes();
  for (const std::string& path : json_files(folder, false)) {
    const std::string name = fs::path(path).filename();
    Count& count = run.by_file[name];
    for (const Json& group : read_json_file(path)) {
      const auto n_cases = static_cast<int>(group["tests"].size());
      try {
        JsonSchemaOptions options;
        options.any_order = true;
        options.assert_formats = assert_formats;
        const auto made = compile_json_schema({group["schema"], draft, documents}, options);
        const GrammarEngine engine(made.grammar, bytes_vocabulary());
        for (const Json& test : group["tests"]) {
          std::string text;
          write_spaced(test["data"], text);
          const bool right = accepts(engine, text) == test["valid"].get<bool>();
          ++(right ? count.right : count.wrong);
          if (!right) {
            run.wrong_cases += fmt::format("{}: {}: {}\n", name, group["description"].dump(),
                                           test["description"].dump());
          }
        }
      } catch (const Error& error) {
        const bool none = error.code() == "schema-unsatisfiable" || error.code() == "grammar-empty";
        if (none) {  // right if no instance is valid
          for (const Json& test : group["tests"])
            ++(test["valid"] == false ? count.right : count.wrong);
          continue;
        }
        count.refused += n_cases;
        run.refusals +=
            fmt::format("{}: {}: {}\n", name, group["description"].dump(), error.what());
      }
    }
    run.all.right += count.right, run.all.refused += count.refused, run.all.wrong += count.wrong;
  }
  return run;
}

struct SuiteDraft {
  const char* name;
  Draft draft;
};
constexpr SuiteDraft kSuiteDrafts[] = {{"draft2020-12", Draft::draft2020},
                                       {"draft7", Draft::draft7}};

std::string suite_folder(const SuiteDraft& suite) {
  return shared_folder() + "/data/json_schema_test_suite/tests/" + suite.name;
}

TEST(JsonSchemaSuite, RequiredCases) {
  std::map<std::string, std::array<Count, 2>> rows;
  for (size_t i = 0; i < std::size(kSuiteDrafts); ++i) {
    const SuiteDraft& suite = kSuiteDrafts[i];
    if (!fs::exists(suite_folder(suite))) GTEST_SKIP() << suite_folder(suite) << " is not there";
    const SuiteRun run = run_suite(suite_folder(suite), suite.draft, false);
    fmt::print("{}: right {}, refused {}, wrong {}\n", suite.name, run.all.right, run.all.refused,
               run.all.wrong);
    if (std::getenv("SINTER_SHOW") != nullptr) fmt::print("{}", run.refusals);
    EXPECT_EQ(run.all.wrong, 0) << run.wrong_cases;
    EXPECT_GE(run.all.right * 10, (run.all.right + run.all.refused) * 9) << run.refusals;
    for (const auto& [file, count] : run.by_file) rows[file][i] = count;
    rows["~all"][i] = run.all;
  }
  // docs/grammar.md says the same.
  std::string table =
      "| cases of | 2020-12: right | refused | wrong | draft 7: right | refused | wrong |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const auto& [file, counts] : rows) {
    table += fmt::format("| {} |", file == "~all" ? "**all**" : fs::path(file).stem().string());
    for (const Count& count : counts) {
      const bool none = count.right + count.refused + count.wrong == 0;
      table += none ? " - | - | - |"
                    : fmt::format(" {} | {} | {} |", count.right, count.refused, count.wrong);
    }
    table += "\n";
  }
  const std::string path = std::string(SINTER_SOURCE_DIR) + "/docs/grammar.md";
  std::string page = read_file(path);
  const std::string begin = "<!-- begin: json-schema-cases -->\n",
                    end = "<!-- end: json-schema-cases -->";
  const size_t from = page.find(begin) + begin.size(), to = page.find(end);
  ASSERT_LT(from, to + 1) << path << " has lost the place of the table";
  if (std::getenv("SINTER_WRITE_DOCS") != nullptr) {
    page.replace(from, to - from, table);
    write_file_atomically(path, page);
  } else {
    EXPECT_EQ(page.substr(from, to - from), table) << "run with SINTER_WRITE_DOCS=1";
  }
}

// MaskBench: a schema passes if it compiles, accepts every valid instance and no invalid one. All
// of it with SINTER_MASKBENCH=all, otherwise every 40th schema.
struct MaskBenchRun {
  int files = 0, passed = 0, refused = 0, valid_rejected = 0, invalid_accepted = 0;
};

TEST(JsonSchemaSuite, MaskBench) {
  const std::string folder = shared_folder() + "/data/maskbench";
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const char* asked = std::getenv("SINTER_MASKBENCH");
  const size_t step = asked != nullptr && std::string_view(asked) == "all" ? 1 : 40;
  const bool show = std::getenv("SINTER_SHOW") != nullptr;
  std::map<std::string, MaskBenchRun> parts;
  double slowest_ms = 0;
  const auto paths = json_files(folder);
  for (size_t i = 0; i < paths.size(); i += step) {
    const std::string part = fs::path(paths[i]).parent_path().filename();
    const std::string name = fs::path(paths[i]).filename();
    for (MaskBenchRun* run : {&parts[part], &parts["all"]}) ++run->files;
    const Json file = read_json_file(paths[i]);
    MaskBenchRun found;
    try {
      JsonSchemaOptions options;
      options.any_order = std::getenv("SINTER_FIXED_ORDER") == nullptr;
      const auto begin = std::chrono::steady_clock::now();
      const auto made = compile_json_schema({.schema = file["schema"], .documents = {}}, options);
      const double ms =
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
              .count();
      slowest_ms = std::max(slowest_ms, ms);
      if (show && ms > 20) fmt::print("{} SLOW {:.0f} ms\n", name, ms);
      const GrammarEngine engine(made.grammar, bytes_vocabulary());
      for (const Json& test : file["tests"]) {
        std::string text;
        write_spaced(test["data"], text);
        const bool valid = test["valid"].get<bool>();
        if (accepts(engine, text) == valid) continue;
        ++(valid ? found.valid_rejected : found.invalid_accepted);
        if (show)
          fmt::print("{} {}: {}\n", name, valid ? "VALID-REJECTED" : "INVALID-ACCEPTED", text);
      }
    } catch (const Error& error) {
      found.refused = 1;
      if (show) fmt::print("{} REFUSED {}: {}\n", name, error.code(), error.what());
    }
    const bool passed = found.refused + found.valid_rejected + found.invalid_accepted == 0;
    for (MaskBenchRun* run : {&parts[part], &parts["all"]}) {
      run->passed += passed ? 1 : 0;
      run->refused += found.refused;
      run->valid_rejected += found.valid_rejected > 0 ? 1 : 0;
      run->invalid_accepted += found.invalid_accepted > 0 ? 1 : 0;
    }
  }
  for (const auto& [part, run] : parts) {
    fmt::print(
        "{}: {} schemas, {} passed ({:.1f} %), refused {}, valid rejected {}, invalid accepted "
        "{}\n",
        part, run.files, run.passed, 100.0 * run.passed / run.files, run.refused,
        run.valid_rejected, run.invalid_accepted);
  }
  fmt::print("slowest to compile: {:.0f} ms\n", slowest_ms);
  EXPECT_EQ(parts["all"].invalid_accepted, 0);
  EXPECT_GE(parts["all"].passed * 100, parts["all"].files * 90);
}

// Any text that the masks let through, to its end: random bytes, with a liking for what closes.
std::optional<std::string> random_walk(const GrammarEngine& engine, std::mt19937& random) {
  Constraint constraint = engine.start();
  std::array<uint64_t, 4> words{};
  std::string text;
  for (int step = 0; step < 600; ++step) {
    if (constraint.may_end() && (constraint.is_complete() || random() % 4 == 0)) return text;
    constraint.mask(words);
    std::vector<char> allowed, closing;
    for (int byte = 0; byte < 256; ++byte) {
      if (((words[static_cast<size_t>(byte / 64)] >> (byte % 64)) & 1) == 0) continue;
      allowed.push_back(static_cast<char>(byte));
      if (std::string_view("\"}]").find(static_cast<char>(byte)) != std::string_view::npos) {
        closing.push_back(static_cast<char>(byte));
      }
    }
    if (allowed.empty()) return constraint.may_end() ? std::optional(text) : std::nullopt;
    const bool close = !closing.empty() && random() % 3 == 0;
    const std::vector<char>& from = close ? closing : allowed;
    text += from[random() % from.size()];
    SINTER_CHECK(constraint.accept(static_cast<unsigned char>(text.back())));
  }
  return std::nullopt;
}

// Every finished walk is valid, says the validator, which knows nothing of grammars. With
// SINTER_WALKS=FILE they are written there, one JSON text a line, for other validators.
TEST(JsonSchemaSuite, RandomWalksAreValid) {
  const std::string folder = shared_folder() + "/data/maskbench";
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const char* asked = std::getenv("SINTER_MASKBENCH");
  const size_t step = asked != nullptr && std::string_view(asked) == "all" ? 1 : 40;
  const char* out = std::getenv("SINTER_WALKS");
  std::ofstream lines(out != nullptr ? out : "/dev/null");
  std::mt19937 random(7);
  int n_walks = 0, n_unfinished = 0, n_repeated_names = 0;
  const auto paths = json_files(folder);
  for (size_t i = 0; i < paths.size(); i += step) {
    const Json file = read_json_file(paths[i]);
    try {
      JsonSchemaOptions options;
      options.any_order = i % 2 == 0;
      const auto made = compile_json_schema({.schema = file["schema"], .documents = {}}, options);
      const GrammarEngine engine(made.grammar, bytes_vocabulary());
      JsonValidator validator({.schema = file["schema"], .documents = {}});
      for (int walk = 0; walk < 3; ++walk) {
        const auto text = random_walk(engine, random);
        if (!text) {
          ++n_unfinished;
          continue;
        }
        Json value;
        try {
          value = parse_json(*text, "walk", {.max_depth = 700, .max_keys = 4096});
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), "json-duplicate-key") << paths[i] << "\n" << *text;
          ++n_repeated_names;
          continue;
        }
        ++n_walks;
        const auto violations = validator.validate(value);
        if (!violations.empty()) {
          ADD_FAILURE() << paths[i] << "\n"
                        << *text << "\n"
                        << violations[0].keyword << " " << violations[0].pointer << " "
                        << violations[0].message;
        }
        lines << to_line(Json{{"file", paths[i]}, {"text", *text}}) << "\n";
      }
    } catch (const Error& error) {
      const bool refused = error.fault() == Fault::unsupported ||
                           error.code() == "schema-unsatisfiable" ||
                           error.code() == "schema-reference" || error.code() == "grammar-limit";
      EXPECT_TRUE(refused) << paths[i] << ": " << error.what();
    }
  }
  fmt::print("{} walks, {} longer than 600 bytes, {} with a name twice\n", n_walks, n_unfinished,
             n_repeated_names);
  EXPECT_GT(n_walks, 100);
}

}  // namespace
}  // namespace sinter
