// What a model computes on calibration tokens, layer by layer: the record that `sinter profile`
// writes and others read. profile.json has what fits a page; the numbers of every channel lie
// beside it, a safetensors file a layer (docs/profile.md).
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "compress/calibration.h"
#include "compress/corpus/stability.h"

namespace sinter {

inline constexpr const char* kProfileName = "profile.json";

// What must be equal for a profile to be continued, or to be the one that was asked for.
struct ProfileKey {
  std::string base_digest, corpus_digest, build;
  CalibrationLimits limits;
  int64_t rounded_tokens = 0;  // how many rows rounding was tried on, at most; 0 = all
  bool gram = false;           // with second moments
};
Json to_json(const ProfileKey& key);
ProfileKey profile_key_from(const Json& json, const std::string& where);
// What differs, in words; "" = nothing.
std::string difference(const ProfileKey& found, const ProfileKey& expected);

// A range [-limit, limit] that codes could span, and what of all tokens lies beyond it.
struct ProfiledRange {
  std::string name;  // kPeakRange ...
  double limit = 0;
  int64_t values = 0, tokens = 0;
};
inline constexpr const char* kPeakRange = "peak";          // of all tokens: compress takes this
inline constexpr const char* kHalfRange = "other half";    // each half's peak, seen by the other
inline constexpr const char* kClippedRange = "p99.99";     // holds 99.99 % of all values
inline constexpr const char* kUnscaledFp8Range = "fp8";    // E4M3 with no scale: 448
inline constexpr const char* kHalfFloatRange = "float16";  // 65504

// Rounded to codes and back, in some rows.
struct ProfiledRounding {
  std::string activations;  // to_string(ActivationMode)
  std::string range;        // what a fixed scale spans; "" = scales are found at run time
  double error = 0;         // relative, root of the sums of squares
  // The median over channels of each channel's own: what an outlier channel does to the others.
  double channel_error = 0;
};

// Channels of one key or value head.
struct ProfiledHead {
  double peak = 0, rms = 0;
  std::vector<double> errors;  // as ProfiledRounding::error, of the head's channels; in that order
};

// Of the input of linears, or of keys or values.
struct ProfiledInput {
  std::string name;                  // to_string(LayerInput), "keys" or "values"
  std::vector<std::string> modules;  // linears that read it
  double peak = 0, rms = 0;
  int64_t worst_channel = 0;  // with that peak
  double peak_ratio = 0;      // of that peak to the median channel's; 0 if that one has none
  double median = 0;          // of |x|, up to 1 %
  double top_share = 0;       // of the sum of squares: what the largest 1 % of the channels hold
  int64_t unusable = 0;       // numbers that were none, and count as 0
  LinearStability stability;  // module = name
  std::vector<ProfiledRange> ranges;
  std::vector<ProfiledRounding> roundings;
  std::vector<ProfiledHead> heads;                                  // of keys and values
  const ProfiledRange* range(const std::string& range_name) const;  // or null
  const ProfiledRounding* rounding(const std::string& activations,
                                   const std::string& range_name) const;
};

struct ProfiledMatrix {
  std::string module;
  int64_t rows = 0, cols = 0;
  double peak = 0, rms = 0;
  double kurtosis = 0;  // mean of w^4 over rms^4: 3 of a normal distribution, 1.8 of an even one
};

struct ProfiledLayer {
  int32_t layer = 0;
  std::vector<ProfiledInput> inputs;  // of kLayerInputs, keys, values
  std::vector<ProfiledMatrix> matrices;
  int64_t dropped = 0;       // tokens that were set to zero because they were no numbers
  std::string file, sha256;  // of the numbers of every channel
};
Json to_json(const ProfiledLayer& layer);
ProfiledLayer profiled_layer_from(const Json& json, const std::string& where);

struct Profile {
  ProfileKey key;
  std::string corpus;  // the last part of its path
  int64_t n_tokens = 0, n_sequences = 0;
  int64_t rounded_tokens = 0;  // rows that rounding was tried on
  std::vector<ProfiledLayer> layers;
};
Json to_json(const Profile& profile);
// Throws Error(not_found | bad_input | corrupt, "json-..." | "profile-corrupt").
Profile profile_from(const Json& json, const std::string& where);
Profile read_profile(const std::string& directory);

// Largest |x| of each channel of an input, from the layer's own file. Throws what opening it
// throws, Error(corrupt, "profile-corrupt").
std::vector<float> channel_peaks(const std::string& directory, const ProfiledLayer& layer,
                                 const ProfiledInput& input);

// What each linear saw, as `sinter corpus report` judges it.
std::vector<LinearStability> linears_of(const Profile& profile);

}  // namespace sinter
