// The int8 product of a tile of panels and many inputs, in AMX tiles. Included inside an unnamed
// namespace, before panel_kernels.h.
//
// 64 columns of a panel's bytes are a tile of right operands as they lie: row i has columns
// 4i..4i+3 of all 16 rows. The left operand is 16 inputs, row by row.
#define SINTER_MATRIX 1

// Tiles 0..3: sums of two panels by two tiles of inputs; 4, 5: inputs; 6, 7: panels.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t column_bytes[16] = {};
  uint8_t rows[16] = {};
};

class MatrixTiles {
 public:
  // `columns` at a step: 16, 32 or 64.
  explicit MatrixTiles(int columns) {
    TileConfig config;
    for (int t = 0; t < 8; ++t) {
      config.column_bytes[t] = 64;
      config.rows[t] = 16;
    }
    for (int t = 4; t < 6; ++t) config.column_bytes[t] = static_cast<uint16_t>(columns);
    for (int t = 6; t < 8; ++t) config.rows[t] = static_cast<uint8_t>(columns / 4);
    asm volatile("ldtilecfg %0" : : "m"(config));
  }
  ~MatrixTiles() { _tile_release(); }
  MatrixTiles(const MatrixTiles&) = delete;
  MatrixTiles& operator=(const MatrixTiles&) = delete;

  // sums[panel][input][row] over columns [first, first + columns). codes: of the two
  // panels, from the first column on; x: 16 inputs as matrices of 64 columns (Kernels), and, if
  // `two`, 16 more at x + next.
  static void multiply(const uint8_t* const (&codes)[2], const int8_t* x, int64_t next,
                       int64_t first, bool two, int64_t columns, int64_t step,
                       int32_t (&sums)[2][32][16]) {
    _tile_zero(0);
    _tile_zero(2);
    if (two) {
      _tile_zero(1);
      _tile_zero(3);
    }
    for (int64_t c = 0; c < columns; c += step) {
      const int8_t* inputs = x + (first + c) / 64 * 1024 + (first + c) % 64;
      _tile_loadd(6, codes[0] + 16 * c, 64);
      _tile_loadd(7, codes[1] + 16 * c, 64);
      _tile_loadd(4, inputs, 64);
      _tile_dpbsud(0, 4, 6);
      _tile_dpbsud(2, 4, 7);
      if (!two) continue;
      _tile_loadd(5, inputs + next, 64);
      _tile_dpbsud(1, 5, 6);
      _tile_dpbsud(3, 5, 7);
    }
    _tile_stored(0, sums[0][0], 64);
    _tile_stored(2, sums[1][0], 64);
    if (two) {
      _tile_stored(1, sums[0][16], 64);
      _tile_stored(3, sums[1][16], 64);
    }
  }
};
