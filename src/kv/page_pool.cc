#include "kv/page_pool.h"

#include <utility>

#include "base/error.h"

namespace sinter {

PageId PagePool::take() {
  SINTER_CHECK(available() > 0);
  if (!free_.empty()) {
    const PageId page = free_.back();
    free_.pop_back();
    return page;
  }
  const auto floats = static_cast<size_t>(shape_.n_layers * shape_.layer_floats());
  pages_.push_back(std::make_unique_for_overwrite<float[]>(floats));
  return static_cast<PageId>(pages_.size() - 1);
}

PageTable& PageTable::operator=(PageTable&& other) noexcept {
  if (this != &other) {
    clear();
    pool_ = std::exchange(other.pool_, nullptr);
    ids_ = std::exchange(other.ids_, {});
    pages_ = std::exchange(other.pages_, {});
    n_tokens_ = std::exchange(other.n_tokens_, 0);
  }
  return *this;
}

void PageTable::extend(int32_t n) {
  n_tokens_ += n;
  while (static_cast<int64_t>(ids_.size()) < pages_for(n_tokens_)) {
    ids_.push_back(pool_->take());
    pages_.push_back(pool_->floats(ids_.back()));
  }
}

void PageTable::clear() {
  for (const PageId id : ids_) pool_->give(id);
  ids_.clear();
  pages_.clear();
  n_tokens_ = 0;
}

float* PageTable::key(int32_t position, int32_t layer) {
  SINTER_CHECK(position < n_tokens_);
  const PageShape& shape = pool_->shape();
  return pages_[static_cast<size_t>(position / kPageTokens)] + layer * shape.layer_floats() +
         int64_t{position % kPageTokens} * shape.head_dim;
}

}  // namespace sinter
