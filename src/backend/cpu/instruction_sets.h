// The instruction sets of the CPU backend, by name.
#pragma once

#include <string>

#include "backend/cpu/kernels.h"

namespace sinter::cpu {

// "" = what SINTER_ISA says, or the best that this CPU has. Throws Error(bad_input | unsupported,
// "isa-unsupported").
const Kernels& kernels_named(const std::string& isa);

}  // namespace sinter::cpu
