#include "compress/allocate.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace sinter {
namespace {

using Groups = std::span<const std::vector<AllocationOption>>;

// A step along the lower convex hull of a group's (bytes, cost): what it saves for what it adds.
struct HullStep {
  int64_t bytes;
  double saved;
  double rate() const { return saved / static_cast<double>(bytes); }
};

void add_hull_steps(const std::vector<AllocationOption>& options, std::vector<HullStep>& steps) {
  std::vector<AllocationOption> sorted = options;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.cost < b.cost;
  });
  std::vector<AllocationOption> hull;
  const auto step = [](const AllocationOption& from, const AllocationOption& to) {
    return HullStep{to.bytes - from.bytes, from.cost - to.cost};
  };
  for (const AllocationOption& o : sorted) {
    if (!hull.empty() && o.cost >= hull.back().cost) continue;  // larger, and no better
    while (hull.size() > 1 &&
           step(hull.back(), o).rate() >= step(hull[hull.size() - 2], hull.back()).rate()) {
      hull.pop_back();
    }
    hull.push_back(o);
  }
  for (size_t i = 1; i < hull.size(); ++i) steps.push_back(step(hull[i - 1], hull[i]));
}

// The price of a byte at which the bound is highest: the rate of the hull step that no longer fits
// whole when the best go first (the dual of the linear relaxation).
double best_price(Groups groups, int64_t left) {
  std::vector<HullStep> steps;
  for (const auto& options : groups) add_hull_steps(options, steps);
  std::sort(steps.begin(), steps.end(), [](const HullStep& a, const HullStep& b) {
    return a.rate() != b.rate() ? a.rate() > b.rate() : a.bytes < b.bytes;
  });
  for (const HullStep& s : steps) {
    if (s.bytes > left) return s.rate();
    left -= s.bytes;
  }
  return 0;
}

// A group under a price: for every choice of options,
//   cost = sum priced - price budget + sum reduced + price (budget - bytes),
// whose last two terms are not negative. The first two are the bound.
struct PricedGroup {
  size_t index;   // in the caller's order
  int32_t best;   // least cost + price bytes; of equals the smallest
  double priced;  // that least
  double second;  // how much worse the second is: groups where this is large are settled first
  int64_t smallest_bytes;
};

class Search {
 public:
  Search(Groups groups, int64_t budget, size_t max_states)
      : groups_(groups), budget_(budget), max_states_(max_states) {}

  std::optional<Allocation> run() {
    int64_t smallest = 0;
    for (const auto& options : groups_) {
      SINTER_CHECK(!options.empty());
      smallest += smallest_of(options).bytes;
    }
    if (smallest > budget_) return std::nullopt;
    price_groups(best_price(groups_, budget_ - smallest));
    start();
    for (size_t stage = 0; stage < order_.size(); ++stage) extend(stage);
    return result();
  }

 private:
  struct State {
    int64_t bytes;
    double cost, reduced;
    uint32_t before;  // of the stage before
    int32_t option;
  };

  static const AllocationOption& smallest_of(const std::vector<AllocationOption>& options) {
    return *std::min_element(options.begin(), options.end(), [](const auto& a, const auto& b) {
      return a.bytes != b.bytes ? a.bytes < b.bytes : a.cost < b.cost;
    });
  }

  double priced(const AllocationOption& o) const {
    return o.cost + price_ * static_cast<double>(o.bytes);
  }

  void price_groups(double price) {
    price_ = price;
    bound_ = -price * static_cast<double>(budget_);
    for (size_t i = 0; i < groups_.size(); ++i) {
      const auto& options = groups_[i];
      const auto least =
          std::min_element(options.begin(), options.end(), [&](const auto& a, const auto& b) {
            const double x = priced(a), y = priced(b);
            return x != y ? x < y : a.bytes < b.bytes;
          });
      PricedGroup g{.index = i,
                    .best = static_cast<int32_t>(least - options.begin()),
                    .priced = priced(*least),
                    .second = 0,
                    .smallest_bytes = smallest_of(options).bytes};
      double second = -1;
      for (const AllocationOption& o : options) {
        if (&o != &*least && (second < 0 || priced(o) - g.priced < second)) {
          second = priced(o) - g.priced;
        }
      }
      g.second = std::max(second, 0.0);
      bound_ += g.priced;
      order_.push_back(g);
    }
    std::stable_sort(order_.begin(), order_.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
  }

  void start() {
    // What the groups from stage i on take at least, and if each has its best.
    const size_t n = order_.size();
    least_left_.assign(n + 1, 0);
    best_left_.assign(n + 1, {});
    for (size_t i = n; i-- > 0;) {
      const PricedGroup& g = order_[i];
      const AllocationOption& best = groups_[g.index][static_cast<size_t>(g.best)];
      least_left_[i] = least_left_[i + 1] + g.smallest_bytes;
      best_left_[i] = {best_left_[i + 1].bytes + best.bytes, best_left_[i + 1].cost + best.cost};
    }
    // To begin with: the smallest of each, then what saves most a byte among what fits.
    choice_.resize(n);
    int64_t bytes = 0;
    for (size_t i = 0; i < n; ++i) {
      const auto& options = groups_[i];
      choice_[i] = static_cast<int32_t>(&smallest_of(options) - options.data());
      bytes += smallest_of(options).bytes;
    }
    while (true) {
      size_t group = n;
      int32_t option = 0;
      double rate = 0;
      for (size_t i = 0; i < n; ++i) {
        const AllocationOption& now = groups_[i][static_cast<size_t>(choice_[i])];
        for (const AllocationOption& o : groups_[i]) {
          const int64_t more = o.bytes - now.bytes;
          const double saved = now.cost - o.cost;
          if (!(saved > 0) || bytes + more > budget_) continue;
          const double r = saved / static_cast<double>(std::max<int64_t>(more, 1));
          if (r <= rate) continue;
          rate = r;
          group = i;
          option = static_cast<int32_t>(&o - groups_[i].data());
        }
      }
      if (group == n) break;
      bytes += groups_[group][static_cast<size_t>(option)].bytes -
               groups_[group][static_cast<size_t>(choice_[group])].bytes;
      choice_[group] = option;
    }
    cost_ = cost_of(choice_);
    stages_.push_back({State{0, 0, 0, 0, 0}});
  }

  double cost_of(const std::vector<int32_t>& choice) const {
    double cost = 0;
    for (size_t i = 0; i < choice.size(); ++i) {
      cost += groups_[i][static_cast<size_t>(choice[i])].cost;
    }
    return cost;
  }

  bool hopeless(double reduced) const { return bound_ + reduced >= cost_; }

  void extend(size_t stage) {
    const PricedGroup& g = order_[stage];
    const auto& options = groups_[g.index];
    std::vector<State> next;
    for (size_t at = 0; at < stages_[stage].size(); ++at) {
      const State s = stages_[stage][at];
      if (hopeless(s.reduced)) continue;
      for (size_t i = 0; i < options.size(); ++i) {
        const State t{s.bytes + options[i].bytes, s.cost + options[i].cost,
                      s.reduced + priced(options[i]) - g.priced, static_cast<uint32_t>(at),
                      static_cast<int32_t>(i)};
        if (t.bytes + least_left_[stage + 1] > budget_ || hopeless(t.reduced)) continue;
        next.push_back(t);
        try_completion(stage, t);
      }
    }
    keep_undominated(next);
    if (next.size() > max_states_ / std::max<size_t>(1, order_.size())) cut(next);
    stages_.push_back(std::move(next));
  }

  // The best of what is left, if it fits, makes a whole choice of a state.
  void try_completion(size_t stage, const State& s) {
    if (s.bytes + best_left_[stage + 1].bytes > budget_) return;
    if (s.cost + best_left_[stage + 1].cost >= cost_) return;
    std::vector<int32_t> choice(order_.size());
    for (size_t i = stage + 1; i < order_.size(); ++i) choice[order_[i].index] = order_[i].best;
    const State* at = &s;
    for (size_t i = stage + 1; i-- > 0;) {
      choice[order_[i].index] = at->option;
      at = &stages_[i][at->before];
    }
    // In the caller's order, so that the sum is the one that anybody else would get.
    const double cost = cost_of(choice);
    if (cost >= cost_) return;
    cost_ = cost;
    choice_ = std::move(choice);
  }

  static void keep_undominated(std::vector<State>& states) {
    std::sort(states.begin(), states.end(), [](const State& a, const State& b) {
      if (a.bytes != b.bytes) return a.bytes < b.bytes;
      if (a.cost != b.cost) return a.cost < b.cost;
      return a.before != b.before ? a.before < b.before : a.option < b.option;
    });
    size_t kept = 0;
    for (const State& s : states) {
      if (kept == 0 || s.cost < states[kept - 1].cost) states[kept++] = s;
    }
    states.resize(kept);
  }

  void cut(std::vector<State>& states) {
    optimal_ = false;
    std::stable_sort(states.begin(), states.end(),
                     [](const State& a, const State& b) { return a.reduced < b.reduced; });
    states.resize(std::max<size_t>(1, max_states_ / order_.size()));
  }

  Allocation result() const {
    Allocation a{.choice = choice_,
                 .bytes = 0,
                 .cost = cost_,
                 .bound = std::min(bound_, cost_),  // equal but for rounding
                 .optimal = optimal_,
                 .price = price_};
    for (size_t i = 0; i < choice_.size(); ++i) {
      a.bytes += groups_[i][static_cast<size_t>(choice_[i])].bytes;
    }
    return a;
  }

  Groups groups_;
  int64_t budget_;
  size_t max_states_;
  double price_ = 0, bound_ = 0;
  std::vector<PricedGroup> order_;
  std::vector<int64_t> least_left_;
  std::vector<AllocationOption> best_left_;
  std::vector<std::vector<State>> stages_;
  std::vector<int32_t> choice_;
  double cost_ = 0;
  bool optimal_ = true;
};

}  // namespace

std::optional<Allocation> allocate(Groups groups, int64_t budget, size_t max_states) {
  return Search(groups, budget, max_states).run();
}

}  // namespace sinter
