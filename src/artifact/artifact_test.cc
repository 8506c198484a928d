// Model directories: dense ones, the dialects with words worked by hand, and everything that must
// be refused with a reason. What transformers makes of the same files is tests/interop.
#include "artifact/artifact.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "artifact/dialect.h"
#include "artifact/quantized.h"
#include "base/error.h"
#include "base/mutation.h"
#include "base/scratch_directory.h"

namespace sinter {
namespace {

namespace fs = std::filesystem;

// Tensors that own their bytes, for building little checkpoints.
struct Tensor {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};

template <typename T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

Tensor f32(const std::string& name, std::vector<int64_t> shape, const std::vector<float>& v) {
  return {name, DType::f32, std::move(shape), raw(v)};
}
Tensor i32(const std::string& name, std::vector<int64_t> shape, const std::vector<uint32_t>& v) {
  return {name, DType::i32, std::move(shape), raw(v)};
}
Tensor i8(const std::string& name, std::vector<int64_t> shape, const std::vector<int8_t>& v) {
  return {name, DType::i8, std::move(shape), raw(v)};
}
Tensor shape_of(const std::string& name, int64_t rows, int64_t cols) {
  return {name, DType::i64, {2}, raw(std::vector<int64_t>{rows, cols})};
}

std::string group_config(const std::string& weights, const std::string& more = "",
                         const std::string& format = "pack-quantized",
                         const std::string& method = "compressed-tensors") {
  return fmt::format(
      R"({{"quantization_config":{{"quant_method":"{}","format":"{}","quantization_status":"compressed",)"
      R"("ignore":["lm_head"],"config_groups":{{"group_0":{{"targets":["Linear"],"weights":{{{}}}{}}}}}}}}})",
      method, format, weights, more);
}

const std::string kW4 =
    R"("num_bits":4,"type":"int","symmetric":true,"strategy":"group","group_size":8)";
const std::string kW8 = R"("num_bits":8,"type":"int","symmetric":true,"strategy":"channel")";
const std::string kA8 = R"(,"input_activations":{"num_bits":8,"type":"int","symmetric":true,)"
                        R"("strategy":"token","dynamic":true})";

std::vector<float> dequantised(const Weight& w) {
  std::vector<float> out(static_cast<size_t>(w.rows * w.cols));
  for (int64_t r = 0; r < w.rows; ++r) {
    w.format.codec->unpack_row(
        w.format, w.row_codes(r), w.row_params(r),
        std::span(out).subspan(static_cast<size_t>(r * w.cols), static_cast<size_t>(w.cols)));
  }
  return out;
}

class ArtifactTest : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name, std::ios::binary) << text;
  }
  std::shared_ptr<const Artifact> open(const std::string& config,
                                       const std::vector<Tensor>& tensors) {
    put("config.json", config);
    std::vector<TensorToWrite> write;
    for (const Tensor& t : tensors) {
      write.push_back(
          {t.name, t.dtype, t.shape, std::as_bytes(std::span(t.bytes.data(), t.bytes.size()))});
    }
    write_safetensors(dir_ / "model.safetensors", write);
    kept_.push_back(Artifact::open(dir_));  // weights live as long as their artifact
    return kept_.back();
  }
  // The code of the Error that opening, and then asking for module "m" [rows, cols], throws.
  std::string code_of(const std::string& config, const std::vector<Tensor>& tensors,
                      int64_t rows = 2, int64_t cols = 8) {
    try {
      open(config, tensors)->matrix("m", rows, cols);
      return "";
    } catch (const Error& e) {
      message_ = e.what();
      return e.code();
    }
  }

  const ScratchDirectory scratch_{"sinter-artifact"};
  const fs::path dir_ = scratch_.path();
  std::string message_;
  std::vector<std::shared_ptr<const Artifact>> kept_;
};

TEST_F(ArtifactTest, Dense) {
  const auto a = open(R"({"model_type":"x"})",
                      {f32("m.weight", {2, 2}, {1, 2, 3, 4}),
                       {"n.weight", DType::bf16, {2}, raw(std::vector<uint16_t>{0x3F80, 0xC000})},
                       {"h.weight", DType::f16, {1, 2}, raw(std::vector<uint16_t>{0x3C00, 0xC000})},
                       {"d.weight", DType::f64, {1, 1}, raw(std::vector<double>{1})}});
  EXPECT_EQ(a->config()["model_type"], "x");
  EXPECT_EQ(dequantised(a->matrix("m", 2, 2)), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(dequantised(a->matrix("h", 1, 2)), (std::vector<float>{1, -2}));
  EXPECT_EQ(a->vector("n.weight", 2), (std::vector<float>{1, -2}));
  EXPECT_EQ(a->activation("m").mode, ActivationMode::exact);
  EXPECT_TRUE(a->has_tensor("n.weight"));
  EXPECT_EQ(a->matrix("m", 2, 2).params, nullptr);
  const auto code = [](auto ask) {
    try {
      ask();
      return std::string();
    } catch (const Error& e) {
      return e.code();
    }
  };
  EXPECT_EQ(code([&] { a->matrix("m", 2, 3); }), "tensor-shape");
  EXPECT_EQ(code([&] { a->matrix("absent", 2, 2); }), "tensor-not-found");
  EXPECT_EQ(code([&] { a->matrix("d", 1, 1); }), "tensor-type");
  EXPECT_EQ(code([&] { a->vector("n.weight", 3); }), "tensor-shape");
  EXPECT_EQ(code([&] { a->vector("m.weight", 4); }), "tensor-shape");
  EXPECT_EQ(code([&] { Artifact::open(dir_ / "nowhere"); }), "artifact-not-found");
}

TEST_F(ArtifactTest, SchemeOfDenseIsTheCommonType) {
  EXPECT_EQ(open("{}", {f32("n", {2}, {1, 2}),
                        {"m.weight", DType::bf16, {1, 1}, raw(std::vector<uint16_t>{1})}})
                ->scheme(),
            "bf16");
}

TEST_F(ArtifactTest, PackedSymmetricStaysOnDisk) {
  // Rows -8..-1 and 0..7, as compressed-tensors packs them.
  const auto a = open(group_config(kW4),
                      {i32("m.weight_packed", {2, 1}, {0x76543210, 0xFEDCBA98}),
                       f32("m.weight_scale", {2, 1}, {0.5f, 2}), shape_of("m.weight_shape", 2, 8)});
  const Weight w = a->matrix("m", 2, 8);
  EXPECT_EQ(dequantised(w), (std::vector<float>{-4, -3.5f, -3, -2.5f, -2, -1.5f, -1, -0.5f, 0, 2, 4,
                                                6, 8, 10, 12, 14}));
  EXPECT_EQ(to_string(w.format), "i4_group:8/f32");
  const auto* stored =
      reinterpret_cast<const uint8_t*>(a->checkpoint().find("m.weight_packed")->bytes.data());
  EXPECT_EQ(w.codes, stored);
  EXPECT_EQ(a->scheme(), "compressed-tensors W4A16 (i4_group:8/f32)");
}

TEST_F(ArtifactTest, PackedAsymmetric) {
  // Zero points -8 (row 0) and 1 (row 1): fields 0 and 9 of the column's word.
  const std::string config = group_config(
      R"("num_bits":4,"type":"int","symmetric":false,"strategy":"group","group_size":8)");
  const std::vector<Tensor> tensors = {i32("m.weight_packed", {2, 1}, {0x76543210, 0xFEDCBA98}),
                                       f32("m.weight_scale", {2, 1}, {1, 1}),
                                       i32("m.weight_zero_point", {1, 1}, {0x00000090}),
                                       shape_of("m.weight_shape", 2, 8)};
  const std::vector<float> expected = {0, 1, 2, 3, 4, 5, 6, 7, -1, 0, 1, 2, 3, 4, 5, 6};
  EXPECT_EQ(dequantised(open(config, tensors)->matrix("m", 2, 8)), expected);
  auto bytes = tensors;  // older files: zero points as int8
  bytes[2] = i8("m.weight_zero_point", {2, 1}, {-8, 1});
  EXPECT_EQ(dequantised(open(config, bytes)->matrix("m", 2, 8)), expected);
  bytes[2] = i8("m.weight_zero_point", {2, 1}, {-9, 1});
  EXPECT_EQ(code_of(config, bytes), "quantized-corrupt");
}

TEST_F(ArtifactTest, PackedZeroPointsRunDownTheRows) {
  // Nine rows of two groups: the ninth row's zero points are in the second word of each column.
  const std::string config = group_config(
      R"("num_bits":4,"type":"int","symmetric":false,"strategy":"group","group_size":8)");
  std::vector<uint32_t> codes(18, 0);  // code 0 everywhere: the value is -(zero point)
  std::vector<float> scales(18, 1);
  const auto a = open(
      config, {i32("m.weight_packed", {9, 2}, codes), f32("m.weight_scale", {9, 2}, scales),
               i32("m.weight_zero_point", {2, 2}, {0x76543210, 0xFEDCBA98, 0x00000008, 0x0000000F}),
               shape_of("m.weight_shape", 9, 16)});
  const std::vector<float> w = dequantised(a->matrix("m", 9, 16));
  for (int r = 0; r < 9; ++r) {
    EXPECT_EQ(w[static_cast<size_t>(r * 16)], static_cast<float>(-r));
    EXPECT_EQ(w[static_cast<size_t>(r * 16 + 8)], static_cast<float>(r == 8 ? -15 : -8 - r));
  }
}

TEST_F(ArtifactTest, EightBitLayouts) {
  const std::vector<float> expected = {0.5f, 1, -0.5f, -64, 1.5f, -1.5f};
  const Weight bytes = open(group_config(kW8, kA8, "int-quantized"),
                            {i8("m.weight", {2, 3}, {1, 2, -1, -128, 3, -3}),
                             f32("m.weight_scale", {2, 1}, {0.5f, 0.5f})})
                           ->matrix("m", 2, 3);
  EXPECT_EQ(dequantised(bytes), expected);
  EXPECT_EQ(to_string(bytes.format), "i8_row/f32");
  EXPECT_EQ(Artifact::open(dir_)->activation("m").mode, ActivationMode::int8_token);
  EXPECT_EQ(Artifact::open(dir_)->activation("lm_head").mode, ActivationMode::exact);
  EXPECT_EQ(Artifact::open(dir_)->scheme(), "compressed-tensors W8A8 (i8_row/f32)");
  // Packed: three codes of a row leave the word's last byte empty.
  EXPECT_EQ(
      dequantised(open(group_config(kW8), {i32("m.weight_packed", {2, 1}, {0x007F8281, 0x007D8300}),
                                           f32("m.weight_scale", {2, 1}, {0.5f, 0.5f}),
                                           shape_of("m.weight_shape", 2, 3)})
                      ->matrix("m", 2, 3)),
      expected);
  // One scale for the matrix, and an asymmetric zero point.
  EXPECT_EQ(dequantised(open(group_config(R"("num_bits":8,"type":"int","strategy":"tensor")", "",
                                          "naive-quantized"),
                             {i8("m.weight", {2, 3}, {1, 2, -1, -128, 3, -3}),
                              f32("m.weight_scale", {1}, {0.5f})})
                            ->matrix("m", 2, 3)),
            expected);
  EXPECT_EQ(dequantised(open(group_config(R"("num_bits":8,"symmetric":false,"strategy":"channel")",
                                          "", "int-quantized"),
                             {i8("m.weight", {2, 3}, {1, 2, -1, -128, 3, -3}),
                              f32("m.weight_scale", {2, 1}, {0.5f, 0.5f}),
                              i8("m.weight_zero_point", {2, 1}, {0, -2})})
                            ->matrix("m", 2, 3)),
            (std::vector<float>{0.5f, 1, -0.5f, -63, 2.5f, -0.5f}));
}

TEST_F(ArtifactTest, OneZeroPointForAMatrixIsOneNumber) {
  const std::string config =
      group_config(R"("num_bits":8,"symmetric":false,"strategy":"tensor")", "", "int-quantized");
  std::vector<Tensor> tensors = {i8("m.weight", {2, 3}, {1, 2, -1, -128, 3, -3}),
                                 f32("m.weight_scale", {1}, {0.5f}),
                                 i8("m.weight_zero_point", {1}, {-2})};
  EXPECT_EQ(dequantised(open(config, tensors)->matrix("m", 2, 3)),
            (std::vector<float>{1.5f, 2, 0.5f, -63, 2.5f, -0.5f}));
  tensors[2] = i8("m.weight_zero_point", {2}, {-2, 1});
  EXPECT_EQ(code_of(config, tensors, 2, 3), "tensor-shape");
  EXPECT_NE(message_.find("expected I8 [1]"), std::string::npos);
}

TEST_F(ArtifactTest, ShapeOfPackedRowsThatEndInsideAWord) {
  const std::vector<Tensor> tensors = {i32("m.weight_packed", {2, 1}, {0x007F8281, 0x007D8300}),
                                       f32("m.weight_scale", {2, 1}, {0.5f, 0.5f}),
                                       shape_of("m.weight_shape", 2, 3)};
  const auto shape = [&](size_t n_tensors) {
    const auto a = open(group_config(kW8), {tensors.begin(), tensors.begin() + n_tensors});
    const Dialect dialect = read_dialect(a->config(), dir_);
    return stored_shape(a->checkpoint(), dir_, "m", *dialect.group_of("m"));
  };
  EXPECT_EQ(shape(3), (std::array<int64_t, 2>{2, 3}));
  EXPECT_THROW(shape(2), Error);  // 1 to 4 columns: it does not say
}

TEST_F(ArtifactTest, PowerOfTwoScalesAreOfGroupsOf32) {
  const std::string channel = R"("num_bits":8,"type":"float","strategy":"channel")";
  const std::vector<Tensor> tensors = {{"m.weight", DType::f8_e4m3, {1, 32}, std::string(32, 0)},
                                       {"m.weight_scale", DType::u8, {1, 1}, "x"}};
  EXPECT_EQ(code_of(group_config(channel, "", "mxfp8-quantized"), tensors, 1, 32),
            "dialect-unsupported");
}

TEST_F(ArtifactTest, OwnDialectHoldsThreeAndTwoBits) {
  std::vector<float> expected(32);
  for (size_t i = 0; i < 32; ++i) expected[i] = static_cast<float>(i % 8) - 4;
  const std::string three = R"("num_bits":3,"type":"int","strategy":"group","group_size":32)";
  const std::vector<Tensor> tensors = {
      i32("m.weight_packed", {1, 3}, {0x88FAC688, 0xC688FAC6, 0xFAC688FA}),
      f32("m.weight_scale", {1, 1}, {1}), shape_of("m.weight_shape", 1, 32)};
  const auto a = open(group_config(three, "", "pack-quantized", "sinter"), tensors);
  EXPECT_EQ(dequantised(a->matrix("m", 1, 32)), expected);
  EXPECT_EQ(a->scheme(), "sinter W3A16 (i3_group:32/f32)");
  // The padded layout of older writers is recognised, and refused by name.
  auto padded = tensors;
  padded[0] = i32("m.weight_packed", {1, 4}, {0x08FAC688, 0x1A23EB1A, 0x2C688FAC, 0x3E});
  EXPECT_EQ(code_of(group_config(three), padded, 1, 32), "dialect-unsupported");
  EXPECT_NE(message_.find("ten to a word"), std::string::npos);
}

TEST_F(ArtifactTest, TargetsAndIgnore) {
  const std::string config =
      R"({"quantization_config":{"quant_method":"compressed-tensors","format":"mixed-precision",)"
      R"("config_groups":{"a":{"targets":["Linear"],"format":"pack-quantized","weights":{)" +
      kW4 + R"(}},"b":{"targets":["re:.*\\.down_proj$"],"format":"int-quantized","weights":{)" +
      kW8 + "}" + kA8 + R"(},"W8A16":["x.exact"]},"ignore":["lm_head","re:.*gate$"]}})";
  const Dialect d = read_dialect(parse_json(config, "test"), dir_);
  const auto group = [&](const char* module) {
    const QuantGroup* g = d.group_of(module);
    return g == nullptr ? std::string() : g->name;
  };
  EXPECT_EQ(group("model.layers.0.self_attn.q_proj"), "a");
  EXPECT_EQ(group("model.layers.0.mlp.down_proj"), "b");
  EXPECT_EQ(group("x.exact"), "W8A16");
  EXPECT_EQ(group("lm_head"), "");
  EXPECT_EQ(group("model.layers.0.mlp.gate"), "");
  EXPECT_EQ(group("model.embed_tokens"), "");
  EXPECT_EQ(d.groups[1].layout, Layout::bytes);
}

TEST_F(ArtifactTest, RefusesOtherDialectsByName) {
  const auto refused = [&](const std::string& quant, const char* word) {
    EXPECT_EQ(code_of(R"({"quantization_config":)" + quant + "}",
                      {f32("m.weight", {2, 8}, std::vector<float>(16))}),
              "dialect-unsupported")
        << quant;
    EXPECT_NE(message_.find(word), std::string::npos) << message_;
    EXPECT_NE(message_.find("later version"), std::string::npos) << message_;
  };
  refused(R"({"quant_method":"mxfp4"})", "mixture of experts");
  refused(R"({"quant_method":"awq","bits":8})", "8 bits");
  refused(R"({"quant_method":"awq","bits":4,"version":"gemv"})", "gemv");
  refused(R"({"quant_method":"awq","bits":4,"invented":1})", "invented");
  refused(R"({"quant_method":"gptq","bits":5})", "num_bits");
  refused(R"({"quant_method":"gptq","bits":4,"checkpoint_format":"marlin"})", "marlin");
  refused(R"({"quant_method":"gptq","bits":4,"checkpoint_format":"gptq_p"})", "gptq_p");
  refused(R"({"quant_method":"gptq","bits":4,"adapter":{"rank":8}})", "adapter");
  refused(R"({"quant_method":"fp8","scale_fmt":"ue8m0"})", "ue8m0");
  refused(R"({"quant_method":"fp8","weight_block_size":[64,64]})", "groups of 64");
  refused(R"({"quant_method":"modelopt","quant_algo":"NVFP4"})", "--weights-only");
  refused(R"({"quant_method":"modelopt","quant_algo":"NVFP4_AWQ"})", "NVFP4_AWQ");
  refused(R"({"quant_method":"modelopt","quant_algo":"FP8","kv_cache_quant_algo":"FP8"})",
          "kv_cache_quant_algo");
  refused(R"({"bits":4})", "quant_method");
  refused(R"({"quant_method":"sinter","version":"2","config_groups":{}})", "version");
  const auto ct = [](const std::string& rest) {
    return R"({"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":{"g":)" +
           rest + "}}";
  };
  refused(
      ct(R"({"targets":["Linear"],"weights":{"num_bits":8,"type":"float","strategy":"channel"}})"),
      "pack-quantized");
  refused(ct(R"({"targets":["Linear"],"weights":{"num_bits":6,"type":"float"}})"), "6 bits");
  refused(
      ct(R"({"targets":["Linear"],"weights":{"num_bits":4,"type":"float","group_size":16,"strategy":"tensor_group"},)"
         R"("format":"nvfp4-pack-quantized","input_activations":{"num_bits":4,"type":"float",)"
         R"("strategy":"tensor_group","group_size":16,"dynamic":"local"}})"),
      "--weights-only");
  refused(ct(R"({"targets":["Linear"],"weights":{"num_bits":5,"strategy":"channel"}})"),
          "num_bits");
  refused(ct(R"({"targets":["Linear"],"weights":{"num_bits":4,"strategy":"block"}})"), "block");
  refused(
      ct(R"({"targets":["Linear"],"weights":{"num_bits":4,"strategy":"channel","actorder":"both"}})"),
      "actorder");
  refused(
      ct(R"({"targets":["Linear"],"weights":{"num_bits":4,"strategy":"channel","invented":1}})"),
      "invented");
  refused(
      ct(R"({"targets":["Linear"],"weights":{"num_bits":8,"strategy":"channel"},"format":"float-quantized"})"),
      "float-quantized");
  refused(
      ct(R"({"targets":["Linear"],"weights":{"num_bits":8,"strategy":"channel"},"input_activations":{"num_bits":8,"strategy":"tensor","dynamic":true}})"),
      "dynamic");
  refused(
      ct(R"({"targets":["Linear"],"weights":{"num_bits":8,"strategy":"channel"},"output_activations":{"num_bits":8}})"),
      "output_activations");
  refused(
      R"({"quant_method":"compressed-tensors","config_groups":{},"kv_cache_scheme":{"num_bits":4}})",
      "kv_cache_scheme");
  refused(R"({"quant_method":"compressed-tensors","config_groups":{},"transform_config":{"x":1}})",
          "transform_config");
  refused(
      R"({"quant_method":"compressed-tensors","config_groups":{},"quantization_status":"frozen"})",
      "frozen");
  put("quantize_config.json", "{}");  // no bits
  EXPECT_EQ(code_of("{}", {f32("m.weight", {2, 8}, std::vector<float>(16))}),
            "dialect-unsupported");
}

TEST_F(ArtifactTest, RefusesWeightsThatContradictTheConfig) {
  const std::vector<Tensor> good = {i32("m.weight_packed", {2, 1}, {0x76543210, 0xFEDCBA98}),
                                    f32("m.weight_scale", {2, 1}, {0.5f, 2}),
                                    shape_of("m.weight_shape", 2, 8)};
  const std::string config = group_config(kW4);
  EXPECT_EQ(code_of(config, good), "");
  const auto with = [&](size_t i, Tensor t) {
    auto changed = good;
    changed[i] = std::move(t);
    return code_of(config, changed);
  };
  EXPECT_EQ(code_of(config, good, 2, 16), "tensor-shape");
  EXPECT_EQ(code_of(config, good, 2, 12), "dialect-unsupported");
  EXPECT_EQ(code_of(config, good, 0, 8), "tensor-shape");
  EXPECT_EQ(code_of("{}", good), "quantized-corrupt");  // packed, but no config
  EXPECT_EQ(code_of(config, {f32("m.weight", {2, 8}, std::vector<float>(16))}),
            "quantized-corrupt");
  EXPECT_EQ(code_of(config, {f32("n", {1}, {1})}), "tensor-not-found");
  EXPECT_EQ(with(0, i32("m.weight_packed", {2, 2}, {1, 2, 3, 4})), "tensor-shape");
  EXPECT_EQ(with(0, f32("m.weight_packed", {2, 1}, {1, 2})), "tensor-shape");
  EXPECT_EQ(with(1, f32("m.weight_scale", {1, 2}, {1, 2})), "tensor-shape");
  EXPECT_EQ(with(1, f32("m.weight_scale", {2, 1}, {1, NAN})), "quantized-corrupt");
  EXPECT_EQ(with(1, f32("m.weight_scale", {2, 1}, {1, INFINITY})), "quantized-corrupt");
  EXPECT_EQ(with(1, i32("m.weight_scale", {2, 1}, {1, 2})), "tensor-type");
  EXPECT_EQ(with(2, shape_of("m.weight_shape", 8, 2)), "quantized-corrupt");
  EXPECT_EQ(with(2, f32("m.weight_shape", {2}, {2, 8})), "quantized-corrupt");
  auto ordered = good;
  ordered.push_back(i32("m.weight_g_idx", {8}, std::vector<uint32_t>(8)));
  EXPECT_EQ(code_of(config, ordered), "");  // all in the one group that there is
  ordered.back() = i32("m.weight_g_idx", {8}, {0, 0, 0, 0, 0, 0, 0, 1});
  EXPECT_EQ(code_of(config, ordered), "quantized-corrupt");
}

TEST_F(ArtifactTest, DigestNamesWhatDeterminesAnswers) {
  const std::vector<Tensor> tensors = {f32("m.weight", {1, 2}, {1, 2}), f32("n", {1}, {3})};
  const std::string first = open("{}", tensors)->digest();
  EXPECT_EQ(first.size(), 64u);
  EXPECT_EQ(open("{}", {tensors[1], tensors[0]})->digest(), first);
  put("README.md", "changes nothing");
  EXPECT_EQ(Artifact::open(dir_)->digest(), first);
  EXPECT_NE(open(R"({"a":1})", tensors)->digest(), first);
  EXPECT_NE(open("{}", {f32("m.weight", {1, 2}, {1, 2.5f}), tensors[1]})->digest(), first);
  EXPECT_NE(open("{}", {f32("m.weight", {2, 1}, {1, 2}), tensors[1]})->digest(), first);
  EXPECT_NE(open("{}", {f32("o.weight", {1, 2}, {1, 2}), tensors[1]})->digest(), first);
  open("{}", tensors);
  put("tokenizer.json", "{}");
  const std::string with_tokenizer = Artifact::open(dir_)->digest();
  EXPECT_NE(with_tokenizer, first);
  fs::create_directories(dir_ / "additional_chat_templates");
  put("additional_chat_templates/tool_use.jinja", "x");
  EXPECT_NE(Artifact::open(dir_)->digest(), with_tokenizer);
}

TEST(NamePattern, Kinds) {
  using Globs = NamePattern::Globs;
  const auto matches = [](const char* pattern, Globs globs, const char* name) {
    return NamePattern(pattern, globs, "test").matches(name);
  };
  EXPECT_TRUE(matches("a.b", Globs::yes, "a.b"));
  EXPECT_FALSE(matches("a.b", Globs::yes, "axb"));
  EXPECT_TRUE(matches("*.down_proj", Globs::yes, "model.layers.3.mlp.down_proj"));
  EXPECT_FALSE(matches("*.down_proj", Globs::no, "model.layers.3.mlp.down_proj"));
  EXPECT_TRUE(matches("m*l?y*s", Globs::yes, "model.layers"));
  EXPECT_FALSE(matches("*a*b*c", Globs::yes, "aabbccd"));
  EXPECT_TRUE(
      matches("re:.*down", Globs::no, "mlp.down_proj"));  // the start is anchored, the end is not
  EXPECT_FALSE(matches("re:down", Globs::no, "mlp.down_proj"));
  EXPECT_FALSE(matches("re:.*down$", Globs::no, "mlp.down_proj"));
  EXPECT_THROW(NamePattern("re:(", Globs::no, "test"), Error);
  EXPECT_THROW(NamePattern("", Globs::no, "test"), Error);
  EXPECT_THROW(matches("re:(a+)+$", Globs::no, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"),
               Error);
  EXPECT_FALSE(matches(("a" + std::string(2000, '*') + "b").c_str(), Globs::yes, "aaaaaaaa"));
}

TEST_F(ArtifactTest, SurvivesMutationOfConfigAndWeights) {
  const std::vector<Tensor> tensors = {i32("m.weight_packed", {2, 1}, {0x76543210, 0xFEDCBA98}),
                                       f32("m.weight_scale", {2, 1}, {0.5f, 2}),
                                       i32("m.weight_zero_point", {1, 1}, {0x90}),
                                       shape_of("m.weight_shape", 2, 8)};
  const std::string config = group_config(
      R"("num_bits":4,"type":"int","symmetric":false,"strategy":"group","group_size":8)");
  open(config, tensors);
  int refused = 0;
  for (uint64_t seed = 0; seed < 4000; ++seed) {  // the dialect alone, without files
    try {
      read_dialect(parse_json(mutated(config, seed), "config.json"), dir_).group_of("m");
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 2000);
  const std::string weights = read_file(dir_ / "model.safetensors");
  for (uint64_t seed = 0; seed < 200; ++seed) {
    put("config.json", seed % 2 == 0 ? config : mutated(config, seed));
    put("model.safetensors", seed % 2 == 1 ? weights : mutated(weights, seed));
    try {
      const auto a = Artifact::open(dir_);
      dequantised(a->matrix("m", 2, 8));
    } catch (const Error&) {
    }
  }
}

// A trained checkpoint as its author saved it: tied embeddings under the name of the head.
TEST(ArtifactReal, TinyStories) {
  const char* shared = std::getenv("SINTER_SHARED");
  const std::string dir = std::string(shared != nullptr ? shared : SINTER_SOURCE_DIR "/../shared") +
                          "/data/weights/tinystories-656k";
  if (!fs::exists(dir)) GTEST_SKIP() << "missing: " << dir;
  const auto a = Artifact::open(dir);
  EXPECT_EQ(a->scheme(), "f32");
  const Weight head = a->matrix("lm_head", 2048, 128),
               embed = a->matrix("model.embed_tokens", 2048, 128);
  EXPECT_EQ(head.codes, embed.codes);
  EXPECT_EQ(a->vector("model.norm.weight", 128).size(), 128u);
  EXPECT_EQ(a->digest(), Artifact::open(dir)->digest());
}

}  // namespace
}  // namespace sinter
