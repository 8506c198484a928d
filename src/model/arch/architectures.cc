// The one list of architectures.
#include "base/error.h"
#include "model/arch/decoder_config.h"

namespace sinter {
namespace {

const Architecture* const kArchitectures[] = {&kBitNet, &kLlama, &kMistral, &kQwen2, &kQwen3};

}  // namespace

std::vector<std::string> architecture_names() {
  std::vector<std::string> names;
  for (const Architecture* a : kArchitectures) names.emplace_back(a->name);
  return names;
}

const Architecture& architecture_of(const JsonFields& json) {
  const Json& list = json.at("architectures");
  for (const Architecture* a : kArchitectures) {
    if (list.is_array() && list.size() == 1 && list[0] == a->name) return *a;
  }
  fail(Fault::unsupported, "architecture-unknown",
       "{}: architectures: expected one of {}, found {}", json.where(),
       fmt::join(architecture_names(), ", "), to_line(list).substr(0, 80));
}

}  // namespace sinter
