// GGUF's block formats against the PyPI package gguf (tests/golden/format), against vectors worked
// by hand, and against ggml's own quantisers by the error that they leave.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "format/codecs.h"

namespace sinter {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes from_hex(const std::string& text) {
  Bytes bytes(text.size() / 2);
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(std::stoi(text.substr(2 * i, 2), nullptr, 16));
  }
  return bytes;
}

std::vector<float> floats(const Bytes& bytes) {
  std::vector<float> out(bytes.size() / 4);
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

Bytes bits_of(const std::vector<float>& values) {
  Bytes bytes(values.size() * 4);
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

const Json& golden() {
  static const Json json =
      read_json_file(SINTER_SOURCE_DIR "/tests/golden/format/gguf_blocks.json");
  return json;
}

std::vector<const Codec*> block_codecs() {
  std::vector<const Codec*> list;
  for (const Codec* codec : codecs()) {
    if (golden()["blocks"].contains(codec->name)) list.push_back(codec);
  }
  return list;
}

Bytes pack(const Codec& codec, const std::vector<float>& w) {
  const Format f{.codec = &codec};
  Bytes blocks(static_cast<size_t>(codec.row_bytes(f, static_cast<int64_t>(w.size()))));
  codec.pack_row(f, w, nullptr, blocks.data());
  return blocks;
}

std::vector<float> unpack(const Codec& codec, const Bytes& blocks, size_t cols) {
  std::vector<float> w(cols);
  codec.unpack_row({.codec = &codec}, blocks.data(), nullptr, w);
  return w;
}

double mean_square_error(const Codec& codec, const std::vector<float>& w) {
  const std::vector<float> back = unpack(codec, pack(codec, w), w.size());
  double sum = 0;
  for (size_t i = 0; i < w.size(); ++i) sum += std::pow(double{back[i]} - double{w[i]}, 2);
  return sum / static_cast<double>(w.size());
}

TEST(GgufBlocks, TheGoldenFileKnowsEveryCodec) {
  EXPECT_EQ(block_codecs().size(), 9u);
  for (const Codec* codec : block_codecs()) {
    const Format f{.codec = codec};
    EXPECT_EQ(codec->param_bytes(f, 512), 0);
    EXPECT_FALSE(has_groups(*codec));
  }
}

TEST(GgufBlocks, UnpackingEqualsThePackageBitForBit) {
  for (const Codec* codec : block_codecs()) {
    SCOPED_TRACE(codec->name);
    const Json& vector = golden()["blocks"][codec->name];
    const Bytes blocks = from_hex(vector["bytes"]), values = from_hex(vector["values"]);
    const Format f{.codec = codec};
    ASSERT_EQ(codec->row_bytes(f, 512), static_cast<int64_t>(blocks.size()));
    EXPECT_EQ(bits_of(unpack(*codec, blocks, 512)), values);
  }
}

TEST(GgufBlocks, PackingEqualsThePackageBitForBit) {
  const std::vector<float> rows = floats(from_hex(golden()["rows"]));
  ASSERT_EQ(golden()["packed"].size(), 4u);
  for (const auto& [name, blocks] : golden()["packed"].items()) {
    SCOPED_TRACE(name);
    EXPECT_EQ(pack(*format_named(name).codec, rows), from_hex(blocks));
  }
}

TEST(GgufBlocks, VectorsWorkedByHand) {
  std::vector<float> w(32);
  for (size_t i = 0; i < 32; ++i) w[i] = static_cast<float>(i) - 16;
  EXPECT_EQ(pack(kQ40, w), from_hex("0040809191a2a2b3b3c4c4d5d5e6e6f7f7f8"));
  EXPECT_EQ(pack(kQ41, w), from_hex("224000cc80809191a2a2b3b3c4c4d5d5e6e6f7f7"));
  EXPECT_EQ(pack(kQ50, w), from_hex("003c0000ffff00112233445566778899aabbccddeeff"));
  // Q4_K: d = dmin = 1; scales 1 2 3 4 17 34 51 63 and minima 5 6 7 8 20 40 60 33; all codes 1.
  Bytes block = from_hex("003c003c4182c3c44586c7884182c31f");
  block.resize(144, 0x11);
  const std::vector<float> values = unpack(kQ4K, block, 256);
  const float expected[] = {1 - 5, 2 - 6, 3 - 7, 4 - 8, 17 - 20, 34 - 40, 51 - 60, 63 - 33};
  for (size_t i = 0; i < 256; ++i) ASSERT_EQ(values[i], expected[i / 32]) << i;
}

// Values that a format can hold exactly come back exactly.
TEST(GgufBlocks, WhatIsOnTheGridStays) {
  for (const Codec* codec : block_codecs()) {
    SCOPED_TRACE(codec->name);
    std::vector<float> w(512);
    for (size_t i = 0; i < w.size(); ++i) {
      const size_t j = i % 16;
      w[i] = codec->grid->table != nullptr ? codec->grid->table[j] * 0.5f
                                           : (static_cast<float>(j) - 8) * 0.5f;
    }
    if (codec == &kQ80 || codec->grid->super > 0) {  // their scales have other multiples
      EXPECT_LT(mean_square_error(*codec, w), 1e-3);
    } else {
      EXPECT_EQ(unpack(*codec, pack(*codec, w), w.size()), w);
    }
  }
}

// Rows at the edges of float, not to mention NaN: never a crash, and finite for finite rows.
TEST(GgufBlocks, EdgesOfFloat) {
  const float top = std::numeric_limits<float>::max();
  for (const Codec* codec : block_codecs()) {
    SCOPED_TRACE(codec->name);
    for (const float peak : {0.0f, 1e-45f, 1e-40f, 1e-30f, 1e30f, top}) {
      for (const bool one_sign : {false, true}) {
        std::vector<float> w(512);
        for (size_t i = 0; i < w.size(); i += 3) w[i] = one_sign || i % 2 == 0 ? peak : -peak;
        for (const float x : unpack(*codec, pack(*codec, w), 512)) {
          ASSERT_TRUE(std::isfinite(x)) << peak;
          if (peak == 0) {
            ASSERT_EQ(x, 0);
          }
        }
      }
    }
    std::vector<float> wild(512, std::nanf(""));
    pack(*codec, wild);
    for (size_t i = 0; i < wild.size(); i += 2) wild[i] = HUGE_VALF;
    pack(*codec, wild);
    wild.assign(512, -HUGE_VALF);
    pack(*codec, wild);
    Bytes noise(static_cast<size_t>(codec->row_bytes({.codec = codec}, 512)));
    for (uint64_t seed = 0; seed < 20; ++seed) {
      for (size_t i = 0; i < noise.size(); ++i) {
        noise[i] = static_cast<uint8_t>(random_bits(seed, 0, i));
      }
      unpack(*codec, noise, 512);
    }
  }
}

}  // namespace
}  // namespace sinter
