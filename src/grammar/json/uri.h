// Resolves URI references, as `$id` and `$ref` need it (RFC 3986, section 5.2).
#pragma once

#include <string>
#include <string_view>

namespace sinter {

// `reference` as seen from `base` ("" : no base). Nothing is validated.
std::string resolve_uri(std::string_view base, std::string_view reference);
// What is before '#'; what is behind it, with %XX decoded.
std::string_view without_fragment(std::string_view uri);
std::string decoded_fragment(std::string_view uri);

}  // namespace sinter
