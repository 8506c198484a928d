// The two ways Python formats text: `'%5.2f' % x` and `'{:5.2f}'.format(x)`.
#pragma once

#include <functional>
#include <string_view>

#include "text/jinja/value.h"

namespace sinter::jinja {

// `arguments`: a tuple, a dict (for %(name)s), or the one argument.
Value format_percent(const Value& format, const Value& arguments, Meter* meter);

// format(value, spec).
std::string format_value(const Value& value, std::string_view spec, Meter* meter);

// str.format(); `look_up` resolves what stands before ':' and '!' in a field, after automatic
// numbering ("0.name[key]").
using FieldLookUp = std::function<Value(std::string_view field)>;
std::string format_braces(std::string_view format, const FieldLookUp& look_up, Meter* meter);

}  // namespace sinter::jinja
