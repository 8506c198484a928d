// Known answers of the Random123 library (kat_vectors, philox4x32 10).
#include "base/random.h"

#include <gtest/gtest.h>

namespace sinter {
namespace {

using Words = std::array<uint32_t, 4>;

TEST(Random, PhiloxGivesItsPublishedAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

}  // namespace
}  // namespace sinter
