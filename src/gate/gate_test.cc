// The whole gate on fake subjects: killed and resumed, judged again, and what the reports say.
#include "gate/gate.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <pugixml.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "gate/fake_subject.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNasty = "</pre><script>alert(1)</script> & \"x\" \x01 \xff \xE2\x80\xAE end";

class GateFolder : public testing::Test {
 protected:
  void SetUp() override {
    set_progress_mode(ProgressMode::none);
    folder_ = testing::TempDir() + "gate_" + std::to_string(::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_ + "/suite");
    std::string items;
    for (int i = 0; i < 320; ++i) {
      Json item = {
          {"id", "item-" + std::to_string(i)},
          {"domain", i % 2 == 0 ? "logic" : "schema"},
          {"behaviour", i % 4 == 0 ? "sums" : "others"},
          {"critical", i == 5},
          {"messages", {{{"role", "user"}, {"content", "Say it. <b>" + std::string(kNasty)}}}},
          {"reference", "the answer is " + std::to_string(i)},
          {"scorer", {{"type", "exact"}}}};
      if (i % 10 == 3) {
        item["scorer"] = {{"type", "choice"}, {"choices", {"yes", "no"}}, {"answer", "no"}};
      }
      items += to_line(item) + "\n";
      if (i % 10 == 3) {
        for (FakeSubject* s : {&baseline_, &candidate_}) {
          s->forced["item-" + std::to_string(i) + "\nyes"] = {-2};
          s->forced["item-" + std::to_string(i) + "\nno"] = {-0.5f};
        }
      }
    }
    write_file_atomically(folder_ + "/suite/items.jsonl", items);
    write_file_atomically(folder_ + "/suite/texts.jsonl",
                          "{\"id\": \"t0\", \"text\": \"some words\"}\n"
                          "{\"id\": \"t1\", \"text\": \"and some more words\"}\n");
    write_file_atomically(folder_ + "/policy.yaml", "bootstrap: {resamples: 100}\n");
    write_file_atomically(folder_ + "/suite/suite.json",
                          R"({"name": "fake", "version": "1", "domains": ["logic", "schema"],
                              "items": ["items.jsonl"], "texts": "texts.jsonl"})");
    candidate_.who["model"] = "candidate";
    candidate_.who["artifact_sha256"] = "11";
    candidate_.answers["item-6"] = {"the reply is 6", "", 4};
    candidate_.answers["item-5"] = {kNasty, "", 4};
    baseline_.answers["item-8"] = {"no", "", 0.2f};
    candidate_.drift = 0.5;
  }
  void TearDown() override { fs::remove_all(folder_); }

  GateOptions options(const std::string& name, bool resume = false, size_t batch = 0) const {
    return {.suite = folder_ + "/suite",
            .policy = folder_ + "/policy.yaml",
            .report = folder_ + "/" + name,
            .resume = resume,
            .batch_items = batch};
  }
  std::string file(const std::string& name) const { return read_file(folder_ + "/" + name); }
  void expect_same_bytes(const std::string& a, const std::string& b) {
    for (const char* name : {"items.jsonl", "baseline.jsonl", "candidate.jsonl", "text.jsonl",
                             "report.json", "report.md", "report.html", "junit.xml"}) {
      EXPECT_TRUE(file(a + "/" + name) == file(b + "/" + name)) << name;
    }
  }

  std::string folder_;
  FakeSubject baseline_;
  FakeSubject candidate_;
};

TEST_F(GateFolder, FindsWhatIsBroken) {
  const Report r = run_gate(options("a"), baseline_, candidate_);
  EXPECT_EQ(r.verdict.regressed, (std::vector<std::string>{"item-5", "item-6"}));
  EXPECT_EQ(r.verdict.repaired, (std::vector<std::string>{"item-8"}));
  EXPECT_EQ(r.verdict.critical_lost, (std::vector<std::string>{"item-5"}));
  EXPECT_EQ(r.verdict.outcome, Outcome::fail);
  EXPECT_EQ(gate_exit_code(r.verdict), 3);
  EXPECT_GT(r.verdict.text.mean_kl, 0);
  // Token by token: "the answer ..." and "the reply ..." part at the second word.
  EXPECT_EQ(diverge(*r.before.results[6].answer, *r.after.results[6].answer).token, 1u);
}

TEST_F(GateFolder, AgainstItselfNothingDiffers) {
  FakeSubject same;
  same.answers = baseline_.answers;
  same.forced = baseline_.forced;
  const Report r = run_gate(options("self"), baseline_, same);
  EXPECT_EQ(r.verdict.outcome, Outcome::pass) << r.verdict.reasons.back();
  EXPECT_EQ(r.verdict.text.mean_kl, 0);
  EXPECT_EQ(r.verdict.text.max_kl, 0);
  EXPECT_EQ(r.verdict.text.top1_agreement, 1);
  EXPECT_EQ(r.verdict.all.lost + r.verdict.all.won, 0);
  EXPECT_EQ(r.verdict.n_same_answer, r.verdict.n_answers);
  EXPECT_EQ(gate_exit_code(r.verdict), 0);
}

TEST_F(GateFolder, DiedAnywhereAndResumedLeavesTheSameBytes) {
  run_gate(options("whole"), baseline_, candidate_);
  int kills = 0;
  for (int after : {0, 100, 288, 600}) {
    for (const bool second : {false, true}) {
      const std::string name = "cut" + std::to_string(kills++);
      FakeSubject a = baseline_;
      FakeSubject b = candidate_;
      (second ? b : a).die_after = after;
      EXPECT_THROW(run_gate(options(name), a, b), std::runtime_error);
      b.backwards = a.backwards = true;  // and go on in another order
      a.die_after = b.die_after = -1;
      run_gate(options(name, true, 50), a, b);
      expect_same_bytes("whole", name);
    }
  }
}

// A real SIGKILL, in a process of its own, while lines are being written.
TEST_F(GateFolder, KilledBySignalAndResumedLeavesTheSameBytes) {
  run_gate(options("whole"), baseline_, candidate_);
  const pid_t child = ::fork();
  if (child == 0) {
    class Killed : public FakeSubject {
     public:
      void generate(std::span<const Item* const> items, const Done& done) override {
        FakeSubject::generate(items, [&](size_t i, const Answer& answer, const std::string& error) {
          done(i, answer, error);
          if (i == 143) ::raise(SIGKILL);
        });
      }
    } killed;
    static_cast<FakeSubject&>(killed) = candidate_;
    run_gate(options("killed"), baseline_, killed);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  // And a torn last line, as a full disk would leave it.
  std::string torn = file("killed/candidate.jsonl");
  torn.resize(torn.size() - 7);
  write_file_atomically(folder_ + "/killed/candidate.jsonl", torn);
  run_gate(options("killed", true), baseline_, candidate_);
  expect_same_bytes("whole", "killed");
}

TEST_F(GateFolder, ResumeRefusesAnotherRun) {
  FakeSubject dies = candidate_;
  dies.die_after = 10;
  EXPECT_THROW(run_gate(options("r"), baseline_, dies), std::runtime_error);
  const auto code = [&](const GateOptions& o, FakeSubject& a, FakeSubject& b) -> std::string {
    try {
      run_gate(o, a, b);
    } catch (const Error& e) {
      return e.code();
    }
    return "";
  };
  EXPECT_EQ(code(options("r"), baseline_, candidate_), "gate-report-exists");
  FakeSubject other = candidate_;
  other.who["artifact_sha256"] = "22";
  EXPECT_EQ(code(options("r", true), baseline_, other), "gate-resume-differs");
  write_file_atomically(folder_ + "/r/candidate.jsonl",
                        file("r/candidate.jsonl") + "{\"stage\": \"answer\", \"id\": 3}\n");
  EXPECT_EQ(code(options("r", true), baseline_, candidate_), "json-field");
}

TEST_F(GateFolder, ErrorsAreNotZerosAndAreTriedAgain) {
  candidate_.answers["item-20"] = {"", "does not fit", 5};
  FakeSubject dies = candidate_;
  dies.die_after = 290;  // all answered, some forced
  EXPECT_THROW(run_gate(options("e"), baseline_, dies), std::runtime_error);
  FakeSubject mended = candidate_;
  mended.answers.erase("item-20");
  EXPECT_TRUE(run_gate(options("e", true), baseline_, mended).verdict.errored.empty());
  const Report r = run_gate(options("e2"), baseline_, candidate_);
  EXPECT_EQ(r.verdict.errored, (std::vector<std::string>{"item-20"}));
  EXPECT_EQ(r.verdict.all.n, 319);
  EXPECT_NE(report_junit(r).find("<error message=\"did not run\""), std::string::npos);
}

TEST_F(GateFolder, BadNumbersOfASubjectAreErrors) {
  candidate_.forced["item-3\nno"] = {std::nanf("")};
  candidate_.forced["item-7\nthe answer is 7"] = {-INFINITY};
  candidate_.answers["item-9"] = {"the answer is 9", "", std::nanf("")};
  const Report r = run_gate(options("nan"), baseline_, candidate_);
  EXPECT_EQ(r.verdict.errored, (std::vector<std::string>{"item-3", "item-9"}));
  EXPECT_EQ(r.verdict.likelihood.n_missing, 2);  // items 3 and 7: on one model only
}

TEST_F(GateFolder, WithoutDistributionsTextIsNotTested) {
  candidate_.has_texts = false;
  const Report r = run_gate(options("remote"), baseline_, candidate_);
  EXPECT_EQ(r.verdict.text.n_positions, 0);
  EXPECT_NE(r.verdict.text.first_error.find("whole distributions"), std::string::npos);
}

TEST_F(GateFolder, JudgedAgainFromTheFilesAlone) {
  run_gate(options("j"), baseline_, candidate_);
  const std::string first = file("j/report.json");
  const std::string page = file("j/report.html");
  fs::remove_all(folder_ + "/suite");
  fs::remove(folder_ + "/j/report.html");
  judge_again(folder_ + "/j", "");
  EXPECT_EQ(file("j/report.json"), first);
  EXPECT_EQ(file("j/report.html"), page);
  const Report strict = judge_again(folder_ + "/j", SINTER_SOURCE_DIR "/gates/strict.yaml");
  EXPECT_EQ(strict.policy.name, "strict");
  EXPECT_NE(file("j/report.json"), first);
}

TEST_F(GateFolder, ReportsEscapeWhatItemsSay) {
  const Report r = run_gate(options("x"), baseline_, candidate_);
  const std::string page = file("x/report.html");
  EXPECT_EQ(page.find("<script>alert"), std::string::npos);
  EXPECT_EQ(page.find("</pre><script"), std::string::npos);
  EXPECT_EQ(page.find("<b>\x3C/pre"), std::string::npos);
  EXPECT_NE(page.find("&lt;/pre&gt;&lt;script&gt;alert(1)"), std::string::npos);
  EXPECT_EQ(page.find('\x01'), std::string::npos);
  EXPECT_EQ(page.find("http://"), std::string::npos);  // nothing from the network
  EXPECT_EQ(page.find("src="), std::string::npos);
  const std::string terminal = report_terminal(r, true, 80);
  EXPECT_EQ(terminal.find('\x01'), std::string::npos);
  EXPECT_EQ(report_terminal(r, false, 80).find('\x1b'), std::string::npos);
  const std::string markdown = file("x/report.md");
  EXPECT_EQ(markdown.find("<details><summary>item-5 (schema, critical): the answer"),
            markdown.find("<details><summary>"));
  EXPECT_NO_THROW(parse_json(file("x/report.json"), "report.json"));
}

TEST_F(GateFolder, JunitCountsAgree) {
  const Report r = run_gate(options("u"), baseline_, candidate_);
  pugi::xml_document document;
  ASSERT_TRUE(document.load_string(report_junit(r).c_str()));
  const pugi::xml_node root = document.child("testsuites");
  int tests = 0;
  int failures = 0;
  for (const pugi::xml_node& suite : root.children("testsuite")) {
    int here = 0;
    int failed = 0;
    for (const pugi::xml_node& test : suite.children("testcase")) {
      ++here;
      failed += test.child("failure").empty() ? 0 : 1;
    }
    EXPECT_EQ(suite.attribute("tests").as_int(), here);
    EXPECT_EQ(suite.attribute("failures").as_int(), failed);
    tests += here;
    failures += failed;
  }
  EXPECT_EQ(root.attribute("tests").as_int(), tests);
  EXPECT_EQ(root.attribute("failures").as_int(), failures);
  EXPECT_EQ(tests, 320 + static_cast<int>(r.verdict.checks.size()));
}

TEST(Divergence, FallsBackToCharacters) {
  Answer a;
  Answer b;
  a.text = "gr\xC3\xBCn";
  b.text = "gr\xC3\xB6sser";
  const Divergence d = diverge(a, b);
  EXPECT_EQ(d.before_begin, 2u);  // not inside the character
  EXPECT_EQ(d.before_end, 4u);
  EXPECT_EQ(d.after_end, 4u);
}

}  // namespace
}  // namespace sinter
