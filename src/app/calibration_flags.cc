#include "app/calibration_flags.h"

#include "app/loaded_model.h"

namespace sinter {

void CalibrationFlags::add_to(CLI::App& app) {
  app.add_option("-c,--calibration,--corpus", path,
                 "Tokens for recipes that look at what the model computes: a corpus directory, "
                 "lines of JSON (messages, text or ids), or plain text.");
  app.add_option("--calibration-tokens", limits.max_tokens,
                 "Use whole sequences until there are so many tokens; 0 = all.")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--sequence-tokens", limits.sequence_tokens,
                 "Longer texts are split into sequences of at most so many tokens.")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
}

Calibration CalibrationFlags::read(const std::string& model) const {
  const auto artifact = Artifact::open(model);
  const JsonFields config(artifact->config(), model + "/config.json");
  const int32_t vocab = architecture_of(config).config(config).vocab;
  const std::shared_ptr<const Chat> chat =
      artifact->text_file("tokenizer.json") ? load_chat(model) : nullptr;
  return read_calibration(path, chat.get(), vocab, limits);
}

}  // namespace sinter
