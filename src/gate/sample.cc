#include "gate/sample.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/digest.h"
#include "base/error.h"
#include "base/random.h"

namespace sinter {

std::vector<size_t> stratified_order(const Suite& suite, uint64_t seed) {
  using Key = std::tuple<std::string, std::string, std::string>;
  std::map<Key, std::vector<std::pair<uint64_t, size_t>>> strata;
  for (size_t i = 0; i < suite.items.size(); ++i) {
    const Item& item = suite.items[i];
    strata[{item.domain, item.behaviour, item.rung}].emplace_back(random_bits(seed, 0, i), i);
  }
  struct Place {
    size_t turn;
    uint64_t draw;  // the order of strata within a turn
    size_t item;
    auto operator<=>(const Place&) const = default;
  };
  std::vector<Place> places;
  for (auto& [key, items] : strata) {
    std::sort(items.begin(), items.end());
    for (size_t turn = 0; turn < items.size(); ++turn) {
      const size_t item = items[turn].second;
      places.push_back({turn, random_bits(seed, 1, item), item});
    }
  }
  std::sort(places.begin(), places.end());
  std::vector<size_t> order;
  order.reserve(places.size());
  for (const Place& p : places) order.push_back(p.item);
  return order;
}

Suite part_of(const Suite& suite, std::span<const size_t> items) {
  Suite part{.name = suite.name,
             .version = suite.version,
             .description = suite.description,
             .digest = "",
             .domains = suite.domains,
             .items = {},
             .texts = {}};
  Sha256 digest;
  digest.add(fmt::format("part of {}\n", suite.digest));
  for (const size_t i : items) {
    SINTER_CHECK(i < suite.items.size());
    part.items.push_back(suite.items[i]);
    digest.add(suite.items[i].id).add("\n");
  }
  part.digest = digest.hex();
  return part;
}

}  // namespace sinter
