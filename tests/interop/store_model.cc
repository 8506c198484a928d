// Writes a dense model in any scheme or dialect that artifact/store.h has, rounded to nearest, for
// other implementations to read. Static inputs get made-up scales, so that every tensor of every
// scheme is there without calibration.
//   store_model MODEL SCHEME DIALECT OUT UNPACKED.safetensors [kv]
// UNPACKED gets the weights as float32, as our own reader of OUT sees them.
#include <cstdio>
#include <filesystem>
#include <map>

#include "artifact/artifact.h"
#include "artifact/store.h"
#include "base/error.h"
#include "base/file.h"
#include "format/scale.h"

namespace sinter {
namespace {

constexpr float kInputScale = 0.03125f;

struct Rounded {
  Weight weight;
  std::vector<uint8_t> codes, params;
};

// Peaks by the definition: over everything that shares a scale.
Rounded round(const Weight& dense, const Scheme& scheme, DType scale) {
  Rounded out;
  const Format f = format_of(scheme, scale, dense.cols);
  out.weight = {.format = f, .rows = dense.rows, .cols = dense.cols};
  const int64_t group = scale_columns(f, dense.cols), n_groups = dense.cols / group;
  const int64_t block_rows = rows_of_scale(scheme, dense.rows);
  const int64_t block_cols = scheme.block_rows > 0 ? scheme.group : group;
  std::map<std::pair<int64_t, int64_t>, float> peaks;  // of blocks
  float matrix_peak = 0;
  std::vector<float> w(static_cast<size_t>(dense.cols));
  for (int64_t r = 0; r < dense.rows; ++r) {
    unpack_row(dense, r, w);
    for (int64_t c = 0; c < dense.cols; ++c) {
      const float x = std::abs(w[static_cast<size_t>(c)]);
      float& peak = peaks[{r / block_rows, c / block_cols}];
      peak = std::max(peak, x);
      matrix_peak = std::max(matrix_peak, x);
    }
  }
  out.codes.resize(static_cast<size_t>(dense.rows * out.weight.row_bytes()));
  out.params.resize(static_cast<size_t>(dense.rows * out.weight.param_bytes()));
  for (int64_t r = 0; r < dense.rows; ++r) {
    unpack_row(dense, r, w);
    std::vector<float> shared;
    for (int64_t g = 0; g < n_groups; ++g) {
      shared.push_back(peaks[{r / block_rows, g * group / block_cols}]);
    }
    Fit fit{.matrix_peak = matrix_peak};
    if (!f.codec->has_zero_point) fit.group_peaks = shared;
    uint8_t* params = out.params.data() + r * out.weight.param_bytes();
    f.codec->fit_row(f, w, fit, params);
    f.codec->pack_row(f, w, params, out.codes.data() + r * out.weight.row_bytes());
  }
  out.weight.codes = out.codes.data();
  out.weight.params = out.params.data();
  return out;
}

void write(const std::string& model, const std::string& scheme_name, const std::string& to,
           const std::string& out, const std::string& unpacked, bool kv) {
  const Scheme* preset = preset_named(scheme_name);
  if (preset == nullptr) fail(Fault::bad_input, "synth-format", "no scheme {}", scheme_name);
  Scheme scheme = *preset;
  if (scheme.number == Number::integer && scheme.group > 0) scheme.group = 32;  // of little models
  const StoredDialect& dialect = stored_dialect(to);
  const auto base = Artifact::open(model);
  StorePlan plan;
  if (kv) plan.kv = Number::e4m3;
  std::vector<OwnedTensor> owned;
  std::vector<TensorToWrite> tensors;
  std::vector<Rounded> rounded;
  for (const StoredTensor& t : base->checkpoint().tensors()) {
    const std::string module = t.name.substr(0, t.name.rfind('.'));
    const bool linear = t.shape.size() == 2 && module_class(module) == "Linear";
    if (!linear || t.name.find(".layers.") == std::string::npos) {
      if (linear) plan.dense.push_back(module);
      tensors.push_back({t.name, t.dtype, t.shape, t.bytes});
      continue;
    }
    const QuantisedModule m = {.name = module,
                               .scheme = scheme,
                               .rows = t.shape[0],
                               .cols = t.shape[1],
                               .input_scale = has_input_scale(scheme) ? kInputScale : 0};
    plan.modules.push_back(m);
    rounded.push_back(round(base->matrix(module, m.rows, m.cols), scheme,
                            dialect.half_scales ? DType::f16 : DType::f32));
    for (OwnedTensor& o : dialect.store(m, rounded.back().weight)) owned.push_back(std::move(o));
    if (kv && module.ends_with(".k_proj")) {
      for (OwnedTensor& o : store_kv_scales(module.substr(0, module.rfind('.')), 0.25f, 0.125f)) {
        owned.push_back(std::move(o));
      }
    }
  }
  if (const std::string problem = dialect.problem(plan); !problem.empty()) {
    fail(Fault::unsupported, "convert-unsupported", "{}", problem);
  }
  for (const OwnedTensor& o : owned) tensors.push_back(o.to_write());
  std::filesystem::create_directories(out);
  write_safetensors(out + "/model.safetensors", tensors);
  Json config = base->config();
  config["quantization_config"] = dialect.config(plan);
  write_file_atomically(out + "/config.json", config.dump(2));

  const auto written = Artifact::open(out, {.weights_only = kv});
  std::vector<std::vector<float>> values;
  for (const QuantisedModule& m : plan.modules) {
    values.emplace_back(static_cast<size_t>(m.rows * m.cols));
    const Weight w = written->matrix(m.name, m.rows, m.cols);
    for (int64_t r = 0; r < m.rows; ++r) {
      unpack_row(w, r,
                 std::span(values.back())
                     .subspan(static_cast<size_t>(r * m.cols), static_cast<size_t>(m.cols)));
    }
  }
  std::vector<TensorToWrite> matrices;
  for (size_t i = 0; i < values.size(); ++i) {
    const QuantisedModule& m = plan.modules[i];
    matrices.push_back(
        {m.name + ".weight", DType::f32, {m.rows, m.cols}, std::as_bytes(std::span(values[i]))});
  }
  write_safetensors(unpacked, matrices);
}

}  // namespace
}  // namespace sinter

int main(int argc, char** argv) {
  if (argc != 6 && argc != 7) {
    std::fprintf(stderr, "usage: MODEL SCHEME DIALECT OUT UNPACKED [kv]\n");
    return 2;
  }
  try {
    sinter::write(argv[1], argv[2], argv[3], argv[4], argv[5], argc == 7);
  } catch (const sinter::Error& e) {
    std::fprintf(stderr, "%s: %s\n", e.code().c_str(), e.what());
    return sinter::exit_code(e.fault());
  }
  return 0;
}
