// The filters, by what they work on; filters.cc lists them all.
#pragma once

#include "text/jinja/runtime.h"

namespace sinter::jinja {

#define SINTER_JINJA_FILTER(name) \
  Value filter_##name(Runtime* runtime, const Value& value, const Arguments& arguments)

// text_filters.cc
SINTER_JINJA_FILTER(capitalize);
SINTER_JINJA_FILTER(center);
SINTER_JINJA_FILTER(escape);
SINTER_JINJA_FILTER(filesizeformat);
SINTER_JINJA_FILTER(forceescape);
SINTER_JINJA_FILTER(format);
SINTER_JINJA_FILTER(indent);
SINTER_JINJA_FILTER(lower);
SINTER_JINJA_FILTER(replace);
SINTER_JINJA_FILTER(safe);
SINTER_JINJA_FILTER(string);
SINTER_JINJA_FILTER(title);
SINTER_JINJA_FILTER(trim);
SINTER_JINJA_FILTER(truncate);
SINTER_JINJA_FILTER(upper);
SINTER_JINJA_FILTER(urlencode);
SINTER_JINJA_FILTER(wordcount);
SINTER_JINJA_FILTER(xmlattr);

// sequence_filters.cc
SINTER_JINJA_FILTER(attr);
SINTER_JINJA_FILTER(batch);
SINTER_JINJA_FILTER(dictsort);
SINTER_JINJA_FILTER(first);
SINTER_JINJA_FILTER(groupby);
SINTER_JINJA_FILTER(items);
SINTER_JINJA_FILTER(join);
SINTER_JINJA_FILTER(last);
SINTER_JINJA_FILTER(length);
SINTER_JINJA_FILTER(list);
SINTER_JINJA_FILTER(map);
SINTER_JINJA_FILTER(max);
SINTER_JINJA_FILTER(min);
SINTER_JINJA_FILTER(reject);
SINTER_JINJA_FILTER(rejectattr);
SINTER_JINJA_FILTER(reverse);
SINTER_JINJA_FILTER(select);
SINTER_JINJA_FILTER(selectattr);
SINTER_JINJA_FILTER(slice);
SINTER_JINJA_FILTER(sort);
SINTER_JINJA_FILTER(sum);
SINTER_JINJA_FILTER(unique);

#undef SINTER_JINJA_FILTER

}  // namespace sinter::jinja
