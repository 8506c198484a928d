// Keys and values in pages of a fixed number of tokens. A sequence owns a table of pages; the pool
// owns the memory and hands pages out until its budget is spent. What lies in a page is the
// backend's business (KvShape says how much).
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "base/huge_buffer.h"

namespace sinter {

using PageId = int32_t;

class PagePool {
 public:
  // Memory is taken some pages at a time as they are first needed, up to max_pages.
  PagePool(const KvShape& shape, int32_t n_layers, int64_t max_pages)
      : shape_(shape), n_layers_(n_layers), max_pages_(max_pages) {}
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  const KvShape& shape() const { return shape_; }
  int64_t page_bytes() const { return n_layers_ * shape_.layer_bytes(); }
  int64_t max_pages() const { return max_pages_; }
  int64_t available() const { return static_cast<int64_t>(free_.size()) + max_pages_ - n_pages_; }
  int64_t bytes() const { return n_pages_ * page_bytes(); }  // taken so far
  PageId take();                                             // Zeroed. Requires available() > 0.
  void give(PageId page) { free_.push_back(page); }
  uint8_t* at(PageId page) { return pages_[static_cast<size_t>(page)]; }

 private:
  KvShape shape_;
  int32_t n_layers_;
  int64_t max_pages_;
  int64_t n_pages_ = 0;  // handed out at least once
  std::vector<HugeBuffer> slabs_;
  std::vector<uint8_t*> pages_;
  std::vector<PageId> free_;
};

// The pages of one sequence; gives them back when it goes.
class PageTable {
 public:
  explicit PageTable(PagePool& pool) : pool_(&pool) {}
  ~PageTable() { clear(); }
  PageTable(PageTable&& other) noexcept { *this = std::move(other); }
  PageTable& operator=(PageTable&& other) noexcept;
  PageTable(const PageTable&) = delete;
  PageTable& operator=(const PageTable&) = delete;

  int32_t n_tokens() const { return n_tokens_; }
  // Makes room for n more tokens. Requires the pool to have the pages (see pages_for).
  void extend(int32_t n);
  void clear();
  uint8_t* const* pages() const { return pages_.data(); }

  static int64_t pages_for(int64_t n_tokens) { return (n_tokens + kPageTokens - 1) / kPageTokens; }

 private:
  PagePool* pool_ = nullptr;
  std::vector<PageId> ids_;
  std::vector<uint8_t*> pages_;
  int32_t n_tokens_ = 0;
};

}  // namespace sinter
