#include "backend/cpu/pack.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace sinter::cpu {
namespace {

constexpr int64_t kWholeRowBlock = 128;

// ---- Codes of one unit: q[r * stride + c] of 16 rows and 32 columns, into vectors ----

using Put = void (*)(const uint8_t* q, int64_t stride, uint8_t* out);

// Bits [from, from + bits) of the codes, 8 / bits columns-of-four to a vector.
template <int bits, int from>
void put_bits(const uint8_t* q, int64_t stride, uint8_t* out) {
  constexpr int kPerByte = 8 / bits, kMask = (1 << bits) - 1;
  for (int v = 0; v < 8 / kPerByte; ++v) {
    for (int64_t r = 0; r < kPanelRows; ++r) {
      for (int c = 0; c < 4; ++c) {
        unsigned byte = 0;
        for (int i = 0; i < kPerByte; ++i) {
          const unsigned code = q[r * stride + int64_t{4} * (v * kPerByte + i) + c];
          byte |= ((code >> from) & kMask) << (bits * i);
        }
        *out++ = static_cast<uint8_t>(byte);
      }
    }
  }
}

void put_3(const uint8_t* q, int64_t stride, uint8_t* out) {
  put_bits<2, 0>(q, stride, out);
  put_bits<1, 2>(q, stride, out + 128);
}
void put_5(const uint8_t* q, int64_t stride, uint8_t* out) {
  put_bits<4, 0>(q, stride, out);
  put_bits<1, 4>(q, stride, out + 256);
}
void put_6(const uint8_t* q, int64_t stride, uint8_t* out) {
  put_bits<4, 0>(q, stride, out);
  put_bits<2, 4>(q, stride, out + 256);
}

// Elements of `bytes` bytes, `together` columns of a row beside each other.
template <int bytes, int together>
void put_elements(const uint8_t* q, int64_t stride, uint8_t* out) {
  for (int64_t c = 0; c < kUnitColumns; c += together) {
    for (int64_t r = 0; r < kPanelRows; ++r) {
      std::memcpy(out, q + r * stride + c * bytes, size_t{bytes} * together);
      out += int64_t{bytes} * together;
    }
  }
}

// The one list of code kinds, in the order of CodeKind.
struct KindTraits {
  const char* name;
  int64_t unit_bytes;
  int64_t code_bytes;  // of one code before packing
  Put put;
};
constexpr std::array<KindTraits, kCodeKinds> kKinds = {{{"b2", 128, 1, put_bits<2, 0>},
                                                        {"b3", 192, 1, put_3},
                                                        {"b4", 256, 1, put_bits<4, 0>},
                                                        {"b4_table", 256, 1, put_bits<4, 0>},
                                                        {"b5", 320, 1, put_5},
                                                        {"b6", 384, 1, put_6},
                                                        {"b8", 512, 1, put_bits<8, 0>},
                                                        {"e4m3", 512, 1, put_elements<1, 1>},
                                                        {"bf16", 1024, 2, put_elements<2, 2>},
                                                        {"f16", 1024, 2, put_elements<2, 1>},
                                                        {"f32", 2048, 4, put_elements<4, 1>}}};

const KindTraits& traits_of(CodeKind kind) { return kKinds[static_cast<size_t>(kind)]; }

// ---- Factors ----

// As the kernels' load_e4m3 has them times 256; -1 = not on the grid.
int e4m3_code(float x) {
  const uint8_t code = f32_to_e4m3(x);
  return e4m3_to_f32(code) == x ? code : -1;
}

int i8_code(float x) {
  return x >= -128 && x <= 127 && x == std::floor(x) ? static_cast<int>(x) & 0xFF : -1;
}
int e8m0_code(float x) {  // 2^(code - 127), normal numbers only
  const auto u = std::bit_cast<uint32_t>(x);
  return (u & 0x807FFFFF) == 0 && u >> 23 != 0 && u >> 23 != 255 ? static_cast<int>(u >> 23) : -1;
}
int bf16_code(float x) {
  const auto u = std::bit_cast<uint32_t>(x);
  return (u & 0xFFFF) == 0 ? static_cast<int>(u >> 16) : -1;
}
int f16_code(float x) {
  const uint16_t half = f32_to_f16(x);
  return f16_to_f32(half) == x ? half : -1;
}

// The one list of types of factors, smallest first; f32 holds what no other does.
struct FactorType {
  FactorKind kind;
  int64_t bytes;
  int (*code)(float);  // -1 = cannot hold it
};
constexpr std::array<FactorType, 5> kFactorTypes = {{{FactorKind::i8, 1, i8_code},
                                                     {FactorKind::e8m0, 1, e8m0_code},
                                                     {FactorKind::e4m3, 1, e4m3_code},
                                                     {FactorKind::bf16, 2, bf16_code},
                                                     {FactorKind::f16, 2, f16_code}}};

// A matrix of factors [panels][per_panel][16] on its way to its stored type.
struct FactorTable {
  std::vector<float> values;
  int64_t per_panel = 0;
  int64_t blocks = 1;
  const FactorType* type = nullptr;  // null = f32

  float* row(int64_t r, int64_t g) {
    return values.data() + ((r / kPanelRows) * per_panel + g) * kPanelRows + r % kPanelRows;
  }
  int64_t bytes() const {
    return static_cast<int64_t>(values.size()) * (type == nullptr ? 4 : type->bytes);
  }
  void choose(bool may_be_e4m3) {
    for (const FactorType& t : kFactorTypes) {
      if (t.kind == FactorKind::e4m3 && !may_be_e4m3) continue;
      if (std::all_of(values.begin(), values.end(), [&](float x) { return t.code(x) >= 0; })) {
        type = &t;
        return;
      }
    }
  }
  Factors store(uint8_t* at) const {
    if (values.empty()) return {};
    if (type == nullptr) {
      std::memcpy(at, values.data(), values.size() * sizeof(float));
    } else {
      for (size_t i = 0; i < values.size(); ++i) {
        const int code = type->code(values[i]);
        std::memcpy(at + i * static_cast<size_t>(type->bytes), &code,
                    static_cast<size_t>(type->bytes));
      }
    }
    return {.at = at,
            .kind = type == nullptr ? FactorKind::f32 : type->kind,
            .per_panel = per_panel,
            .blocks = blocks};
  }
};

// offset = scale * z for small integers z, as of zero points: a byte instead of a float.
bool to_zero_points(const FactorTable& scale, FactorTable& offset) {
  std::vector<float> zeros(offset.values.size());
  for (size_t i = 0; i < zeros.size(); ++i) {
    const float s = scale.values[i], o = offset.values[i];
    zeros[i] = s == 0 ? 0.0f : std::nearbyint(o / s);
    if (i8_code(zeros[i]) < 0 || zeros[i] * s != o) return false;
  }
  offset.values = std::move(zeros);
  return true;
}

struct Plan {
  CodeKind kind = CodeKind::f32;
  int64_t block = kWholeRowBlock;
  int64_t group = 0, super = 0;  // columns; 0 = there are none
  std::string why_not;
};

Plan plan_of(const Weight& weight) {
  const Codec& codec = *weight.format.codec;
  Plan plan;
  if (codec.is_plain) {
    for (const CodeKind kind : {CodeKind::bf16, CodeKind::f16, CodeKind::f32}) {
      if (std::string_view(codec.name) == traits_of(kind).name) plan.kind = kind;
    }
    return plan;
  }
  if (codec.grid == nullptr) {
    plan.why_not = "its codec has no grid";
    return plan;
  }
  const Grid& grid = *codec.grid;
  constexpr std::array kBySize = {CodeKind::b2, CodeKind::b3, CodeKind::b4,
                                  CodeKind::b5, CodeKind::b6, CodeKind::b8};
  constexpr std::array kSizes = {2, 3, 4, 5, 6, 8};
  bool known = grid.levels == Grid::Levels::e4m3;
  if (known) plan.kind = CodeKind::e4m3;
  for (size_t i = 0; i < kSizes.size() && !known; ++i) {
    if (kSizes[i] != grid.bits) continue;
    plan.kind = kBySize[i];
    known = grid.levels == Grid::Levels::linear;
    if (grid.levels == Grid::Levels::table && grid.bits == 4) {
      plan.kind = CodeKind::b4_table;
      known = true;
    }
  }
  plan.group = grid.group > 0 ? grid.group : weight.format.group;
  if (plan.group == 0 || plan.group > weight.cols) plan.group = weight.cols;
  if (grid.super > 0) plan.super = std::min<int64_t>(grid.super, weight.cols);
  if (plan.group < weight.cols || plan.super > 0) {
    plan.block = 0;
    for (const int64_t block : {128, 96, 64, 32, 16}) {
      const bool fits = plan.group % block == 0 && (plan.super == 0 || plan.super % block == 0);
      if (fits && plan.block == 0) plan.block = block;
    }
  }
  if (!known) plan.why_not = fmt::format("{}-bit codes of its kind have no kernel", grid.bits);
  if (plan.block == 0) {
    plan.why_not = fmt::format("its groups of {} columns are not a multiple of 16", plan.group);
  }
  return plan;
}

bool is_nan_e4m3(uint8_t code) { return (code & 0x7F) == 0x7F; }

}  // namespace

const char* to_string(CodeKind kind) { return traits_of(kind).name; }

std::optional<CodeKind> kind_of_panels(const Weight& weight, std::string& why_not) {
  const Plan plan = plan_of(weight);
  why_not = plan.why_not;
  return why_not.empty() ? std::optional(plan.kind) : std::nullopt;
}

std::unique_ptr<PackedMatrix> pack(const Weight& weight, ThreadPool& threads,
                                   std::string& why_not) {
  const Plan plan = plan_of(weight);
  why_not = plan.why_not;
  if (!why_not.empty()) return nullptr;
  const Codec& codec = *weight.format.codec;
  const KindTraits& kind = traits_of(plan.kind);
  const int64_t n_panels = round_up(weight.rows, kPanelRows * kPanelGrain) / kPanelRows;
  const int64_t columns = round_up(weight.cols, kUnitColumns);
  const int64_t n_blocks = (weight.cols + plan.block - 1) / plan.block;

  auto matrix = std::make_unique<PackedMatrix>();
  Panels& p = matrix->panels;
  p.kind = plan.kind;
  p.rows = weight.rows;
  p.n_panels = n_panels;
  p.columns = columns;
  p.block = plan.block;
  p.panel_bytes = columns / kUnitColumns * kind.unit_bytes;

  FactorTable scale, offset, super_scale, super_offset;
  const auto shape = [&](FactorTable& t, int64_t size) {
    t.per_panel = (weight.cols + size - 1) / size;
    t.blocks = t.per_panel == 1 ? n_blocks : size / plan.block;
    t.values.resize(static_cast<size_t>(n_panels * t.per_panel * kPanelRows));
  };
  if (codec.grid != nullptr) {
    const Grid& grid = *codec.grid;
    p.bias = grid.bias;
    if (plan.kind == CodeKind::b4 || plan.kind == CodeKind::b4_table) {
      for (int q = 0; q < 16; ++q) {
        p.table[q] =
            static_cast<int8_t>(grid.levels == Grid::Levels::table ? grid.table[q] : q - grid.bias);
      }
    }
    if (plan.kind == CodeKind::b4_table) p.bias = 128;
    shape(scale, plan.group);
    if (grid.has_offset) shape(offset, plan.group);
    if (plan.super > 0) shape(super_scale, plan.super);
    if (plan.super > 0 && grid.has_offset) shape(super_offset, plan.super);
  }

  matrix->codes = HugeBuffer(n_panels * p.panel_bytes);
  p.codes = matrix->codes.at();
  std::atomic<bool> has_nan = false;
  threads.run(n_panels, 1, [&](int64_t begin, int64_t end) {
    const int64_t stride = columns * kind.code_bytes;
    std::vector<uint8_t> q(static_cast<size_t>(kPanelRows * stride));
    std::vector<float> s(static_cast<size_t>(scale.per_panel)),
        o(static_cast<size_t>(offset.per_panel)), ss(static_cast<size_t>(super_scale.per_panel)),
        so(static_cast<size_t>(super_offset.per_panel));
    for (int64_t panel = begin; panel < end; ++panel) {
      std::fill(q.begin(), q.end(), uint8_t{0});
      for (int64_t i = 0; i < kPanelRows && panel * kPanelRows + i < weight.rows; ++i) {
        const int64_t r = panel * kPanelRows + i;
        uint8_t* row = q.data() + i * stride;
        if (codec.is_plain) {
          std::memcpy(row, weight.row_codes(r), static_cast<size_t>(weight.row_bytes()));
          continue;
        }
        codec.grid_row(weight.format, weight.row_codes(r), weight.row_params(r),
                       {.codes = {row, static_cast<size_t>(weight.cols)},
                        .scale = s,
                        .offset = o,
                        .super_scale = ss,
                        .super_offset = so});
        if (plan.kind == CodeKind::e4m3 && std::any_of(row, row + weight.cols, is_nan_e4m3)) {
          has_nan = true;
        }
        const auto place = [&](FactorTable& table, const std::vector<float>& from) {
          for (size_t g = 0; g < from.size(); ++g) *table.row(r, static_cast<int64_t>(g)) = from[g];
        };
        place(scale, s);
        place(offset, o);
        place(super_scale, ss);
        place(super_offset, so);
      }
      uint8_t* out = matrix->codes.at() + panel * p.panel_bytes;
      for (int64_t c = 0; c < columns; c += kUnitColumns) {
        kind.put(q.data() + c * kind.code_bytes, stride, out);
        out += kind.unit_bytes;
      }
    }
  });
  if (has_nan) {
    why_not = "some of its codes are NaN";
    return nullptr;
  }

  // load_e4m3 gives 2^-8 of a value: of codes the scale makes up for it, of sub-scales the super.
  const auto times_256 = [](FactorTable& t) {
    for (float& x : t.values) x *= 256;
  };
  if (plan.kind == CodeKind::e4m3) times_256(scale);
  const bool two_levels = !super_scale.values.empty();
  if (!two_levels && !offset.values.empty()) p.offset_is_zero_point = to_zero_points(scale, offset);
  scale.choose(two_levels);
  offset.choose(two_levels);
  if (scale.type != nullptr && scale.type->kind == FactorKind::e4m3) times_256(super_scale);
  if (offset.type != nullptr && offset.type->kind == FactorKind::e4m3) times_256(super_offset);
  super_scale.choose(false);
  super_offset.choose(false);

  int64_t factor_bytes = 0;
  for (const FactorTable* t : {&scale, &offset, &super_scale, &super_offset}) {
    factor_bytes += round_up(t->bytes(), 64);
  }
  matrix->factors = HugeBuffer(factor_bytes);
  uint8_t* at = matrix->factors.at();
  const auto store = [&](const FactorTable& t) {
    const Factors f = t.store(at);
    at += round_up(t.bytes(), 64);
    return f;
  };
  p.scale = store(scale);
  p.offset = store(offset);
  p.super_scale = store(super_scale);
  p.super_offset = store(super_offset);
  return matrix;
}

}  // namespace sinter::cpu
