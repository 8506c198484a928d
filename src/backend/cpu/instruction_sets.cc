#include "backend/cpu/instruction_sets.h"

#include <cstdlib>

#include "backend/backend.h"
#include "base/error.h"

namespace sinter {
namespace cpu {
namespace {

// The one list, best first.
constexpr const Kernels* kAllKernels[] = {
#ifdef SINTER_X86
    &kAmxKernels, &kAvx512VnniKernels, &kAvx512Kernels, &kAvx2Kernels,
#endif
    &kRefKernels,
};

const Kernels& choose(const std::string& isa, const char* asked_by) {
  std::string names;
  for (const Kernels* k : kAllKernels) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", k->name);
    if (isa.empty() ? k->supported() : isa == k->name) {
      if (!k->supported()) {
        fail(Fault::unsupported, "isa-unsupported",
             "{} {}: this CPU cannot run it; leave it out to use the best it can", asked_by, isa);
      }
      return *k;
    }
  }
  fail(Fault::bad_input, "isa-unsupported", "{} {}: expected one of {}", asked_by, isa, names);
}

}  // namespace

const Kernels& kernels_named(const std::string& isa) {
  const char* forced = std::getenv("SINTER_ISA");
  if (isa.empty() && forced != nullptr) return choose(forced, "SINTER_ISA");
  return choose(isa, "--isa");
}

}  // namespace cpu

std::vector<IsaSupport> cpu_isas() {
  std::vector<IsaSupport> list;
  for (const cpu::Kernels* k : cpu::kAllKernels) list.push_back({k->name, k->supported()});
  return list;
}

}  // namespace sinter
