#include "kv/page_pool.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace sinter {

PageId PagePool::take() {
  SINTER_CHECK(available() > 0);
  PageId page = 0;
  if (!free_.empty()) {
    page = free_.back();
    free_.pop_back();
  } else {
    if (n_pages_ == static_cast<int64_t>(pages_.size())) {
      constexpr int64_t kSlabBytes = int64_t{16} << 20;
      const int64_t n = std::clamp<int64_t>(kSlabBytes / page_bytes(), 1, max_pages_ - n_pages_);
      slabs_.emplace_back(n * page_bytes());
      for (int64_t i = 0; i < n; ++i) pages_.push_back(slabs_.back().at() + i * page_bytes());
    }
    page = static_cast<PageId>(n_pages_++);
  }
  // A masked value is multiplied by zero: it must not be the NaN of a sequence that went wrong.
  std::memset(at(page), 0, static_cast<size_t>(page_bytes()));
  return page;
}

PageTable& PageTable::operator=(PageTable&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(ids_, other.ids_);
  std::swap(pages_, other.pages_);
  std::swap(n_tokens_, other.n_tokens_);
  return *this;
}

void PageTable::extend(int32_t n) {
  n_tokens_ += n;
  while (static_cast<int64_t>(ids_.size()) < pages_for(n_tokens_)) {
    ids_.push_back(pool_->take());
    pages_.push_back(pool_->at(ids_.back()));
  }
}

void PageTable::clear() {
  for (const PageId id : ids_) pool_->give(id);
  ids_.clear();
  pages_.clear();
  n_tokens_ = 0;
}

}  // namespace sinter
