// The machine under a measurement: what it is, and how much of it somebody else was using. A figure
// that was taken beside a compiler is no figure, so the benchmark looks before and during.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"

namespace sinter {

// CPU time of the whole machine (stolen time counts as busy) and of this process, in seconds, at
// one moment.
struct CpuClock {
  double wall_s = 0, machine_busy_s = 0, own_s = 0;
  static CpuClock now();
};

// Busy seconds of the first line of /proc/stat, whose fields count ticks. 0 if it is not one.
double busy_seconds(std::string_view proc_stat, double ticks_per_second);

// Cores that others kept busy between two moments: 0.03 is an idle machine's housekeeping.
double others_cores(const CpuClock& before, const CpuClock& after);
// Above this a figure is "under load". /proc/stat counts hundredths of a second, so over short
// spans one tick of rounding must stay below it; see `too_busy`.
inline constexpr double kMaxOthersCores = 0.08;
bool too_busy(const CpuClock& before, const CpuClock& after);

struct LoadNow {
  double others = 0;      // cores, over the second that it took to look
  double loadavg_1m = 0;  // for the record only: it remembers work that is over
  int64_t runnable = 0;   // processes that wanted a core at that moment, this one included
};
LoadNow look_around(double seconds);
// /proc/loadavg: "0.20 0.18 0.12 1/80 11206".
LoadNow parse_loadavg(std::string_view text);

// {"cpu", "cores", "memory_bytes", "os"}
Json machine_record();

}  // namespace sinter
