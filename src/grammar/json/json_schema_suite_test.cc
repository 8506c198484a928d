// JSON-Schema-Test-Suite and MaskBench against the compiled grammars: a case is right, refused, or
// wrong. Both lie beside the project; where they are absent the tests are skipped.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "grammar/constraint.h"
#include "grammar/json/json_schema.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

std::string shared_folder() {
  const char* set = std::getenv("SINTER_SHARED");
  return set != nullptr ? set : std::string(SINTER_SOURCE_DIR) + "/../shared";
}

std::vector<std::string> json_files(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".json") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

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

// As json.dumps writes it: one space behind ',' and ':', no exponents below 1e16.
void write_spaced(const Json& value, std::string& out) {
  if (value.is_number_float() && std::abs(value.get<double>()) < 1e16 &&
      std::abs(value.get<double>()) >= 1e15) {
    out += fmt::format("{:.1f}", value.get<double>());
    return;
  }
  if (!value.is_structured() || value.empty()) {
    out += value.dump();
    return;
  }
  out += value.is_array() ? '[' : '{';
  bool first = true;
  for (const auto& [key, inner] : value.items()) {
    if (!first) out += ", ";
    first = false;
    if (value.is_object()) out += Json(key).dump() + ": ";
    write_spaced(inner, out);
  }
  out += value.is_array() ? ']' : '}';
}

struct Count {
  int right = 0, refused = 0, wrong = 0;
};

struct SuiteRun {
  Count all;
  std::map<std::string, Count> by_file;
  std::string wrong_cases, refusals;
};

std::map<std::string, Json> remotes() {
  std::map<std::string, Json> all;
  const std::string folder = shared_folder() + "/data/json_schema_test_suite/remotes/";
  for (const std::string& path : json_files(folder)) {
    all["http://localhost:1234/" + path.substr(folder.size())] = read_json_file(path);
  }
  return all;
}

SuiteRun run_suite(const std::string& folder, Draft draft, bool recursive, bool assert_formats) {
  SuiteRun run;
  const auto documents = remotes();
  for (const std::string& path : json_files(folder)) {
    if (!recursive && fs::path(path).parent_path() != fs::path(folder)) continue;
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

void expect_suite(const std::string& draft_name, Draft draft) {
  const std::string folder = shared_folder() + "/data/json_schema_test_suite/tests/" + draft_name;
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const SuiteRun run = run_suite(folder, draft, false, false);
  fmt::print("{}: right {}, refused {}, wrong {}\n", draft_name, run.all.right, run.all.refused,
             run.all.wrong);
  if (std::getenv("SINTER_SHOW") != nullptr) fmt::print("{}\n{}", run.wrong_cases, run.refusals);
  EXPECT_EQ(run.all.wrong, 0) << run.wrong_cases;
  EXPECT_GE(run.all.right * 10, (run.all.right + run.all.refused) * 9) << run.refusals;
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
      const auto made = compile_json_schema({.schema = file["schema"], .documents = {}}, options);
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
  EXPECT_EQ(parts["all"].invalid_accepted, 0);
  EXPECT_GE(parts["all"].passed * 100, parts["all"].files * 90);
}

TEST(JsonSchemaSuite, Draft2020) { expect_suite("draft2020-12", Draft::draft2020); }
TEST(JsonSchemaSuite, Draft7) { expect_suite("draft7", Draft::draft7); }

}  // namespace
}  // namespace sinter
