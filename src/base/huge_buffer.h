// Memory that is read in long runs, on huge pages where the system has them: fewer TLB misses are
// worth several per cent of the memory bus.
#pragma once

#include <cstdint>

namespace sinter {

class HugeBuffer {
 public:
  HugeBuffer() = default;
  // Not initialised; aligned to 64 bytes at least. Throws Error(exhausted, "memory-exhausted").
  explicit HugeBuffer(int64_t bytes);
  ~HugeBuffer();
  HugeBuffer(HugeBuffer&& other) noexcept { *this = static_cast<HugeBuffer&&>(other); }
  HugeBuffer& operator=(HugeBuffer&& other) noexcept;
  HugeBuffer(const HugeBuffer&) = delete;
  HugeBuffer& operator=(const HugeBuffer&) = delete;

  uint8_t* at() { return at_; }
  const uint8_t* at() const { return at_; }
  int64_t bytes() const { return bytes_; }

 private:
  uint8_t* at_ = nullptr;
  int64_t bytes_ = 0;
};

// What this machine has.
int64_t physical_memory_bytes();
int64_t peak_rss_bytes();  // of this process, so far

}  // namespace sinter
