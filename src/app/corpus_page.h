// The page of a corpus report: one file, no script, nothing fetched.
#pragma once

#include <string>

#include "compress/corpus/report.h"

namespace sinter {

std::string corpus_page(const CorpusReport& report);

}  // namespace sinter
