// Markup: text marked as safe for HTML. Templates rarely need it, but `|safe` makes it, and it
// escapes what it is joined with.
#pragma once

#include "text/jinja/value.h"

namespace sinter::jinja {

Value escape(const Value& value, Meter* meter);  // markup stays as it is

}  // namespace sinter::jinja
