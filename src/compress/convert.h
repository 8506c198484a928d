// Moves a checkpoint with integer weights from one dialect to another (AWQ, GPTQ,
// compressed-tensors) without rounding anything: codes, scales and zero points are rearranged. Then
// both sides are dequantised and compared, bit for bit, and the manifest says so.
//
// Layer by layer, one output shard a layer; a kill loses at most one (output.h).
#pragma once

#include <string>

#include "artifact/store.h"
#include "compress/compress.h"

namespace sinter {

// Throws Error(unsupported, "convert-unsupported") if the checkpoint has nothing to convert or the
// target cannot represent it, saying why; Error(corrupt, "convert-proof") if the two differ; and
// what the output directory throws. `options.threads` is not used.
CompressResult convert_dialect(const std::string& model_dir, const StoredDialect& target,
                               const std::string& out_dir, const CompressOptions& options = {});

}  // namespace sinter
