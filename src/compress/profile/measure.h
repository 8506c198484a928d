// The figures of a profile, from rows that pass by twice: once for what their channels are, once
// more for what ranges and scales, which follow from that, would do to them.
#pragma once

#include <functional>
#include <vector>

#include "backend/backend.h"
#include "compress/channel_statistics.h"
#include "compress/layer_walk.h"
#include "compress/profile/profile.h"

namespace sinter {

// Which rows belong to which half of the corpus, and which of them rounding is tried on.
class RowPlan {
 public:
  // Each sequence goes to the half with fewer tokens. `rounded` rows at even distances; 0 = all.
  RowPlan(const Calibration& calibration, int64_t rounded);
  int64_t rounded() const { return rounded_; }
  bool has_halves() const { return halves_[0] > 0 && halves_[1] > 0; }
  bool is_rounded(int64_t row) const;
  // Pieces of rows of one half. body(half, first of these rows, how many).
  void each_half(int64_t first_row, int64_t n_rows,
                 const std::function<void(size_t, int64_t, int64_t)>& body) const;

 private:
  struct Piece {
    int64_t end = 0;  // row
    size_t half = 0;
  };
  std::vector<Piece> pieces_;
  int64_t n_rows_ = 0, rounded_ = 0;
  std::array<int64_t, 2> halves_{};
};

// What rounds inputs as the engine does: LayerWalk::round_inputs.
using RoundInputs = std::function<void(Activation, MatMut)>;
// Shows all rows to whom it is given, piece by piece, in order.
using VisitRows = std::function<void(const LayerWalk::Rows&)>;

struct InputToMeasure {
  std::string name;
  std::vector<std::string> modules;
  int64_t n_channels = 0;
  int32_t head_dim = 0;               // of keys and values; else 0
  std::vector<ActivationMode> modes;  // to be tried
  VisitRows visit;
};

struct MeasuredInput {
  ProfiledInput figures;
  std::array<ChannelStatistics, 2> halves;
};

// How linears' inputs can be rounded: as presets say and as a user can ask for; and a cache's rows.
std::vector<ActivationMode> input_modes();
std::vector<ActivationMode> cache_modes();

MeasuredInput measure_input(const InputToMeasure& input, const RowPlan& plan,
                            const RoundInputs& round, ThreadPool& threads);

ProfiledMatrix measure_matrix(const std::string& module, MatView w, ThreadPool& threads);

}  // namespace sinter
