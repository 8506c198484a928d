// Round to nearest: each group's grid from its own weights, each weight to the nearest point. Needs
// calibration only where the observer looks at inputs.
#include "compress/round.h"
#include "compress/steps.h"
#include "compress/yaml_tree.h"

namespace sinter {
namespace {

class Rtn : public RoundStep {
 public:
  using RoundStep::RoundStep;
  const char* method() const override { return "rtn"; }

  void round(std::span<RoundJob> jobs, const InputStatistics* inputs, ThreadPool& threads,
             std::vector<ManifestNote>&) const override {
    const MatView gram = inputs == nullptr ? MatView{} : inputs->gram.view();
    for (RoundJob& job : jobs) {
      fit_matrix(words().observer, gram, threads, job);
      pack_matrix(job.w, threads, job);
    }
  }
};

}  // namespace

Step read_rtn(const YamlNode& node, const std::string& where) {
  const YamlFields fields(node, where, round_keys());
  return {.transform = nullptr, .round = std::make_shared<Rtn>(read_round_words(fields, where))};
}

}  // namespace sinter
