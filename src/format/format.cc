// The one list of codecs, and the printed names of formats. To add a codec: its file, its line in
// codecs.h, and its line here.
#include "format/format.h"

#include <array>
#include <charconv>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "format/codecs.h"

namespace sinter {
namespace {

constexpr std::array<const Codec*, 26> kCodecs = {
    &kF32,     &kF16,     &kBf16,     &kI8Row,   &kI8Group, &kI4Group, &kI3Group,
    &kI2Group, &kU8Group, &kU4Group,  &kU3Group, &kU2Group, &kF8Row,   &kF8Group,
    &kMxfp4,   &kNvfp4,   &kNvfp4Div, &kQ80,     &kQ40,     &kQ41,     &kQ50,
    &kQ4K,     &kQ5K,     &kQ6K,      &kIq4Nl,   &kIq4Xs,
};

struct ScaleName {
  std::string_view name;
  DType dtype;
};
constexpr std::array<ScaleName, 3> kScaleNames = {
    {{"bf16", DType::bf16}, {"f16", DType::f16}, {"f32", DType::f32}}};

[[noreturn]] void unknown(std::string_view name, std::string_view reason) {
  std::string known;
  for (const Codec* codec : kCodecs)
    known += fmt::format("{}{}", known.empty() ? "" : ", ", codec->name);
  fail(Fault::bad_input, "format-unknown",
       "format \"{}\": {}; write CODEC[:GROUP][/SCALE] such as i4_group:64, with CODEC one of {} "
       "and "
       "SCALE one of bf16, f16, f32",
       name.substr(0, 60), reason, known);
}

}  // namespace

const char* to_string(ActivationMode mode) {
  constexpr std::array kNames = {"exact",     "int8",       "int8_token", "int8_tensor",
                                 "fp8_token", "fp8_tensor", "fp8_group"};
  return kNames.at(static_cast<size_t>(mode));
}

std::span<const Codec* const> codecs() { return kCodecs; }

const Codec* plain_codec(DType dtype) {
  for (const ScaleName& s : kScaleNames) {
    if (s.dtype != dtype) continue;
    for (const Codec* codec : kCodecs) {
      if (codec->is_plain && codec->name == s.name) return codec;
    }
  }
  return nullptr;
}

bool has_groups(const Codec& codec) {
  return !codec.is_plain && (codec.grid == nullptr || codec.grid->group == 0);
}

int64_t scale_columns(const Format& format, int64_t cols) {
  const Grid* grid = format.codec->grid;
  if (grid != nullptr && grid->group > 0) return grid->group;
  return format.group == 0 ? cols : format.group;
}

std::string to_string(const Format& format) {
  SINTER_CHECK(format.codec != nullptr);
  std::string name = format.codec->name;
  if (!has_groups(*format.codec)) return name;
  if (format.group != 0) name += fmt::format(":{}", format.group);
  for (const ScaleName& s : kScaleNames) {
    if (s.dtype == format.scale && s.dtype != DType::bf16) name += fmt::format("/{}", s.name);
  }
  return name;
}

Format format_named(std::string_view name) {
  Format format;
  std::string_view rest = name;
  if (const size_t slash = rest.find('/'); slash != std::string_view::npos) {
    const std::string_view scale = rest.substr(slash + 1);
    bool found = false;
    for (const ScaleName& s : kScaleNames) {
      if (s.name != scale) continue;
      format.scale = s.dtype;
      found = true;
    }
    if (!found) unknown(name, "no such type of scale");
    rest = rest.substr(0, slash);
  }
  const size_t colon = rest.find(':');
  const std::string_view codec_name = rest.substr(0, colon);
  for (const Codec* codec : kCodecs) {
    if (codec->name == codec_name) format.codec = codec;
  }
  if (format.codec == nullptr) unknown(name, "no such codec");
  if (!has_groups(*format.codec) && rest.size() != name.size())
    unknown(name, "this codec has no type of scale to choose");
  if (colon != std::string_view::npos) {
    if (!has_groups(*format.codec) || format.codec == &kI8Row || format.codec == &kF8Row)
      unknown(name, "this codec has no groups to choose");
    const std::string_view digits = rest.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), format.group);
    if (error != std::errc() || end != digits.data() + digits.size() || format.group < 1) {
      unknown(name, "expected a positive number of columns after the colon");
    }
  }
  return format;
}

void require_columns(const Format& format, int64_t cols, std::string_view tensor) {
  const int64_t multiple = format.codec->col_multiple(format);
  if (cols >= 1 && cols % multiple == 0) return;
  fail(Fault::bad_input, "format-columns",
       "{}: expected a multiple of {} columns for {}, found {}; choose a group size that divides "
       "the "
       "columns, or leave this tensor dense",
       tensor, multiple, to_string(format), cols);
}

void unpack_row(const Weight& weight, int64_t row, std::span<float> w) {
  const auto unpack = [&](std::span<float> out) {
    weight.format.codec->unpack_row(weight.format, weight.row_codes(row), weight.row_params(row),
                                    out);
  };
  if (weight.column_order == nullptr) return unpack(w);
  std::vector<float> stored(w.size());
  unpack(stored);
  for (size_t j = 0; j < w.size(); ++j) {
    w[static_cast<size_t>(weight.column_order[j])] = stored[j];
  }
}

}  // namespace sinter
