// The fixed parts of the HTML report: its style and its one script.
#pragma once

namespace sinter {

extern const char* const kReportStyle;
extern const char* const kReportScript;

}  // namespace sinter
