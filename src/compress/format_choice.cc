#include "compress/format_choice.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace sinter {
namespace {

int64_t group_weights(const MeasurementPlan& plan) {
  int64_t n = 0;
  for (const MatrixGroup& g : plan.sensitivity.groups) n += g.weights;
  return n;
}

// What a limit's amount is in bytes of the result, and the other way round.
struct Terms {
  double weights = 0;                // of the matrices that are rounded
  double read_bytes_per_second = 0;  // 0 = unknown
};
struct Meaning {
  Budget::Limit limit;
  int64_t (*fixed)(const MeasurementPlan& plan);  // bytes that count beside those of the groups
  double (*bytes)(double amount, const Terms& terms);
  double (*amount)(double bytes, const Terms& terms);
};
constexpr std::array kMeanings = {
    Meaning{Budget::Limit::bytes, [](const MeasurementPlan& p) { return p.fixed_bytes; },
            [](double amount, const Terms&) { return amount; },
            [](double bytes, const Terms&) { return bytes; }},
    Meaning{Budget::Limit::bits_per_weight,
            [](const MeasurementPlan& p) { return p.fixed_rounded_bytes; },
            [](double amount, const Terms& t) { return amount * t.weights / 8; },
            [](double bytes, const Terms& t) { return 8 * bytes / t.weights; }},
    Meaning{Budget::Limit::tokens_per_second,
            [](const MeasurementPlan& p) { return p.fixed_bytes - p.unread_bytes; },
            [](double amount, const Terms& t) { return t.read_bytes_per_second / amount; },
            [](double bytes, const Terms& t) { return t.read_bytes_per_second / bytes; }},
};

const Meaning& meaning_of(Budget::Limit limit) {
  const auto at = std::find_if(kMeanings.begin(), kMeanings.end(),
                               [&](const Meaning& m) { return m.limit == limit; });
  SINTER_CHECK(at != kMeanings.end());
  return *at;
}

}  // namespace

ByteLimit byte_limit(const MeasurementPlan& plan, const Budget& budget,
                     double read_bytes_per_second) {
  const Terms terms{.weights = static_cast<double>(plan.fixed_weights + group_weights(plan)),
                    .read_bytes_per_second = budget.read_gb_per_second > 0
                                                 ? budget.read_gb_per_second * 1e9
                                                 : read_bytes_per_second};
  if (budget.limit == Budget::Limit::tokens_per_second && !(terms.read_bytes_per_second > 0)) {
    fail(Fault::bad_input, "budget-bandwidth",
         "a budget in tokens per second needs to know how fast weights are read: set "
         "read_gb_per_second (`sinter bench` measures it)");
  }
  const Meaning& meaning = meaning_of(budget.limit);
  ByteLimit limit;
  limit.fixed = meaning.fixed(plan);
  const double all = meaning.bytes(budget.amount, terms);
  int64_t least = 0;
  for (const MatrixGroup& g : plan.sensitivity.groups) {
    least += std::min_element(g.options.begin(), g.options.end(), [](auto& a, auto& b) {
               return a.bytes < b.bytes;
             })->bytes;
  }
  limit.groups = static_cast<int64_t>(std::floor(std::min(all, 0x1p50))) - limit.fixed;
  if (limit.groups < least) {
    fail(
        Fault::exhausted, "budget-too-small",
        "the budget allows {} {:g}, and the smallest of its schemes for every matrix makes {:.4g}; "
        "allow a smaller scheme, or another budget",
        to_string(budget.limit), budget.amount,
        meaning.amount(static_cast<double>(limit.fixed + least), terms));
  }
  return limit;
}

double objective(const MeasuredOption& option, double flips) {
  return option.kl + flips * option.flip_rate;
}

std::vector<std::vector<AllocationOption>> priced_options(const Sensitivity& sensitivity,
                                                          double flips) {
  std::vector<std::vector<AllocationOption>> groups;
  for (const MatrixGroup& g : sensitivity.groups) {
    auto& options = groups.emplace_back();
    for (const MeasuredOption& o : g.options) options.push_back({o.bytes, objective(o, flips)});
  }
  return groups;
}

std::vector<UniformChoice> uniform_choices(const Sensitivity& sensitivity, double flips) {
  std::vector<UniformChoice> out(sensitivity.formats.size());
  for (size_t f = 0; f < out.size(); ++f) {
    out[f].format = static_cast<int32_t>(f);
    for (const MatrixGroup& g : sensitivity.groups) {
      out[f].bytes += g.options[f].bytes;
      out[f].predicted += objective(g.options[f], flips);
    }
  }
  return out;
}

FormatChoice choose_formats(const Artifact& base, const MeasurementPlan& plan,
                            const Sensitivity& sensitivity, const Budget& budget, ByteLimit limit,
                            const MeasuringOptions& options, ThreadPool& threads) {
  FormatChoice out;
  out.limit = limit;
  const auto groups = priced_options(sensitivity, budget.flips);
  std::optional<Allocation> mixed = allocate(groups, limit.groups);
  SINTER_CHECK(mixed.has_value());  // byte_limit() saw to it
  out.mixed = std::move(*mixed);
  for (const UniformChoice& u : uniform_choices(sensitivity, budget.flips)) {
    if (u.bytes > limit.groups) continue;
    if (!out.uniform || u.predicted < out.uniform->predicted) out.uniform = u;
  }
  std::vector<std::vector<int32_t>> choices = {out.mixed.choice};
  if (out.uniform) {
    choices.emplace_back(sensitivity.groups.size(), out.uniform->format);
  }
  const std::vector<MeasuredOption> together =
      measure_together(base, plan, choices, options, threads);
  out.mixed_together = together[0];
  if (out.uniform) {
    out.uniform_together = together[1];
    out.uniform_is_better = objective(out.uniform_together, budget.flips) <=
                            objective(out.mixed_together, budget.flips);
  }
  out.choice = choices[out.uniform_is_better ? 1 : 0];
  return out;
}

Json to_json(const FormatChoice& c, const MeasurementPlan& plan, const Sensitivity& sensitivity,
             const Budget& budget) {
  const auto weights = static_cast<double>(group_weights(plan));
  const auto bits = [&](int64_t bytes) { return 8 * static_cast<double>(bytes) / weights; };
  const auto measured = [&](const MeasuredOption& o) {
    return Json{
        {"kl", o.kl}, {"flip_rate", o.flip_rate}, {"objective", objective(o, budget.flips)}};
  };
  Json json = {{"budget", {{to_string(budget.limit), budget.amount}}},
               {"objective", {{"kl", 1}, {"flips", budget.flips}}},
               {"tokens",
                {{"statistics", sensitivity.statistics_tokens},
                 {"scored", sensitivity.scored_tokens},
                 {"sure", sensitivity.sure_tokens}}},
               {"limit_bytes", c.limit.groups},
               {"other_bytes", c.limit.fixed},
               {"mixed",
                {{"bytes", c.mixed.bytes},
                 {"bits_per_weight", bits(c.mixed.bytes)},
                 {"predicted", c.mixed.cost},
                 {"bound", c.mixed.bound},
                 {"gap", c.mixed.cost - c.mixed.bound},
                 {"optimal", c.mixed.optimal},
                 {"price_per_byte", c.mixed.price},
                 {"together", measured(c.mixed_together)}}}};
  if (c.uniform) {
    json["uniform"] = {{"format", sensitivity.formats[static_cast<size_t>(c.uniform->format)]},
                       {"bytes", c.uniform->bytes},
                       {"bits_per_weight", bits(c.uniform->bytes)},
                       {"predicted", c.uniform->predicted},
                       {"together", measured(c.uniform_together)}};
  }
  json["taken"] = c.uniform_is_better ? "uniform" : "mixed";
  Json groups = Json::array();
  for (size_t g = 0; g < c.choice.size(); ++g) {
    const MatrixGroup& group = sensitivity.groups[g];
    groups.push_back({{"layer", group.layer},
                      {"input", group.input},
                      {"format", sensitivity.formats[static_cast<size_t>(c.choice[g])]}});
  }
  json["groups"] = groups;
  return json;
}

std::string describe_choice(const Json& c) {
  const Json& mixed = c["mixed"];
  const double predicted = mixed["predicted"], bound = mixed["bound"];
  const int64_t limit = c["limit_bytes"], bytes = mixed["bytes"];
  std::string text = fmt::format(
      "  formats by budget: {} of {} bytes ({:.3f} bits a weight), divergence {:.5f} predicted, "
      "{:.5f} together\n"
      "    no choice is predicted below {:.5f} (Lagrangian bound; gap {:.2f} %){}\n",
      bytes, limit, mixed["bits_per_weight"].get<double>(), predicted,
      mixed["together"]["objective"].get<double>(), bound,
      bound > 0 ? 100 * (predicted - bound) / bound : 0,
      mixed["optimal"].get<bool>() ? "; searched exactly: none is better" : "; search cut short");
  if (!c.contains("uniform")) {
    return text + "    no single format fits the budget, so there is none to compare with\n";
  }
  const Json& uniform = c["uniform"];
  text += fmt::format("    {} everywhere: {} bytes, {:.5f} predicted, {:.5f} together\n",
                      uniform["format"].get<std::string>(), uniform["bytes"].get<int64_t>(),
                      uniform["predicted"].get<double>(),
                      uniform["together"]["objective"].get<double>());
  return text + (c["taken"] == "uniform"
                     ? "    MIXING DOES NOT HELP HERE: that one format is no worse, and taken\n"
                     : "");
}

}  // namespace sinter
