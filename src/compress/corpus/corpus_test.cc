// The corpus as a whole: leaks, duplicates, coverage, the choice, the files, the verdict.
#include "compress/corpus/corpus.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "base/scratch_directory.h"
#include "compress/corpus/build.h"
#include "compress/corpus/coverage.h"
#include "compress/corpus/duplicates.h"
#include "compress/corpus/report.h"
#include "compress/corpus/select.h"
#include "compress/corpus/words.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

CorpusSample asks(const std::string& user, const std::string& answer = "") {
  CorpusSample s;
  s.messages = Json::array({{{"role", "user"}, {"content", user}}});
  if (!answer.empty()) s.messages.push_back({{"role", "assistant"}, {"content", answer}});
  return s;
}

CorpusSample text(const std::string& words) {
  CorpusSample s;
  s.text = words;
  return s;
}

std::string words(int n, uint64_t stream) {
  std::string out;
  for (int i = 0; i < n; ++i) {
    out += fmt::format("{}w{}", i > 0 ? " " : "",
                       random_bits(7, stream, static_cast<uint64_t>(i)) % 5000);
  }
  return out;
}

TEST(Words, SpacingCaseAndPunctuationDoNotCount) {
  const auto of = [](std::string_view s) {
    std::vector<uint64_t> out;
    append_words(s, out);
    return out;
  };
  EXPECT_EQ(of("Don't  STOP, \"now\"!"), of("dont stop\nnow"));
  EXPECT_EQ(of("\xC3\x89t\xC3\xA9"), of("\xC3\xA9t\xC3\xA9"));
  EXPECT_EQ(of("\xE6\x96\x87\xE5\xAD\x97").size(), 2u);
  EXPECT_NE(of("a b"), of("b a"));
  const WordRuns runs(of("a b c a b c"));
  EXPECT_EQ(runs.at(0, 3), runs.at(3, 3));
  EXPECT_NE(runs.at(0, 3), runs.at(1, 3));
}

TEST(Leaks, ThirteenWordsInARow) {
  LeakIndex index;
  index.add("suite", "item-1", words(30, 1));
  std::vector<std::string> split;
  std::string item = words(30, 1);
  for (size_t at = 0; at != std::string::npos;) {
    const size_t end = item.find(' ', at);
    split.push_back(item.substr(at, end - at));
    at = end == std::string::npos ? end : end + 1;
  }
  const auto part = [&](size_t first, size_t n) {
    return fmt::format("{}", fmt::join(split.begin() + static_cast<ptrdiff_t>(first),
                                       split.begin() + static_cast<ptrdiff_t>(first + n), ", "));
  };
  const auto leak = index.find(text("Before. " + part(11, 13) + "; after"));
  ASSERT_TRUE(leak);
  EXPECT_EQ(leak->item, "item-1");
  EXPECT_EQ(leak->n_words, 13);
  EXPECT_FALSE(index.find(text("Before. " + part(11, 12) + "; after")));
  EXPECT_TRUE(index.find(asks("hello", part(0, 30))));
  CorpusSample system = asks("hello");
  system.messages.insert(system.messages.begin(), Json{{"role", "system"}, {"content", item}});
  EXPECT_FALSE(index.find(system));
}

TEST(Leaks, ShortItemsMustBeWhole) {
  LeakIndex index;
  index.add("suite", "nine", "one two three four five six seven eight nine");
  index.add("suite", "five", "Give me 98 minus 69");
  index.add("suite", "two", "Hello there");
  EXPECT_TRUE(index.find(text("so one two three four five six seven eight nine it is")));
  EXPECT_FALSE(index.find(text("so one two three four five six seven eight ten")));
  EXPECT_TRUE(index.find(asks("give me 98 minus 69!")));
  EXPECT_FALSE(index.find(asks("Please give me 98 minus 69 today")));
  EXPECT_FALSE(index.find(asks("Hello there")));
}

TEST(Leaks, SuitesAreReadLeniently) {
  const ScratchDirectory scratch("corpus-suite");
  const fs::path& dir = scratch.path();
  std::ofstream(dir / "items.jsonl")
      << R"({"id": "q1", "messages": [{"role": "system", "content": "alpha beta gamma"}, {"role": "user",)"
      << R"( "content": "delta epsilon zeta"}], "tools": [{"function": {"description": "eta theta iota"}}]})"
      << "\n\n"
      << R"({"question": "kappa lambda mu", "answer": "nu xi omicron"})"
      << "\n";
  LeakIndex index;
  index.add_suite(dir.string(), Redactor());
  EXPECT_FALSE(index.find(asks("alpha beta gamma")));
  EXPECT_FALSE(index.find(asks("eta theta iota")));
  EXPECT_EQ(index.find(asks("delta epsilon zeta"))->item, "q1");
  EXPECT_EQ(index.find(asks("nu, xi, omicron"))->item, "items.jsonl:3");
  EXPECT_EQ(index.suites().at(0).n_items, 2);
  EXPECT_THROW(index.add_suite(dir.string(), Redactor()), Error);  // twice
  EXPECT_THROW(index.add_suite((dir / "none").string(), Redactor()), Error);
}

TEST(Duplicates, ExactNearAndDifferent) {
  DuplicateFilter filter;
  const std::string long_text = words(400, 1);
  EXPECT_EQ(filter.add(fingerprint(text(long_text))), Seen::no);
  EXPECT_EQ(filter.add(fingerprint(text("  " + long_text + "!\n"))), Seen::exactly);
  EXPECT_EQ(filter.add(fingerprint(text(long_text + " and three more"))), Seen::nearly);
  EXPECT_EQ(filter.add(fingerprint(text(words(400, 2)))), Seen::no);
  // Half of it is another text.
  EXPECT_EQ(filter.add(fingerprint(text(words(200, 1) + words(200, 3)))), Seen::no);
  // Roles count, and a system message that all share does not make requests alike.
  EXPECT_EQ(filter.add(fingerprint(asks("a", "b"))), Seen::no);
  CorpusSample one = asks("what is the colour of the sky at noon"),
               two = asks("name ten towns that lie on a river");
  for (CorpusSample* s : {&one, &two}) {
    s->messages.insert(s->messages.begin(), Json{{"role", "system"}, {"content", words(300, 9)}});
  }
  EXPECT_EQ(filter.add(fingerprint(one)), Seen::no);
  EXPECT_EQ(filter.add(fingerprint(two)), Seen::no);
  EXPECT_EQ(filter.add(fingerprint(two)), Seen::exactly);
}

TEST(Duplicates, MinimaEstimateJaccard) {
  // Against the definition: shingles that two texts share, over all of them.
  for (const int shared : {100, 200, 300, 380}) {
    const Fingerprint a = fingerprint(text(words(400, 1)));
    const Fingerprint b = fingerprint(text(words(shared, 1) + " " + words(400 - shared, 5)));
    int agree = 0;
    for (size_t h = 0; h < kMinHashes; ++h) agree += a.minima[h] == b.minima[h] ? 1 : 0;
    const double both = shared - 4, jaccard = both / (2 * 396 - both);
    // Four standard errors of a share of 128.
    EXPECT_NEAR(agree / 128.0, jaccard, 4 * std::sqrt(jaccard * (1 - jaccard) / 128));
  }
}

TEST(Coverage, Tasks) {
  const std::pair<const char*, const char*> cases[] = {
      {"code", "Complete the code I provided.\n\ndef f(x):\n    return x"},
      {"code", "Write a Python function that sorts a list."},
      {"mathematics", "Weng earns $12 an hour. She did 50 minutes. How much did she earn?"},
      {"structured output", "Make a JSON object with name and age: Ann is 7."},
      {"translation", "Translate to German: the cat sleeps"},
      {"summary", "Summarize: the meeting was long."},
      {"writing", "Compose a poem about rain."},
      {"question", "Who played Anna in the film?"},
      {"chat", "Tell me more about that, please."},
  };
  for (const auto& [task, user] : cases) EXPECT_EQ(task_of(asks(user)), task) << user;
  CorpusSample tools = asks("What is the weather?");
  tools.tools = Json::parse(R"([{"type": "function", "function": {"name": "weather"}}])");
  EXPECT_EQ(task_of(tools), "tool use");
  EXPECT_EQ(task_of(text("It was a dark night. He went home.")), "prose");
}

TEST(Coverage, Languages) {
  EXPECT_EQ(language_of("The cat is on the table and it was not happy with this."), "en");
  EXPECT_EQ(language_of("Der Hund ist nicht auf dem Tisch und das ist gut."), "de");
  EXPECT_EQ(language_of("Le chat est dans la maison et les enfants sont sur la table."), "fr");
  EXPECT_EQ(language_of("これは日本語の文章です。"), "ja");
  EXPECT_EQ(language_of("这是一个中文句子,很短。"), "zh");
  EXPECT_EQ(language_of("안녕하세요 세계 여러분"), "ko");
  EXPECT_EQ(language_of("Это русский текст о погоде"), "Cyrillic");
  EXPECT_EQ(language_of("12 + 34"), "none");
  EXPECT_EQ(length_cell(128), "<=128");
  EXPECT_EQ(length_cell(129), "<=256");
  EXPECT_EQ(length_cell(40000), ">32768");
}

// Nine samples of a common kind for one of a rare one, and a token that only one sample has.
std::vector<SampleCoverage> made_up(size_t n) {
  std::vector<SampleCoverage> samples;
  for (size_t i = 0; i < n; ++i) {
    SampleCoverage c;
    c.n_tokens = 50 + static_cast<int64_t>(random_bits(1, 1, i) % 100);
    c.cells = {{0, i % 10 == 0 ? "rare" : "common"}};
    for (Token t = 0; t < 30; ++t)
      c.tokens.push_back(t * 20 +
                         static_cast<Token>(random_bits(1, 2 + i, static_cast<uint64_t>(t)) % 20));
    samples.push_back(c);
  }
  samples[n / 2].tokens.push_back(5000);
  return samples;
}

TEST(Select, CoversUnderTheBudget) {
  const auto samples = made_up(1000);
  std::vector<uint64_t> keys(samples.size());
  std::iota(keys.begin(), keys.end(), uint64_t{0});
  const Selection s = select_samples(samples, keys, 5000, 1);
  EXPECT_LE(s.n_tokens, 5000);
  EXPECT_GT(s.n_tokens, 4800);
  EXPECT_GT(s.value, s.random);
  const CoverageTable table = tabulate(samples, s.samples);
  // sqrt(1 / 10) / (sqrt(1 / 10) + sqrt(9 / 10)) of the budget is a quarter;
  // the vocabulary pulls a little.
  EXPECT_NEAR(table[0].at("rare").tokens / static_cast<double>(s.n_tokens), 0.25, 0.1);
  const Selection again = select_samples(samples, keys, 5000, 1);
  EXPECT_EQ(again.samples, s.samples);
  EXPECT_EQ(select_samples(samples, keys, 1 << 20, 1).samples.size(), samples.size());
}

TEST(Select, GreedyIsNearTheBestOfAllSubsets) {
  const auto samples = made_up(14);
  std::vector<uint64_t> keys(samples.size());
  std::iota(keys.begin(), keys.end(), uint64_t{0});
  constexpr int64_t kBudget = 500;
  const Selection s = select_samples(samples, keys, kBudget, 1);
  // F of one subset: select among those alone with a budget that they fit. Dimensions' shares are
  // those of the whole set, so the value is computed here, by the definition in select.h.
  std::map<std::string, double> mass, share;
  double total = 0;
  std::set<Token> known;
  for (const auto& c : samples) {
    mass[c.cells[0].name] += static_cast<double>(c.n_tokens);
    known.insert(c.tokens.begin(), c.tokens.end());
  }
  for (const auto& [name, m] : mass) total += std::sqrt(m);
  for (const auto& [name, m] : mass) share[name] = std::sqrt(m) / total;
  double best = 0;
  for (uint32_t set = 0; set < (1u << samples.size()); ++set) {
    int64_t used = 0;
    std::map<std::string, double> held;
    std::map<Token, int> seen;
    for (size_t i = 0; i < samples.size(); ++i) {
      if ((set >> i & 1) == 0) continue;
      used += samples[i].n_tokens;
    }
    if (used > kBudget || used < kBudget - 150) continue;
    for (size_t i = 0; i < samples.size(); ++i) {
      if ((set >> i & 1) == 0) continue;
      held[samples[i].cells[0].name] += static_cast<double>(samples[i].n_tokens);
      for (const Token t : samples[i].tokens) ++seen[t];
    }
    double value = 0;
    for (const auto& [name, m] : held) value += std::sqrt(share[name] * m / kBudget);
    for (const auto& [t, n] : seen)
      value += 2.0 / static_cast<double>(known.size()) * (1 - std::ldexp(1.0, -n));
    best = std::max(best, value);
  }
  EXPECT_LE(s.value, best + 1e-9);
  EXPECT_GT(s.value, 0.9 * best);  // the bound says 0.32
}

class Build : public testing::Test {
 protected:
  void SetUp() override {
    put("in/b.jsonl", "");
    std::string lines;
    for (int i = 0; i < 60; ++i) {
      lines += to_line({{"messages",
                         {{{"role", "user"}, {"content", words(20, static_cast<uint64_t>(i))}}}}}) +
               "\n";
    }
    put("in/a.jsonl",
        lines +
            R"({"question": "mail jane@example.com or 4111 1111 1111 1111", "answer": "no"})"
            "\n" +
            R"({"text": "the planted item of the suite is exactly this"})"
            "\n");
    put("in/c/prose.txt", "A quiet day.\n\nThen rain fell on the town, and nobody went out.\n");
    put("suite/items.jsonl",
        R"({"id": "planted", "text": "The planted item of the suite is exactly this."})"
        "\n");
    chat_ = Chat::load(SINTER_SOURCE_DIR "/models/pebble");
  }
  void put(const std::string& name, const std::string& bytes) {
    fs::create_directories((dir_ / name).parent_path());
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
  }
  std::string at(const std::string& name) const { return (dir_ / name).string(); }
  Json build(const CorpusOptions& options, const std::string& out) {
    return build_corpus(
        options, {.chat = *chat_, .context = 2048, .tokenizer_digest = "t", .template_digest = ""},
        at(out));
  }
  CorpusOptions options() const {
    return {.traces = {at("in")},
            .budget = 1500,
            .suites = {at("suite")},
            .redact = {},
            .licence = {"MIT", "a.jsonl=CC0"},
            .provenance = {},
            .threads = 1};
  }
  const ScratchDirectory scratch_{"corpus-build"};
  const fs::path dir_ = scratch_.path();
  std::shared_ptr<const Chat> chat_;
};

TEST_F(Build, FindsWhatWasPlantedAndIsTheSameAgain) {
  const Json m = build(options(), "out");
  EXPECT_EQ(m["replaced"], (Json{{"card", 1}, {"email", 1}}));
  ASSERT_EQ(m["leaks"].size(), 1u);
  EXPECT_EQ(m["leaks"][0]["id"], "a.jsonl:62");
  EXPECT_EQ(m["leaks"][0]["item"], "planted");
  EXPECT_EQ(m["sources"][0]["licence"], "CC0");
  EXPECT_EQ(m["sources"][1]["licence"], "MIT");
  EXPECT_LE(m["n_tokens"].get<int64_t>(), 1500);
  EXPECT_EQ(m["candidates"]["samples"], 62);
  const Corpus corpus = read_corpus(at("out"));
  int64_t n = 0;
  for (const CorpusSample& s : corpus.samples) {
    EXPECT_EQ(static_cast<int64_t>(corpus_tokens(s, *chat_).size()), s.n_tokens) << s.id;
    n += s.n_tokens;
  }
  EXPECT_EQ(n, m["n_tokens"].get<int64_t>());
  const std::string bytes = read_file(at("out/corpus.jsonl"));
  for (const char* secret : {"jane@", "4111", "planted"})
    EXPECT_EQ(bytes.find(secret), std::string::npos);

  CorpusOptions other = options();
  other.threads = 3;
  other.traces = {at("in/c"), at("in/b.jsonl"), at("in/a.jsonl"), at("in/a.jsonl")};
  build(other, "again");
  EXPECT_EQ(read_file(at("again/corpus.jsonl")), bytes);
  EXPECT_EQ(read_file(at("again/corpus.json")), read_file(at("out/corpus.json")));
}

TEST_F(Build, RefusesWithoutWriting) {
  put("in/b.jsonl", "{\"text\": \"fine and good\"}\n{\"wrong\": \"x@example.com\"}\n");
  try {
    build(options(), "out");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "corpus-trace-shape");
    EXPECT_NE(std::string(e.what()).find("b.jsonl:2"), std::string::npos);
  }
  EXPECT_FALSE(fs::exists(at("out")));
  CorpusOptions skip = options();
  skip.skip_bad = true;
  const Json m = build(skip, "out");
  EXPECT_EQ(m["sources"][1]["n_bad"], 1);
  EXPECT_EQ(m["sources"][1]["bad_lines"], Json::array({2}));
  CorpusOptions wrong = options();
  wrong.licence = {"none.jsonl=MIT"};
  EXPECT_THROW(build(wrong, "out2"), Error);
}

TEST_F(Build, CutsTextAndLeavesOutLongConversations) {
  put("in/b.jsonl", to_line({{"text", words(300, 99)}}) + "\n" +
                        to_line({{"messages", {{{"role", "user"}, {"content", words(300, 98)}}}}}) +
                        "\n");
  CorpusOptions o = options();
  o.budget = 100000;
  o.max_sample_tokens = 256;
  const Json m = build(o, "out");
  EXPECT_EQ(m["candidates"]["too_long"], 1);
  EXPECT_EQ(m["sources"][1]["n_split"], 1);
  for (const CorpusSample& s : read_corpus(at("out")).samples) EXPECT_LE(s.n_tokens, 256);
}

TEST_F(Build, AChangedCorpusIsNotRead) {
  build(options(), "out");
  put("out/corpus.jsonl", read_file(at("out/corpus.jsonl")) + "\n");
  EXPECT_THROW(read_corpus(at("out")), Error);
  EXPECT_THROW(read_corpus(at("in")), Error);
}

TEST_F(Build, TheVerdictNamesWhatIsMissing) {
  build(options(), "out");
  const CorpusReport r = judge_corpus(read_corpus(at("out")), std::nullopt);
  EXPECT_EQ(r.grade, CorpusGrade::not_enough);  // 1500 tokens
  EXPECT_EQ(r.checks.at(0).grade, CorpusGrade::not_enough);
  EXPECT_FALSE(r.checks.at(0).advice.empty());
  const std::string text = corpus_report_text(r);
  EXPECT_NE(text.find("No sample of tool use"), std::string::npos);
  EXPECT_NE(text.find("verdict: not enough"), std::string::npos);
  CorpusOptions open = options();
  open.suites.clear();
  build(open, "open");
  EXPECT_NE(corpus_report_text(judge_corpus(read_corpus(at("open")), std::nullopt))
                .find("NO SUITE WAS CHECKED"),
            std::string::npos);
}

TEST(Stability, AgainstTheDefinition) {
  StabilityMeter meter;
  constexpr int64_t kRows = 40, kCols = 8;
  std::vector<float> x(static_cast<size_t>(kRows * kCols));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(random_uniform(3, 3, i) - 0.5);
  for (size_t r = 0; r < kRows; ++r) x[r * kCols + 5] *= r < 20 ? 100.f : 50.f;
  meter.begin_half(0);
  meter.add("a", {x.data(), 20, kCols, kCols});
  meter.begin_half(1);
  meter.add("a", {x.data() + 20 * kCols, 20, kCols, kCols});
  const LinearStability s = meter.result().at(0);
  EXPECT_EQ(s.n_tokens, kRows);
  ASSERT_EQ(s.outliers.size(), 1u);
  EXPECT_EQ(s.outliers[0].channel, 5);
  EXPECT_NEAR(s.outliers[0].peak[0], 2 * s.outliers[0].peak[1], 0.2 * s.outliers[0].peak[0]);
  std::vector<double> peaks, means;
  for (size_t c = 0; c < kCols; ++c) {
    std::array<double, 2> peak{}, mean{};
    for (size_t r = 0; r < kRows; ++r) {
      const double v = std::abs(static_cast<double>(x[r * kCols + c]));
      peak[r / 20] = std::max(peak[r / 20], v);
      mean[r / 20] += v / 20;
    }
    peaks.push_back(1 - std::min(peak[0], peak[1]) / std::max(peak[0], peak[1]));
    means.push_back(1 - std::min(mean[0], mean[1]) / std::max(mean[0], mean[1]));
  }
  std::sort(peaks.begin(), peaks.end());
  std::sort(means.begin(), means.end());
  EXPECT_NEAR(s.peak_difference, peaks[4], 1e-6);
  EXPECT_NEAR(s.mean_difference, means[4], 1e-6);
  EXPECT_GT(s.correlation, 0.99);
}

}  // namespace
}  // namespace sinter
