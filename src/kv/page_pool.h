// Keys and values in pages of a fixed number of tokens. A sequence owns a table of pages; the pool
// owns the memory and hands pages out until its budget is spent.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace sinter {

using PageId = int32_t;

// Tokens of one page. Part of the arithmetic (the order of the softmax sums), so it is fixed.
inline constexpr int32_t kPageTokens = 32;

// What one page holds: for each layer keys then values, each [n_kv_heads, kPageTokens, head_dim]
// float32.
struct PageShape {
  int32_t n_layers = 0;
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
  int64_t half_floats() const { return int64_t{n_kv_heads} * kPageTokens * head_dim; }
  int64_t layer_floats() const { return 2 * half_floats(); }
  int64_t page_bytes() const {
    return n_layers * layer_floats() * static_cast<int64_t>(sizeof(float));
  }
};

class PagePool {
 public:
  // Memory is taken page by page as it is first needed, up to max_pages.
  PagePool(const PageShape& shape, int64_t max_pages) : shape_(shape), max_pages_(max_pages) {}
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  const PageShape& shape() const { return shape_; }
  int64_t max_pages() const { return max_pages_; }
  int64_t available() const {
    return static_cast<int64_t>(free_.size()) + max_pages_ - static_cast<int64_t>(pages_.size());
  }
  PageId take();  // Requires available() > 0.
  void give(PageId page) { free_.push_back(page); }
  float* floats(PageId page) { return pages_[static_cast<size_t>(page)].get(); }

 private:
  PageShape shape_;
  int64_t max_pages_;
  std::vector<std::unique_ptr<float[]>> pages_;
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
  const float* const* pages() const { return pages_.data(); }
  // Where the keys of a token's layer begin: head h's key at + h * kPageTokens * head_dim, its
  // value half_floats() further.
  float* key(int32_t position, int32_t layer);

  static int64_t pages_for(int64_t n_tokens) { return (n_tokens + kPageTokens - 1) / kPageTokens; }

 private:
  PagePool* pool_ = nullptr;
  std::vector<PageId> ids_;
  std::vector<float*> pages_;
  int32_t n_tokens_ = 0;
};

}  // namespace sinter
