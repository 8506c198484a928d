// The one list of methods. To add one: its file in steps/, its declaration and its line here.
#include "compress/steps.h"

#include <array>

namespace sinter {

Step read_awq(const YamlNode& node, const std::string& where);  // steps/awq.cc ...
Step read_gptq(const YamlNode& node, const std::string& where);
Step read_rtn(const YamlNode& node, const std::string& where);
Step read_smoothquant(const YamlNode& node, const std::string& where);

namespace {

const std::array kMethods = {StepMethod{"awq", read_awq}, StepMethod{"gptq", read_gptq},
                             StepMethod{"rtn", read_rtn},
                             StepMethod{"smoothquant", read_smoothquant}};

}  // namespace

std::span<const StepMethod> step_methods() { return kMethods; }

}  // namespace sinter
