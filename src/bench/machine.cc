#include "bench/machine.h"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/huge_buffer.h"
#include "base/threads.h"

namespace sinter {
namespace {

// A file of /proc, or "" where there is none.
std::string proc_file(const char* path) {
  try {
    return read_file(path);
  } catch (const Error&) {
    return "";
  }
}

double seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
}

std::string cpu_name() {
  std::istringstream lines(proc_file("/proc/cpuinfo"));
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

double busy_seconds(std::string_view proc_stat, double ticks_per_second) {
  std::istringstream line{std::string(proc_stat.substr(0, proc_stat.find('\n')))};
  std::string word;
  line >> word;
  if (word != "cpu") return 0;
  double ticks[8] = {};  // user nice system idle iowait irq softirq steal; guests are in user
  for (double& t : ticks) line >> t;
  return (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7]) / ticks_per_second;
}

CpuClock CpuClock::now() {
  CpuClock c;
  c.wall_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  c.machine_busy_s =
      busy_seconds(proc_file("/proc/stat"), static_cast<double>(::sysconf(_SC_CLK_TCK)));
  rusage own{};
  ::getrusage(RUSAGE_SELF, &own);
  c.own_s = seconds(own.ru_utime) + seconds(own.ru_stime);
  return c;
}

double others_cores(const CpuClock& before, const CpuClock& after) {
  const double wall = after.wall_s - before.wall_s;
  if (wall <= 0) return 0;
  const double own = after.own_s - before.own_s;
  return std::max(0.0, (after.machine_busy_s - before.machine_busy_s - own) / wall);
}

bool too_busy(const CpuClock& before, const CpuClock& after) {
  constexpr double kRounding = 0.03;  // a tick or so a core, at either end
  const double wall = after.wall_s - before.wall_s;
  return wall > 0 && others_cores(before, after) > kMaxOthersCores + kRounding / wall;
}

LoadNow parse_loadavg(std::string_view text) {
  LoadNow load;
  std::istringstream in{std::string(text)};
  double five = 0, fifteen = 0;
  in >> load.loadavg_1m >> five >> fifteen >> load.runnable;
  return load;
}

LoadNow look_around(double span_s) {
  const CpuClock before = CpuClock::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(span_s));
  LoadNow load = parse_loadavg(proc_file("/proc/loadavg"));
  load.others = others_cores(before, CpuClock::now());
  return load;
}

Json machine_record() {
  utsname system{};
  ::uname(&system);
  return {{"cpu", cpu_name()},
          {"cores", available_cores()},
          {"memory_bytes", physical_memory_bytes()},
          {"os", fmt::format("{} {}", system.sysname, system.release)}};
}

}  // namespace sinter
