// The one list of methods. To add one: its file in steps/, its declaration and its line here.
#include "compress/steps.h"

#include <array>

namespace sinter {

std::shared_ptr<const Step> read_rtn(const YamlNode& node, const std::string& where);  // rtn.cc

namespace {

const std::array kMethods = {StepMethod{"rtn", StepKind::round, read_rtn}};

}  // namespace

std::span<const StepMethod> step_methods() { return kMethods; }

}  // namespace sinter
