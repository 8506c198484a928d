#include "compress/format_choice.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace sinter {
namespace {

int64_t group_weights(const MeasurementPlan& plan) {
  int64_t n = 0;
  for (const MatrixGroup& g : plan.sensitivity.groups) n += g.weights;
  return n;
}

// The budget's amount, of a result whose groups take so many bytes.
double amount_of(const MeasurementPlan& plan, const Budget& budget, double read_bytes_per_second,
                 int64_t fixed, int64_t groups) {
  const auto bytes = static_cast<double>(fixed + groups);
  switch (budget.limit) {
    case Budget::Limit::bytes:
      return bytes;
    case Budget::Limit::bits_per_weight:
      return 8 * bytes / static_cast<double>(plan.fixed_weights + group_weights(plan));
    case Budget::Limit::tokens_per_second:
      return read_bytes_per_second / bytes;
  }
  SINTER_CHECK(false);
}

}  // namespace

ByteLimit byte_limit(const MeasurementPlan& plan, const Budget& budget,
                     double read_bytes_per_second) {
  const auto weights = static_cast<double>(plan.fixed_weights + group_weights(plan));
  ByteLimit limit;
  double all = 0;
  switch (budget.limit) {
    case Budget::Limit::bytes:
      limit.fixed = plan.fixed_bytes;
      all = budget.amount;
      break;
    case Budget::Limit::bits_per_weight:
      limit.fixed = plan.fixed_rounded_bytes;
      all = budget.amount * weights / 8;
      break;
    case Budget::Limit::tokens_per_second:
      if (budget.read_gb_per_second > 0) read_bytes_per_second = budget.read_gb_per_second * 1e9;
      if (!(read_bytes_per_second > 0)) {
        fail(Fault::bad_input, "budget-bandwidth",
             "a budget in tokens per second needs to know how fast weights are read: set "
             "read_gb_per_second (`sinter bench` measures it)");
      }
      limit.fixed = plan.fixed_bytes - plan.unread_bytes;
      all = read_bytes_per_second / budget.amount;
      break;
  }
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
        amount_of(plan, budget, read_bytes_per_second, limit.fixed, least));
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
