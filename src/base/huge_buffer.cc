#include "base/huge_buffer.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

#include "base/error.h"

namespace sinter {

HugeBuffer::HugeBuffer(int64_t bytes) : bytes_(bytes) {
  if (bytes <= 0) return;
  constexpr int64_t kHugePage = int64_t{2} << 20, kLine = 64;
  // A small buffer does not fill a huge page; the size of an aligned allocation is a multiple of
  // it.
  const int64_t alignment = bytes >= kHugePage ? kHugePage : kLine;
  const auto size = static_cast<size_t>((bytes + alignment - 1) / alignment * alignment);
  at_ = static_cast<uint8_t*>(std::aligned_alloc(static_cast<size_t>(alignment), size));
  if (at_ == nullptr) {
    fail(Fault::exhausted, "memory-exhausted",
         "cannot have {} MiB of memory; use a smaller format or KV cache, or a larger machine",
         bytes >> 20);
  }
  if (alignment == kHugePage) madvise(at_, size, MADV_HUGEPAGE);
}

HugeBuffer::~HugeBuffer() { std::free(at_); }

HugeBuffer& HugeBuffer::operator=(HugeBuffer&& other) noexcept {
  std::swap(at_, other.at_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

int64_t physical_memory_bytes() {
  return int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
}

// Not getrusage's: a process inherits from the one that started it, however large that was.
int64_t peak_rss_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) << 10;
  }
  rusage own{};
  ::getrusage(RUSAGE_SELF, &own);
  return int64_t{own.ru_maxrss} << 10;
}

}  // namespace sinter
