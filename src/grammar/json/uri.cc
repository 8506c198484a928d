#include "grammar/json/uri.h"

#include <charconv>

namespace sinter {
namespace {

// The parts keep their delimiters: "scheme:", "//authority", "path", "?query", "#fragment".
struct UriParts {
  std::string_view scheme, authority, path, query, fragment;
};

UriParts split(std::string_view uri) {
  UriParts parts;
  const auto cut = [&](size_t n) {
    const std::string_view head = uri.substr(0, n);
    uri.remove_prefix(head.size());
    return head;
  };
  const size_t colon = uri.find_first_of(":/?#");
  if (colon != std::string_view::npos && colon > 0 && uri[colon] == ':')
    parts.scheme = cut(colon + 1);
  if (uri.substr(0, 2) == "//") {
    const size_t end = uri.find_first_of("/?#", 2);
    parts.authority = cut(end);
  }
  parts.path = cut(uri.find_first_of("?#"));
  parts.query = cut(uri.find('#'));
  parts.fragment = uri;
  return parts;
}

// Section 5.2.4.
std::string without_dots(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const size_t slash = path.find('/', path[0] == '/' ? 1 : 0);
    std::string_view segment = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash);
    const std::string_view name = segment[0] == '/' ? segment.substr(1) : segment;
    if (name != "." && name != "..") {
      out += segment;
      continue;
    }
    if (name == "..") out.erase(out.rfind('/') == std::string::npos ? 0 : out.rfind('/'));
    if (path.empty() && segment[0] == '/') out += '/';
  }
  return out;
}

std::string joined(const UriParts& p) {
  std::string out;
  for (const std::string_view part : {p.scheme, p.authority, p.path, p.query, p.fragment})
    out += part;
  return out;
}

}  // namespace

std::string resolve_uri(std::string_view base, std::string_view reference) {
  const UriParts from = split(base);
  UriParts to = split(reference);
  std::string path(to.path);
  if (!to.scheme.empty()) return joined(to);
  to.scheme = from.scheme;
  if (to.authority.empty()) {
    to.authority = from.authority;
    if (path.empty()) {
      path = from.path;
      if (to.query.empty()) to.query = from.query;
    } else if (path[0] != '/') {
      const size_t slash = from.path.rfind('/');
      std::string merged(slash == std::string_view::npos ? "" : from.path.substr(0, slash + 1));
      if (merged.empty() && !from.authority.empty()) merged = "/";
      path = without_dots(merged + path);
    } else {
      path = without_dots(path);
    }
  }
  to.path = path;
  return joined(to);
}

std::string_view without_fragment(std::string_view uri) { return uri.substr(0, uri.find('#')); }

std::string decoded_fragment(std::string_view uri) {
  const size_t hash = uri.find('#');
  std::string out;
  if (hash == std::string_view::npos) return out;
  uri.remove_prefix(hash + 1);
  for (size_t i = 0; i < uri.size(); ++i) {
    unsigned value = 0;
    if (uri[i] == '%' && i + 2 < uri.size() &&
        std::from_chars(uri.data() + i + 1, uri.data() + i + 3, value, 16).ptr ==
            uri.data() + i + 3) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += uri[i];
    }
  }
  return out;
}

}  // namespace sinter
