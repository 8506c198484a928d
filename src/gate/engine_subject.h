// Our own engine as a subject of the gate.
#pragma once

#include <memory>
#include <string>

#include "artifact/artifact.h"
#include "engine/engine.h"
#include "gate/subject.h"
#include "text/chat.h"

namespace sinter {

// What a model is given for an item.
std::vector<Token> prompt_of(const Chat& chat, const Item& item);

class EngineSubject final : public Subject {
 public:
  // `engine` describes what else could explain a difference (backend, activation mode, limits that
  // matter); it must be equal for both sides of a gate.
  EngineSubject(std::shared_ptr<const Artifact> artifact, std::shared_ptr<const Chat> chat,
                Decoder& model, Json engine, EngineLimits limits);

  Json identity() const override;
  void generate(std::span<const Item* const> items, const Done& done) override;
  void score(std::span<const Forced> forced, const Scored& done) override;
  std::unique_ptr<TextWalk> walk(const std::string& text) override;
  Json costs() const override;

 private:
  std::shared_ptr<const Artifact> artifact_;
  std::shared_ptr<const Chat> chat_;
  Decoder& model_;
  Json engine_;
  EngineLimits limits_;
  int64_t generated_tokens_ = 0;
  double generate_seconds_ = 0;
};

}  // namespace sinter
