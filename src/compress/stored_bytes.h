// How many bytes a planned tensor will take in the output, to the byte, before it is made: scales,
// zero points, padding and all.
#pragma once

#include <map>
#include <string>

#include "artifact/store.h"
#include "compress/plan.h"

namespace sinter {

class StoredBytes {
 public:
  explicit StoredBytes(const StoredDialect& dialect) : dialect_(dialect) {}
  // Rounded or as it is, as the plan has it.
  int64_t of(const PlannedTensor& tensor);
  // What calibration adds to a layer: the scales of keys and values.
  static int64_t kv_scales();

 private:
  int64_t measure(const PlannedTensor& tensor) const;

  const StoredDialect& dialect_;
  std::map<std::string, int64_t> known_;  // by format and shape
};

}  // namespace sinter
