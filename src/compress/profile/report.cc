#include "compress/profile/report.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace sinter {
namespace {

// Where the largest 1 % of the channels hold so much of the squares, weights that read them are
// what AWQ calls salient (arXiv:2306.00978: the 1 % of channels to protect). Evenly, they hold 1 %.
constexpr double kUneven = 0.1;
// A fixed scale is as good as one a token if its error is at most so many times that one's.
constexpr double kAsGood = 1.1;
// Of tokens in which one half of the corpus exceeds the other's range.
constexpr double kRare = 0.001;
// Relative error of the keys or values of a head that nobody should take without a gate's word.
constexpr double kMuch = 0.1;

bool is_cache(const ProfiledInput& input) { return !input.heads.empty(); }

std::string place(const ProfiledLayer& layer, const ProfiledInput& input) {
  return fmt::format("layer {}, {}", layer.layer, input.name);
}

template <typename Body>
void each_input(const Profile& p, bool cache, const Body& body) {
  for (const ProfiledLayer& layer : p.layers) {
    for (const ProfiledInput& input : layer.inputs) {
      if (is_cache(input) == cache) body(layer, input);
    }
  }
}

const RoundingSummary* find(const std::vector<RoundingSummary>& list, const char* activations,
                            const char* range) {
  const auto at = std::find_if(list.begin(), list.end(), [&](const RoundingSummary& s) {
    return s.activations == activations && s.range == range;
  });
  return at == list.end() ? nullptr : &*at;
}

double share(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

std::string way(const RoundingSummary& s) {
  return s.range.empty() ? s.activations : fmt::format("{} to {}", s.activations, s.range);
}

struct FixedOrNot {
  const char *number, *fixed, *dynamic, *fixed_preset, *dynamic_preset;
};
constexpr std::array kFixedOrNot = {
    FixedOrNot{"int8", "int8_tensor", "int8_token", "W8A8_STATIC", "W8A8"},
    FixedOrNot{"FP8", "fp8_tensor", "fp8_token", "FP8", "FP8_DYNAMIC"}};

void advise_scales(const Profile& p, std::vector<Advice>& out) {
  const auto all = summaries(p, false);
  for (const FixedOrNot& pair : kFixedOrNot) {
    const RoundingSummary* fixed = find(all, pair.fixed, kPeakRange);
    const RoundingSummary* dynamic = find(all, pair.dynamic, "");
    if (fixed == nullptr || dynamic == nullptr) continue;
    out.push_back(
        {fmt::format("scales of {} activations", pair.number),
         fmt::format("error of the median channel: {:.4f} with a scale a token, {:.4f} with a "
                     "fixed one",
                     dynamic->mean, fixed->mean),
         fixed->mean <= kAsGood * dynamic->mean
             ? fmt::format("a fixed one loses next to nothing: {}", pair.fixed_preset)
             : fmt::format("{} rather than {}", pair.dynamic_preset, pair.fixed_preset)});
  }
}

void advise_outliers(const Profile& p, std::vector<Advice>& out) {
  int64_t outliers = 0, inputs = 0;
  std::string worst;
  double most = 0;
  each_input(p, false, [&](const ProfiledLayer& layer, const ProfiledInput& input) {
    const auto n = static_cast<int64_t>(input.stability.outliers.size());
    outliers += n;
    inputs += n > 0 ? 1 : 0;
    if (n == 0 || input.peak_ratio <= most) return;
    most = input.peak_ratio;
    worst = fmt::format("{}: channel {}, {:.0f} times the median channel", place(layer, input),
                        input.worst_channel, input.peak_ratio);
  });
  if (outliers == 0) {
    out.push_back({"8-bit activations", "no outlier channels",
                   "W8A8 as it is (recipes/w8a8.yaml): smoothquant has little to move"});
    return;
  }
  const auto all = summaries(p, false);
  const RoundingSummary* int8 = find(all, "int8_token", "");
  const RoundingSummary* fp8 = find(all, "fp8_token", "");
  std::string advice = "move them into the weights: smoothquant, then W8A8 (recipes/smooth8.yaml)";
  if (int8 != nullptr && fp8 != nullptr && fp8->worst < int8->worst) {
    advice += fmt::format("; or FP8_DYNAMIC, whose worst error is {:.4f}, that of int8 {:.4f}",
                          fp8->worst, int8->worst);
  }
  out.push_back({"8-bit activations",
                 fmt::format("{} outlier channels in {} inputs ({})", outliers, inputs, worst),
                 advice});
}

void advise_ranges(const Profile& p, std::vector<Advice>& out) {
  double most = 0;
  std::string where;
  int64_t overflow = 0, unusable = 0;
  std::string overflow_where;
  for (const bool cache : {false, true}) {
    each_input(p, cache, [&](const ProfiledLayer& layer, const ProfiledInput& input) {
      unusable += input.unusable;
      if (const ProfiledRange* r = input.range(kHalfFloatRange); r != nullptr && r->values > 0) {
        overflow += r->values;
        overflow_where = place(layer, input);
      }
      const ProfiledRange* half = input.range(kHalfRange);
      const double tokens = half == nullptr ? 0 : share(half->tokens, p.n_tokens);
      if (tokens <= most) return;
      most = tokens;
      where = place(layer, input);
    });
  }
  if (most > kRare) {
    out.push_back({"fixed ranges",
                   fmt::format("{:.2f} % of the tokens exceed the other half's range ({})",
                               100 * most, where),
                   "calibrate fixed scales on more tokens, or find scales at run time"});
  }
  if (overflow > 0) {
    out.push_back({"float16", fmt::format("{} values beyond 65504 ({})", overflow, overflow_where),
                   "run it in bfloat16 or float32"});
  }
  for (const ProfiledLayer& layer : p.layers) unusable += layer.dropped;
  if (unusable > 0) {
    out.push_back({"numbers that are none", fmt::format("{} values or tokens", unusable),
                   "something overflows in float32: look at the weights of the first such layer"});
  }
}

void advise_weights(const Profile& p, std::vector<Advice>& out) {
  std::vector<double> shares;
  each_input(p, false, [&](const ProfiledLayer&, const ProfiledInput& input) {
    shares.push_back(input.top_share);
  });
  if (shares.empty()) return;
  const double typical = quantile(shares, 0.5);
  out.push_back({"4-bit weights",
                 fmt::format("the largest 1 % of the channels hold {:.0f} % of the squares in the "
                             "median input",
                             100 * typical),
                 typical >= kUneven
                     ? "few weights matter most: awq (recipes/awq4.yaml), then gptq's rounding"
                     : "no few channels matter most: gptq (recipes/gptq4.yaml)"});
}

void advise_cache(const Profile& p, std::vector<Advice>& out) {
  struct Worst {
    double error = 0;
    std::string where;
  };
  Worst int8, fp8;
  each_input(p, true, [&](const ProfiledLayer& layer, const ProfiledInput& input) {
    for (size_t r = 0; r < input.roundings.size(); ++r) {
      if (input.roundings[r].range != kPeakRange) continue;
      Worst& w = input.roundings[r].activations == "int8_tensor" ? int8 : fp8;
      for (size_t h = 0; h < input.heads.size(); ++h) {
        if (input.heads[h].errors[r] <= w.error) continue;
        w = {input.heads[h].errors[r], fmt::format("{}, head {}", place(layer, input), h)};
      }
    }
  });
  if (int8.where.empty() || fp8.where.empty()) return;
  const Worst& best = int8.error <= fp8.error ? int8 : fp8;
  out.push_back({"KV cache",
                 fmt::format("worst head: {:.4f} as INT8 ({}), {:.4f} as FP8 ({})", int8.error,
                             int8.where, fp8.error, fp8.where),
                 best.error > kMuch ? "keep it in 16 bits, or let a gate decide"
                 : &best == &int8   ? "kv_cache: INT8"
                                    : "kv_cache: FP8"});
}

std::string outlier_table(const Profile& p) {
  std::string out = fmt::format(
      "Worst channel of what linears read: its number, how many times the median channel's peak, "
      "(outlier channels)\n\n  {:<6}",
      "layer");
  for (const ProfiledInput& input : p.layers.front().inputs) {
    if (!is_cache(input)) out += fmt::format(" {:>20}", input.name);
  }
  out += "\n";
  for (const ProfiledLayer& layer : p.layers) {
    out += fmt::format("  {:<6}", layer.layer);
    for (const ProfiledInput& input : layer.inputs) {
      if (is_cache(input)) continue;
      out += fmt::format(" {:>20}", fmt::format("{}: {:.1f} ({})", input.worst_channel,
                                                input.peak_ratio, input.stability.outliers.size()));
    }
    out += "\n";
  }
  return out;
}

std::string rounding_table(const Profile& p, bool cache) {
  std::string out = fmt::format("  {:<24} {:>9} {:>9}  {}\n", "rounded as", "mean", "worst", "in");
  for (const RoundingSummary& s : summaries(p, cache)) {
    out += fmt::format("  {:<24} {:>9.5f} {:>9.5f}  {}\n", way(s), s.mean, s.worst, s.worst_input);
  }
  return out;
}

std::string range_table(const Profile& p) {
  constexpr size_t kShown = 8;
  struct Row {
    std::string where;
    const ProfiledInput* input;
    const ProfiledRange *half, *fp8;
  };
  std::vector<Row> rows;
  for (const bool cache : {false, true}) {
    each_input(p, cache, [&](const ProfiledLayer& layer, const ProfiledInput& input) {
      const Row row{place(layer, input), &input, input.range(kHalfRange),
                    input.range(kUnscaledFp8Range)};
      const bool any = (row.half != nullptr && row.half->values > 0) ||
                       (row.fp8 != nullptr && row.fp8->values > 0);
      if (any) rows.push_back(row);
    });
  }
  if (rows.empty()) return "No range of one half of the tokens saturates in the other.\n";
  const auto tokens = [](const ProfiledRange* r) { return r == nullptr ? 0 : r->tokens; };
  std::stable_sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
    return tokens(a.half) + tokens(a.fp8) > tokens(b.half) + tokens(b.fp8);
  });
  std::string out = fmt::format(
      "What would saturate (values, in how many of {} tokens)\n\n  {:<22} {:>10} {:>22} {:>22}\n",
      p.n_tokens, "", "peak", "other half's range", "FP8 without a scale");
  const auto cell = [](const ProfiledRange* r) {
    return r == nullptr ? "" : fmt::format("{} in {}", r->values, r->tokens);
  };
  for (size_t i = 0; i < std::min(kShown, rows.size()); ++i) {
    out += fmt::format("  {:<22} {:>10.4g} {:>22} {:>22}\n", rows[i].where, rows[i].input->peak,
                       cell(rows[i].half), cell(rows[i].fp8));
  }
  if (rows.size() > kShown) {
    out += fmt::format("  ... and {} more (--json has all)\n", rows.size() - kShown);
  }
  return out;
}

std::string head_table(const Profile& p) {
  constexpr size_t kShown = 8;
  struct Row {
    std::string where;
    const ProfiledHead* head;
    const ProfiledInput* input;
  };
  std::vector<Row> rows;
  each_input(p, true, [&](const ProfiledLayer& layer, const ProfiledInput& input) {
    for (size_t h = 0; h < input.heads.size(); ++h) {
      rows.push_back({fmt::format("{}, head {}", place(layer, input), h), &input.heads[h], &input});
    }
  });
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.head->peak > b.head->peak; });
  std::string out = fmt::format("Widest of {} heads of keys and values\n\n  {:<26} {:>10} {:>10}",
                                rows.size(), "", "peak", "rms");
  for (const ProfiledRounding& r :
       rows.empty() ? std::vector<ProfiledRounding>{} : rows.front().input->roundings) {
    out += r.range == kPeakRange ? fmt::format(" {:>12}", r.activations) : "";
  }
  out += "\n";
  for (size_t i = 0; i < std::min(kShown, rows.size()); ++i) {
    out += fmt::format("  {:<26} {:>10.4g} {:>10.4g}", rows[i].where, rows[i].head->peak,
                       rows[i].head->rms);
    for (size_t r = 0; r < rows[i].head->errors.size(); ++r) {
      out += rows[i].input->roundings[r].range == kPeakRange
                 ? fmt::format(" {:>12.5f}", rows[i].head->errors[r])
                 : "";
    }
    out += "\n";
  }
  return out;
}

}  // namespace

std::vector<RoundingSummary> summaries(const Profile& p, bool cache) {
  std::vector<RoundingSummary> out;
  double n = 0;
  each_input(p, cache, [&](const ProfiledLayer& layer, const ProfiledInput& input) {
    n += 1;
    for (size_t r = 0; r < input.roundings.size(); ++r) {
      const ProfiledRounding& tried = input.roundings[r];
      if (r == out.size()) out.push_back({tried.activations, tried.range, 0, 0, ""});
      RoundingSummary& s = out[r];
      s.mean += tried.channel_error;
      if (tried.channel_error < s.worst) continue;
      s.worst = tried.channel_error;
      s.worst_input = place(layer, input);
    }
  });
  for (RoundingSummary& s : out) s.mean /= n;
  return out;
}

std::vector<Advice> advice_of(const Profile& p) {
  std::vector<Advice> out;
  advise_outliers(p, out);
  advise_scales(p, out);
  advise_ranges(p, out);
  advise_weights(p, out);
  advise_cache(p, out);
  return out;
}

Json to_json(const Advice& a) {
  return {{"about", a.about}, {"finding", a.finding}, {"advice", a.advice}};
}

std::string profile_text(const Profile& p) {
  std::string out = fmt::format("{} tokens in {} sequences of {}; rounding tried on {} of them\n",
                                p.n_tokens, p.n_sequences, p.corpus, p.rounded_tokens);
  if (p.layers.empty()) return out;
  out += "\n" + outlier_table(p);
  out += "\nRounding what linears read, error of the median channel, relative\n\n" +
         rounding_table(p, false);
  out += "\nRounding keys and values, the same\n\n" + rounding_table(p, true);
  out += "\n" + range_table(p) + "\n" + head_table(p);
  out += "\nWhat this suggests (a gate has the last word)\n";
  for (const Advice& a : advice_of(p)) {
    out += fmt::format("  {}: {}\n    -> {}\n", a.about, a.finding, a.advice);
  }
  return out;
}

}  // namespace sinter
