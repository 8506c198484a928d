// Vectors in plain C++: GCC's and Clang's vector types, which become whatever the machine has. A
// loop over a whole row is compiled once more for AVX2, and the machine picks when the program
// starts; it holds comparisons and separate multiplications and additions only, in lanes of a fixed
// number, so that both give the same bits.
#pragma once

#include <cstdint>
#include <cstring>

// Sanitizers are not ready yet when the choice between clones is made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define SINTER_VECTOR_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define SINTER_VECTOR_CLONES
#endif
#define SINTER_INLINE inline __attribute__((always_inline))

namespace sinter {

typedef float Float8 __attribute__((vector_size(32)));
typedef int32_t Int8 __attribute__((vector_size(32)));
typedef float Float4 __attribute__((vector_size(16)));
typedef double Double4 __attribute__((vector_size(32)));

// By reference: how vectors are passed by value depends on the machine.
template <typename V>
SINTER_INLINE void load(V& v, const float* from) {
  std::memcpy(&v, from, sizeof v);
}
template <typename V>
SINTER_INLINE void store(float* to, const V& v) {
  std::memcpy(to, &v, sizeof v);
}

}  // namespace sinter
