// The loops behind backend/peaks.h: as kernels.h has it, files of an instruction set include this,
// <immintrin.h> and nothing else, and export nothing but their table.
#pragma once

#include <stdint.h>

namespace sinter::cpu {

struct PeakArithmetic {
  const char* name;
  bool (*usable)();  // asked before the first run: this CPU has it, and the system allows it
  int64_t ops;       // multiplications and additions of one round
  // Runs that many rounds; the result depends on every one of them.
  float (*run)(int64_t rounds);
};

struct PeakKernels {
  // Reads every byte of n (a multiple of 512, aligned to 64) and returns a sum of them.
  uint64_t (*read)(const uint8_t* at, int64_t n);
  const PeakArithmetic* arithmetic;
  int n_arithmetic;
};

extern const PeakKernels kRefPeaks;
#ifdef SINTER_X86
extern const PeakKernels kAvx2Peaks;
extern const PeakKernels kAvx512Peaks;
#endif

}  // namespace sinter::cpu
