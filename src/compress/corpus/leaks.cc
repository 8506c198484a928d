#include "compress/corpus/leaks.h"

#include <algorithm>
#include <filesystem>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "compress/corpus/words.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMinRun = 8;      // shorter strings must be a whole message
constexpr size_t kMinMessage = 3;  // and shorter than that nothing can be said of
constexpr size_t kFilterBits = size_t{1} << 24;

void strings_of(const Json& value, const std::function<void(const std::string&)>& body) {
  if (value.is_string()) {
    body(value.get_ref<const std::string&>());
  } else if (value.is_array()) {
    for (const Json& element : value) strings_of(element, body);
  } else if (value.is_object()) {
    const auto role = value.find("role");
    if (role != value.end() && (*role == "system" || *role == "developer")) return;
    for (const auto& [key, member] : value.items()) {
      if (key != "tools") strings_of(member, body);
    }
  }
}

std::string item_id(const Json& line, const std::string& place) {
  for (const char* key : {"id", "item_id", "question_id", "task_id", "name"}) {
    const auto it = line.find(key);
    if (it == line.end()) continue;
    if (it->is_string()) return it->get<std::string>();
    if (it->is_number()) return it->dump();
  }
  return place;
}

}  // namespace

uint32_t LeakIndex::entry(const std::string& suite, const std::string& item) {
  if (suites_.empty() || suites_.back().suite != suite) {
    suites_.push_back({.suite = suite, .digest = {}, .n_items = 0});
  }
  const auto number = static_cast<uint32_t>(suites_.size() - 1);
  if (entries_.empty() || entries_.back().suite != number || entries_.back().item != item) {
    entries_.push_back({number, item});
    ++suites_.back().n_items;
  }
  return static_cast<uint32_t>(entries_.size() - 1);
}

void LeakIndex::insert(Table& table, uint64_t run, uint32_t e) {
  table.emplace(run, e);  // the first item that holds it is named
  if (&table != &runs_) return;
  if (filter_.empty()) filter_.resize(kFilterBits);
  filter_[run & (kFilterBits - 1)] = true;
}

void LeakIndex::add(const std::string& suite, const std::string& item, const std::string& text) {
  const uint32_t e = entry(suite, item);
  std::vector<uint64_t> words;
  append_words(text, words);
  const WordRuns runs(words);
  const size_t n = words.size();
  if (n < kMinMessage) return;
  insert(messages_, runs.at(0, n), e);
  if (n >= n_words_) {
    for (size_t i = 0; i + n_words_ <= n; ++i) insert(runs_, runs.at(i, n_words_), e);
  } else if (n >= kMinRun) {
    insert(runs_, runs.at(0, n), e);
  }
  const size_t length = n >= n_words_ ? n_words_ : n >= kMinRun ? n : 0;
  if (length > 0) {
    if (has_length_.size() <= length) has_length_.resize(length + 1);
    has_length_[length] = true;
  }
}

void LeakIndex::add_suite(const std::string& path, const Redactor& redactor) {
  std::vector<fs::path> files;
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    for (const auto& file : fs::recursive_directory_iterator(path)) {
      if (file.is_regular_file() && file.path().extension() == ".jsonl") files.push_back(file);
    }
    std::sort(files.begin(), files.end());
  } else {
    files.emplace_back(path);
  }
  if (files.empty()) {
    fail(Fault::bad_input, "corpus-suite",
         "{}: expected a suite, a JSONL file or a directory with some, found a directory without",
         path);
  }
  fs::path named = fs::path(path).lexically_normal();
  if (!named.has_filename()) named = named.parent_path();
  const std::string suite = named.filename().string();
  if (std::any_of(suites_.begin(), suites_.end(),
                  [&](const LeakSource& s) { return s.suite == suite; })) {
    fail(Fault::bad_input, "corpus-suite",
         "{}: expected suites of different names, found a second {}; name each once", path, suite);
  }
  Sha256 digest;
  const size_t before = entries_.size();
  for (const fs::path& file : files) {
    const std::string bytes = read_file(file.string());
    digest.add(bytes);
    int64_t number = 0;
    for (size_t begin = 0; begin < bytes.size();) {
      const size_t end = std::min(bytes.find('\n', begin), bytes.size());
      const std::string_view line(bytes.data() + begin, end - begin);
      begin = end + 1;
      ++number;
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      const Json item =
          parse_json(line, fmt::format("{}:{}", file.string(), number), {.max_depth = 96});
      const std::string id = item_id(item, fmt::format("{}:{}", file.filename().string(), number));
      strings_of(item, [&](const std::string& text) {
        KindCounts uncounted;
        add(suite, id, redactor.redact(text, uncounted));
      });
    }
  }
  if (entries_.size() == before) {
    fail(Fault::bad_input, "corpus-suite", "{}: expected items with text, found none", path);
  }
  suites_.back().digest = digest.hex();
}

std::optional<Leak> LeakIndex::find(const CorpusSample& sample) const {
  const auto leak = [&](uint32_t e, size_t n) {
    return Leak{suites_[entries_[e].suite].suite, entries_[e].item, static_cast<int64_t>(n)};
  };
  std::optional<Leak> found;
  for_each_text(sample, false, [&](const std::string& text) {
    if (found) return;
    std::vector<uint64_t> words;
    append_words(text, words);
    const size_t n = words.size();
    if (n < kMinMessage) return;
    const WordRuns runs(words);
    if (const auto it = messages_.find(runs.at(0, n)); it != messages_.end()) {
      found = leak(it->second, n);
      return;
    }
    for (size_t length = has_length_.size(); length-- > kMinRun;) {
      if (!has_length_[length]) continue;
      for (size_t i = 0; i + length <= n; ++i) {
        const uint64_t run = runs.at(i, length);
        if (!may_hold(run)) continue;
        if (const auto it = runs_.find(run); it != runs_.end()) {
          found = leak(it->second, length);
          return;
        }
      }
    }
  });
  return found;
}

}  // namespace sinter
