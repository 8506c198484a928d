// Round to nearest: each group's grid from its own weights, each weight to the nearest point. No
// calibration. `observer: mse` shrinks a group's range where that lowers its squared error; the
// grid of shrinks is llm-compressor's idea (its mse observer), the numbers are ours.
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "compress/scheme_words.h"
#include "compress/steps.h"
#include "compress/yaml_tree.h"

namespace sinter {
namespace {

// Tried from the widest; the first best wins. Down to 0.5 because 2-bit grids clip that hard.
constexpr std::array<float, 21> kShrinks = {1.0f,   0.975f, 0.95f,  0.925f, 0.9f,  0.875f, 0.85f,
                                            0.825f, 0.8f,   0.775f, 0.75f,  0.725f, 0.7f,  0.675f,
                                            0.65f,  0.625f, 0.6f,   0.575f, 0.55f, 0.525f, 0.5f};

struct Override {
  std::vector<NamePattern> match;
  std::optional<Scheme> scheme;  // nullopt = stays dense
};

class Rtn : public Step {
 public:
  StepKind kind() const override { return StepKind::round; }
  bool allows_split() const override { return allow_split_; }

  const Scheme* scheme_of(std::string_view module) const override {
    for (const NamePattern& p : ignore_) {
      if (matches(p, module)) return nullptr;
    }
    for (const Override& o : overrides_) {
      for (const NamePattern& p : o.match) {
        if (matches(p, module)) return o.scheme ? &*o.scheme : nullptr;
      }
    }
    for (const NamePattern& p : targets_) {
      if (matches(p, module)) return &scheme_;
    }
    return nullptr;
  }

  std::vector<const NamePattern*> patterns() const override {
    std::vector<const NamePattern*> all;
    for (const auto* list : {&targets_, &ignore_}) {
      for (const NamePattern& p : *list) all.push_back(&p);
    }
    for (const Override& o : overrides_) {
      for (const NamePattern& p : o.match) all.push_back(&p);
    }
    return all;
  }

  std::string problem(const Format& format, int64_t cols) const override {
    const int64_t group = format.group == 0 ? cols : format.group;
    if (mse_ && group % whole_group(format).codec->col_multiple(whole_group(format)) != 0) {
      return fmt::format("observer: mse needs groups of whole 32-bit words, found groups of {}", group);
    }
    return "";
  }

  void round_row(const Format& format, std::span<const float> w, uint8_t* params,
                 uint8_t* codes) const override {
    format.codec->fit_row(format, w, 1, params);
    if (mse_) search(format, w, params);
    format.codec->pack_row(format, w, params, codes);
  }

 private:
  friend std::shared_ptr<const Step> sinter::read_rtn(const YamlNode&, const std::string&);

  static bool matches(const NamePattern& p, std::string_view module) {
    return p.matches(module) || p.text() == module_class(module);
  }

  // The same codec, for the columns of one group as a row of their own.
  static Format whole_group(const Format& format) {
    return {.codec = format.codec, .group = 0, .scale = format.scale};
  }

  // Replaces the parameters of each group by those of its best shrink. A group's parameters are
  // scale g and zero point g of the row's.
  static void search(const Format& format, std::span<const float> w, uint8_t* params) {
    const Format one = whole_group(format);
    const size_t group = format.group == 0 ? w.size() : static_cast<size_t>(format.group);
    const size_t n_groups = w.size() / group;
    const auto scale_bytes = static_cast<size_t>(traits(format.scale).bytes);
    std::vector<uint8_t> codes(static_cast<size_t>(one.codec->row_bytes(one, static_cast<int64_t>(group))));
    std::vector<uint8_t> tried(static_cast<size_t>(one.codec->param_bytes(one, static_cast<int64_t>(group))));
    std::vector<uint8_t> best(tried.size());
    std::vector<float> back(group);
    for (size_t g = 0; g < n_groups; ++g) {
      const auto part = w.subspan(g * group, group);
      double least = std::numeric_limits<double>::infinity();
      for (const float shrink : kShrinks) {
        one.codec->fit_row(one, part, shrink, tried.data());
        one.codec->pack_row(one, part, tried.data(), codes.data());
        one.codec->unpack_row(one, codes.data(), tried.data(), back);
        double error = 0;
        for (size_t i = 0; i < group; ++i) {
          const double d = double{back[i]} - double{part[i]};
          error += d * d;
        }
        if (error < least) {
          least = error;
          best = tried;
        }
      }
      std::copy_n(best.begin(), scale_bytes, params + g * scale_bytes);
      if (format.codec->has_zero_point) params[n_groups * scale_bytes + g] = best[scale_bytes];
    }
  }

  Scheme scheme_;
  std::vector<NamePattern> targets_, ignore_;
  std::vector<Override> overrides_;
  bool mse_ = false;
  bool allow_split_ = false;
};

}  // namespace
}  // namespace sinter
