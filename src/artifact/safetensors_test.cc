// safetensors against the format's own vectors: what must be read, what must be refused, and the
// bytes that the reference library writes (tests/golden/artifact, tests/interop).
#include "artifact/safetensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/json.h"
#include "base/mutation.h"
#include "base/scratch_directory.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

class Safetensors : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& bytes) {
    const std::string path = dir_ / name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  // A file of this header (not padded) and so many bytes of zeros.
  static std::string file(const std::string& header, size_t data_bytes) {
    return sized(header.size(), header) + std::string(data_bytes, '\0');
  }
  static std::string sized(uint64_t n, const std::string& rest) {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &n, 8);
    return bytes + rest;
  }

  std::string code_of(const std::string& bytes) {
    try {
      Checkpoint::open_file(write("x.safetensors", bytes));
      return "";
    } catch (const Error& e) {
      return e.code();
    }
  }

  std::string directory_code() {
    try {
      Checkpoint::open_directory(dir_);
      return "";
    } catch (const Error& e) {
      return e.code();
    }
  }

  const ScratchDirectory scratch_{"sinter-safetensors"};
  const fs::path dir_ = scratch_.path();
};

std::span<const std::byte> as_bytes(const std::string& s) {
  return std::as_bytes(std::span(s.data(), s.size()));
}

// The 211-byte file of three tensors, as bytes.
const std::string kVectorHeader =
    R"({"__metadata__":{"format":"pt"},"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
    R"("a":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]},)"
    R"("q":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}} )";
const std::string kVectorData("\x00\x00\x00\x3f\x80\x3f\x00\xc0\x01\x02\x03", 11);

TEST_F(Safetensors, ReadsTheVector) {
  ASSERT_EQ(kVectorHeader.size(), 192u);
  const auto c =
      Checkpoint::open_file(write("v.safetensors", sized(192, kVectorHeader + kVectorData)));
  ASSERT_EQ(c->tensors().size(), 3u);
  EXPECT_EQ(c->tensors()[0].name, "a");  // sorted by name
  const StoredTensor* s = c->find("s");
  ASSERT_NE(s, nullptr);
  EXPECT_TRUE(s->shape.empty());
  EXPECT_EQ(s->elements(), 1);
  float value;
  std::memcpy(&value, s->bytes.data(), 4);
  EXPECT_EQ(value, 0.5f);
  EXPECT_EQ(c->find("a")->dtype, DType::bf16);
  EXPECT_EQ(c->find("q")->shape, std::vector<int64_t>{3});
  EXPECT_EQ(c->find("t"), nullptr);
  EXPECT_EQ(c->find("__metadata__"), nullptr);
}

TEST_F(Safetensors, WritesTheVector) {
  const std::string s = kVectorData.substr(0, 4), a = kVectorData.substr(4, 4),
                    q = kVectorData.substr(8);
  const std::vector<TensorToWrite> tensors = {{"q", DType::u8, {3}, as_bytes(q)},
                                              {"s", DType::f32, {}, as_bytes(s)},
                                              {"a", DType::bf16, {2}, as_bytes(a)}};
  const std::string path = dir_ / "w.safetensors";
  write_safetensors(path, tensors);
  EXPECT_EQ(read_file(path), sized(192, kVectorHeader + kVectorData));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), {}), 1);  // no temporary left
}

TEST_F(Safetensors, AcceptsWhatTheFormatAllows) {
  const std::string unaligned = R"({"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})";
  ASSERT_EQ(unaligned.size(), 60u);  // the data starts at byte 68: unaligned
  EXPECT_EQ(code_of(file(unaligned, 16)), "");
  EXPECT_EQ(code_of(file(R"({"t":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4)), "");
  EXPECT_EQ(code_of(file("{}\r \t\n", 0)), "");
  EXPECT_EQ(code_of(file(R"({"t":{"dtype":"I32","shape":[2,0],"data_offsets":[0,0]}})", 0)), "");
  EXPECT_EQ(code_of(file(R"({"z":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},)"
                         R"("t":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                         2)),
            "");
}

TEST_F(Safetensors, RefusesWhatTheFormatForbids) {
  const auto one = [](const std::string& shape, const std::string& offsets) {
    return fmt::format(R"({{"t":{{"dtype":"I32","shape":{},"data_offsets":{}}}}})", shape, offsets);
  };
  const auto corrupt = "safetensors-corrupt";
  EXPECT_EQ(code_of(""), corrupt);
  EXPECT_EQ(code_of("1234567"), corrupt);
  EXPECT_EQ(code_of(sized(100'000'001, "{}")), corrupt);
  EXPECT_EQ(code_of(sized(UINT64_MAX, "{}")), corrupt);
  EXPECT_EQ(code_of(sized(3, "{}")), corrupt);
  EXPECT_EQ(code_of(file("[]", 0)), corrupt);
  EXPECT_EQ(code_of(file("", 0)), corrupt);
  EXPECT_EQ(code_of(file("\xEF\xBB\xBF{}", 0)), corrupt);          // a byte order mark
  EXPECT_EQ(code_of(file(std::string("{}\0{}", 5), 0)), corrupt);  // hidden after a NUL
  EXPECT_EQ(code_of(file("{\"\xFF\":1}", 0)), "json-syntax");      // not UTF-8
  EXPECT_EQ(code_of(file("{", 0)), "json-syntax");
  EXPECT_EQ(code_of(file(one("[2,2]", "[0,16]"), 17)), corrupt);  // a tail
  EXPECT_EQ(code_of(file(one("[2,2]", "[0,16]"), 14)), corrupt);  // cut short
  EXPECT_EQ(code_of(file(one("[2,2]", "[16,0]"), 16)), corrupt);
  EXPECT_EQ(code_of(file(one("[2,2]", "[1,17]"), 17)), corrupt);  // does not start at 0
  EXPECT_EQ(code_of(file(one("[2,2]", "[0,12]"), 12)), corrupt);  // shape and size differ
  EXPECT_EQ(code_of(file(one("[2,18446744073709551614]", "[0,16]"), 16)), corrupt);
  EXPECT_EQ(code_of(file(one("[4294967296,4294967296]", "[0,0]"), 0)), corrupt);  // overflows
  EXPECT_EQ(code_of(file(one("[4611686018427387904]", "[0,0]"), 0)), corrupt);    // in bytes
  EXPECT_EQ(code_of(file(one("[-1]", "[0,0]"), 0)), corrupt);
  EXPECT_EQ(code_of(file(one("[1.0]", "[0,4]"), 4)), corrupt);
  EXPECT_EQ(code_of(file(one("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,4]"), 4)), corrupt);
  EXPECT_EQ(code_of(file(R"({"t":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", 1)),
            "safetensors-dtype");
  EXPECT_EQ(code_of(file(R"({"t":{"dtype":"U8","shape":[1]}})", 1)), corrupt);
  EXPECT_EQ(code_of(file(R"({"__metadata__":{"x":1}})", 0)), corrupt);
  EXPECT_EQ(code_of(file(R"({"__metadata__":7})", 0)), corrupt);
  const auto two = [](const char* a, const char* b) {
    return fmt::format(R"({{"a":{{"dtype":"U8","shape":[2],"data_offsets":{}}},)"
                       R"("b":{{"dtype":"U8","shape":[2],"data_offsets":{}}}}})",
                       a, b);
  };
  EXPECT_EQ(code_of(file(two("[0,2]", "[2,4]"), 4)), "");
  EXPECT_EQ(code_of(file(two("[0,2]", "[3,5]"), 5)), corrupt);  // a hole
  EXPECT_EQ(code_of(file(two("[0,2]", "[1,3]"), 3)), corrupt);  // an overlap
  EXPECT_EQ(code_of(file(two("[0,2]", "[0,2]"), 2)), corrupt);
  EXPECT_EQ(code_of(file(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                         R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                         2)),
            "json-duplicate-key");
  EXPECT_EQ(code_of(file(std::string(20'000, '['), 0)), corrupt);
  EXPECT_EQ(code_of(file("{\"a\":" + std::string(20'000, '[') + "}", 0)), "json-too-deep");
}

TEST_F(Safetensors, ReadsShardsByTheirIndex) {
  const auto shard = [](const char* name) {
    return file(fmt::format(R"({{"{}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}})", name),
                1);
  };
  const auto index = [&](const std::string& map) {
    write("model.safetensors.index.json",
          R"({"metadata":{"total_size":2},"weight_map":)" + map + "}");
  };
  EXPECT_EQ(directory_code(), "checkpoint-not-found");
  write("model-00001-of-00002.safetensors", shard("a"));
  write("model-00002-of-00002.safetensors", shard("b"));
  write("consolidated.safetensors", shard("a"));  // not named by the index: not read
  index(R"({"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"})");
  const auto c = Checkpoint::open_directory(dir_);
  EXPECT_EQ(c->tensors().size(), 2u);
  EXPECT_EQ(c->files().size(), 2u);
  EXPECT_NE(c->find("b"), nullptr);

  index(R"({"a":"model-00002-of-00002.safetensors","b":"model-00002-of-00002.safetensors"})");
  EXPECT_EQ(directory_code(), "index-corrupt");
  index(R"({"a":"model-00001-of-00002.safetensors","b":"missing.safetensors"})");
  EXPECT_EQ(directory_code(), "file-not-found");
  for (const char* bad : {"../x.safetensors", "/etc/passwd", "sub/x.safetensors", "", "..", "x.bin",
                          "a\\\\b.safetensors"}) {
    index(fmt::format(R"({{"a":"{}"}})", bad));
    EXPECT_EQ(directory_code(), "index-corrupt") << bad;
  }
  index(R"({"a":7})");
  EXPECT_EQ(directory_code(), "index-corrupt");
  index("[]");
  EXPECT_EQ(directory_code(), "index-corrupt");
  write("model-00002-of-00002.safetensors", shard("a"));
  index(R"({"a":"model-00001-of-00002.safetensors"})");
  EXPECT_EQ(directory_code(), "");
  write("other.safetensors", file(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                  R"("c":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                  2));
  index(R"({"a":"model-00001-of-00002.safetensors","c":"other.safetensors"})");
  EXPECT_EQ(directory_code(), "safetensors-corrupt");  // "a" twice
  index(R"({"a":"model-00001-of-00002.safetensors"})");
  write("model.safetensors", shard("a"));
  EXPECT_EQ(directory_code(), "index-corrupt");  // which of the two would others load?
}

TEST_F(Safetensors, SharedTensorsAreFoundUnderTheNameThatWasDropped) {
  const auto c = Checkpoint::open_file(write(
      "s.safetensors", file(R"({"__metadata__":{"format":"pt","embed":"head","gone":"nowhere"},)"
                            R"("head":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                            1)));
  ASSERT_NE(c->find("embed"), nullptr);
  EXPECT_EQ(c->find("embed")->name, "head");
  EXPECT_EQ(c->find("gone"), nullptr);
  EXPECT_EQ(c->find("format"), nullptr);
  EXPECT_EQ(c->tensors().size(), 1u);
}

// The same tensors that tests/golden/artifact/make_goldens.py gave the reference library.
TEST_F(Safetensors, WritesTheReferenceLibrarysBytes) {
  const std::string golden =
      read_file(SINTER_SOURCE_DIR "/tests/golden/artifact/every_type.safetensors");
  const auto c = Checkpoint::open_file(write("g.safetensors", golden));
  EXPECT_EQ(c->tensors().size(), 15u);
  std::vector<TensorToWrite> tensors;
  for (const StoredTensor& t : c->tensors()) tensors.push_back({t.name, t.dtype, t.shape, t.bytes});
  write_safetensors(dir_ / "ours.safetensors", tensors);
  EXPECT_EQ(read_file(dir_ / "ours.safetensors"), golden);
}

// Damaged files and indexes: Error or success, and what is handed out lies inside the map.
TEST_F(Safetensors, SurvivesMutation) {
  const std::string valid = sized(192, kVectorHeader + kVectorData);
  int refused = 0, kept = 0;
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    try {
      const auto c = Checkpoint::open_file(write("f.safetensors", mutated(valid, seed)));
      const auto map = c->files()[0]->bytes();
      for (const StoredTensor& t : c->tensors()) {
        ASSERT_GE(t.bytes.data(), map.data());
        ASSERT_LE(t.bytes.data() + t.bytes.size(), map.data() + map.size());
        ASSERT_EQ(t.elements() * traits(t.dtype).bytes, static_cast<int64_t>(t.bytes.size()));
      }
      ++kept;
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
  EXPECT_GT(kept, 5);  // a name or a value changed: still a file
  const std::string index = R"({"metadata":{"total_size":1},"weight_map":{"a":"m.safetensors"}})";
  write("m.safetensors", file(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1));
  for (uint64_t seed = 0; seed < 600; ++seed) {
    write("model.safetensors.index.json", mutated(index, seed));
    directory_code();
  }
}

}  // namespace
}  // namespace sinter
