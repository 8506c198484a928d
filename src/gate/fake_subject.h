// For tests: a subject whose every answer is written down beforehand. Answers come in the order of
// the items or backwards, and it can die after so many of them, as a killed process does.
#pragma once

#include <cmath>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "gate/subject.h"

namespace sinter {

class FakeSubject : public Subject {
 public:
  struct Script {
    std::string text;
    std::string error;
    float margin = 5;
  };
  std::map<std::string, Script> answers;             // by item id
  std::map<std::string, std::vector<float>> forced;  // by "id\ncontinuation"; else `usual`
  std::vector<float> usual = {-0.1f, -0.2f};
  Json who = {{"model", "fake"}, {"artifact_sha256", "00"}, {"engine", {{"isa", "avx2"}}}};
  Json cost = {{"fixed", {{"weight_bytes", 1000}}}, {"measured", {{"tokens_per_second", 10}}}};
  bool backwards = false;
  int die_after = -1;  // calls of done; -1 = never
  float drift = 0;     // how far its text distributions are from the plain one
  bool has_texts = true;

  // Whitespace "tokens", numbered by content, so that two answers diverge at a token.
  static Answer answer_of(const std::string& text, float margin) {
    Answer a;
    a.text = text;
    a.finish = "stop";
    a.prompt_tokens = 7;
    a.min_margin = margin;
    for (size_t i = 0; i < text.size();) {
      const size_t end = std::min(text.find(' ', i + 1), text.size());
      int32_t hash = 17;
      for (size_t k = i; k < end; ++k) hash = (hash * 31 + text[k]) & 0xFFFF;
      a.tokens.push_back(hash);
      a.token_ends.push_back(static_cast<int32_t>(end));
      i = end;
    }
    a.tokens.push_back(2);
    return a;
  }

  Json identity() const override { return who; }
  Json costs() const override { return cost; }

  void generate(std::span<const Item* const> items, const Done& done) override {
    for (size_t k = 0; k < items.size(); ++k) {
      const size_t i = backwards ? items.size() - 1 - k : k;
      tick();
      const auto it = answers.find(items[i]->id);
      if (it == answers.end()) {
        done(i, answer_of(items[i]->reference, 5), "");
      } else {
        done(i, answer_of(it->second.text, it->second.margin), it->second.error);
      }
    }
  }

  void score(std::span<const Forced> texts, const Scored& done) override {
    for (size_t k = 0; k < texts.size(); ++k) {
      const size_t i = backwards ? texts.size() - 1 - k : k;
      tick();
      const auto it = forced.find(texts[i].item->id + "\n" + texts[i].continuation);
      done(i, {it == forced.end() ? usual : it->second}, "");
    }
  }

  std::unique_ptr<TextWalk> walk(const std::string& text) override {
    if (!has_texts) return nullptr;
    tick();
    return std::make_unique<Walk>(text, drift);
  }

 private:
  class Walk : public TextWalk {
   public:
    Walk(const std::string& text, float drift) : drift_(drift) {
      for (const char c : text) tokens_.push_back(static_cast<unsigned char>(c) & 7);
    }
    std::span<const int32_t> tokens() const override { return tokens_; }
    std::span<const float> next() override {
      if (++at_ >= tokens_.size()) return {};
      float sum = 0;
      for (size_t i = 0; i < 8; ++i) {
        const float tilt = drift_ * static_cast<float>((at_ * 5 + i * 3) % 7) / 7;
        row_[i] = (static_cast<int32_t>(i) == tokens_[at_] ? 3.0f : 0.0f) + tilt;
        sum += std::exp(row_[i]);
      }
      for (float& x : row_) x -= std::log(sum);
      return row_;
    }

   private:
    std::vector<int32_t> tokens_;
    std::vector<float> row_ = std::vector<float>(8);
    size_t at_ = 0;
    float drift_;
  };

  void tick() {
    if (die_after == 0) throw std::runtime_error("killed");
    if (die_after > 0) --die_after;
  }
};

}  // namespace sinter
