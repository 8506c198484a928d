// BitNet b1.58 (Ma et al., 2024): ternary weights and int8 activations are the checkpoint's scheme;
// the architecture's own is a norm before each of the two projections that end a block.
#include "model/arch/decoder_config.h"

namespace sinter {
namespace {

ModelConfig config(const JsonFields& json) {
  ModelConfig c = read_decoder_config(json);
  c.sub_norm = true;
  return c;
}

}  // namespace

const Architecture kBitNet = {.name = "BitNetForCausalLM", .config = config, .names = {}};

}  // namespace sinter
