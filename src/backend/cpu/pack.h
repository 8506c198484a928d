// From a stored weight to the panels that kernels read: columns become lanes' columns, factors the
// smallest type that holds them without loss. The result is the same for every instruction set.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/cpu/panels.h"
#include "base/huge_buffer.h"
#include "base/threads.h"
#include "format/format.h"

namespace sinter::cpu {

struct PackedMatrix {
  Panels panels;
  HugeBuffer codes, factors;
};

// The kind of panels that a weight would get; nothing, with the reason, where there are none for
// it.
std::optional<CodeKind> kind_of_panels(const Weight& weight, std::string& why_not);

// Null, with the reason in `why_not`, where panels have no form for this weight: it then runs row
// by row through its codec.
std::unique_ptr<PackedMatrix> pack(const Weight& weight, ThreadPool& threads, std::string& why_not);

const char* to_string(CodeKind kind);  // "b4", "bf16" ...

}  // namespace sinter::cpu
