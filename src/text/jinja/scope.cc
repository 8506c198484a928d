#include "text/jinja/scope.h"

#include "base/error.h"

namespace sinter::jinja {

Address Symbols::find(const std::string& name, int hops) const {
  if (loads_.contains(name)) return {.hops = hops, .slot = slots_->at(name)};
  return parent_ != nullptr ? parent_->find(name, hops + 1) : Address{.hops = -1, .slot = 0};
}

void Symbols::define(const std::string& name, Load load) {
  slots_->emplace(name, static_cast<int>(slots_->size()));
  loads_[name] = std::move(load);
}

void Symbols::load(const std::string& name) {
  if (!knows(name)) define(name, {.from = Load::From::context, .name = name, .outer = {}});
}

void Symbols::store(const std::string& name) {
  stores_.insert(name);
  if (loads_.contains(name)) return;
  const Address outer =
      parent_ != nullptr ? parent_->find(name, 1) : Address{.hops = -1, .slot = 0};
  if (outer.hops >= 0) {
    define(name, {.from = Load::From::outer, .name = name, .outer = outer});
  } else {
    define(name, {.from = Load::From::nowhere, .name = name, .outer = {}});
  }
}

void Symbols::parameter(const std::string& name) {
  stores_.insert(name);
  define(name, {.from = Load::From::parameter, .name = name, .outer = {}});
}

// After an `if`, a name that some branch assigned is what it was before unless that branch ran: so
// it must be loaded on entry, from an outer frame or from the context.
void Symbols::merge(const std::vector<const Symbols*>& branches) {
  std::set<std::string> assigned;
  for (const Symbols* b : branches) {
    for (const std::string& name : b->stores_) {
      if (!stores_.contains(name)) assigned.insert(name);
    }
  }
  for (const Symbols* b : branches) {
    for (const auto& [name, load] : b->loads_) loads_[name] = load;
    stores_.insert(b->stores_.begin(), b->stores_.end());
  }
  for (const std::string& name : assigned) {
    const Address outer =
        parent_ != nullptr ? parent_->find(name, 1) : Address{.hops = -1, .slot = 0};
    Load& load = loads_[name];
    load.from = outer.hops >= 0 ? Load::From::outer : Load::From::context;
    load.name = name;
    load.outer = outer;
  }
}

Address Symbols::address(const std::string& name) const {
  const Address found = find(name, 0);
  SINTER_CHECK(found.hops >= 0);
  return found;
}

void Symbols::capture() const {
  for (const Symbols* s = this; s != nullptr; s = s->parent_) *s->captured_ = true;
}

FrameLayout Symbols::layout() const {
  FrameLayout layout;
  layout.slots = static_cast<int>(slots_->size());
  layout.captured = *captured_;
  for (const auto& [name, load] : loads_) layout.loads.emplace_back(slots_->at(name), load);
  return layout;
}

}  // namespace sinter::jinja
