#include "grammar/json/format_check.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>

#include "base/error.h"
#include "grammar/json/ecma_pattern.h"

namespace sinter {
namespace {

bool matches(const char* pattern, const std::string& text) {
  return EcmaPattern(std::string("^(?:") + pattern + ")$", "format").finds(text);
}

int number(std::string_view text) {
  int value = -1;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool is_date(const std::string& text) {
  if (!matches("\\d{4}-\\d{2}-\\d{2}", text)) return false;
  const int year = number(text.substr(0, 4)), month = number(text.substr(5, 2)),
            day = number(text.substr(8, 2));
  constexpr std::array<int, 13> kDays = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return day <= kDays[static_cast<size_t>(month)] + (month == 2 && leap ? 1 : 0);
}

bool is_time(const std::string& text) {
  if (!matches("\\d{2}:\\d{2}:\\d{2}(?:\\.\\d+)?(?:[Zz]|[+-]\\d{2}:\\d{2})", text)) return false;
  const int hour = number(text.substr(0, 2)), minute = number(text.substr(3, 2)),
            second = number(text.substr(6, 2));
  int offset = 0;
  if (text.back() != 'Z' && text.back() != 'z') {
    const std::string zone = text.substr(text.size() - 6);
    const int hours = number(zone.substr(1, 2)), minutes = number(zone.substr(4, 2));
    if (hours > 23 || minutes > 59) return false;
    offset = (zone[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
  }
  if (hour > 23 || minute > 59 || second > 60) return false;
  constexpr int kDay = 24 * 60;
  return second < 60 || (hour * 60 + minute - offset + kDay) % kDay == kDay - 1;
}

bool is_date_time(const std::string& text) {
  const size_t t = text.find_first_of("Tt");
  return t != std::string::npos && is_date(text.substr(0, t)) && is_time(text.substr(t + 1));
}

bool is_duration(const std::string& text) {
  return matches(
      "P(?=.)(?:\\d+W|(?:\\d+Y(?:\\d+M(?:\\d+D)?)?|\\d+M(?:\\d+D)?|\\d+D)?"
      "(?:T(?=.)(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S))?)",
      text);
}

bool is_uuid(const std::string& text) {
  return matches("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text);
}

bool is_address(int family, const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  return text.find('\0') == std::string::npos && inet_pton(family, text.c_str(), bytes.data()) == 1;
}
bool is_ipv4(const std::string& text) { return is_address(AF_INET, text); }
bool is_ipv6(const std::string& text) { return is_address(AF_INET6, text); }

bool is_hostname(const std::string& text) {
  if (text.empty() || text.size() > 253) return false;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('.', begin), text.size());
    const std::string label = text.substr(begin, end - begin);
    if (label.size() > 63 || !matches("[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", label))
      return false;
    if (label.size() > 3 && label.compare(2, 2, "--") == 0 &&
        !matches("[xX][nN]--[A-Za-z0-9-]+", label)) {
      return false;
    }
    begin = end + 1;
  }
  return true;
}

bool is_email(const std::string& text) {
  const size_t at = text.rfind('@');
  if (at == std::string::npos) return false;
  const std::string local = text.substr(0, at), domain = text.substr(at + 1);
  if (!matches("[\\w!#$%&'*+/=?^`{|}~-]+(?:\\.[\\w!#$%&'*+/=?^`{|}~-]+)*", local) &&
      !matches("\"(?:[ !#-\\[\\]-~]|\\\\[ -~])*\"", local)) {
    return false;
  }
  if (domain.size() > 2 && domain.front() == '[' && domain.back() == ']') {
    const std::string address = domain.substr(1, domain.size() - 2);
    return is_ipv4(address) || (address.rfind("IPv6:", 0) == 0 && is_ipv6(address.substr(5)));
  }
  return is_hostname(domain);
}

bool is_uri_like(const std::string& text, bool needs_scheme, bool international) {
  const std::string chars =
      international ? "[^\\x00-\\x20\"<>\\\\^`{|}\\x7F]" : "[!#-;=?-\\[\\]_a-z~]";
  if (!matches((chars + "*").c_str(), text) || !matches("(?:[^%]|%[0-9A-Fa-f]{2})*", text))
    return false;
  // RFC 3986, appendix B.
  const char* split =
      needs_scheme
          ? "[A-Za-z][A-Za-z0-9+.-]*:(?://[^/?#]*)?[^?#\\[\\]]*(?:\\?[^#\\[\\]]*)?(?:#[^#\\[\\]]*)?"
          : "(?:[A-Za-z][A-Za-z0-9+.-]*:|(?![^/?#]*:)|(?=//))(?://[^/"
            "?#]*)?[^?#\\[\\]]*(?:\\?[^#\\[\\]]*)?(?:#[^#\\[\\]]*)?";
  if (!matches(split, text)) return false;
  const size_t slashes = text.find("//");
  const size_t before = text.find_first_of("/?#");
  if (slashes == std::string::npos || slashes != before) return true;
  const std::string authority =
      text.substr(slashes + 2, text.find_first_of("/?#", slashes + 2) - slashes - 2);
  const size_t at = authority.rfind('@');
  if (at != std::string::npos &&
      authority.substr(0, at).find_first_of("[]@") != std::string::npos) {
    return false;
  }
  std::string host = at == std::string::npos ? authority : authority.substr(at + 1);
  if (!host.empty() && host[0] == '[') {
    const size_t close = host.find(']');
    if (close == std::string::npos || !matches("(?::\\d*)?", host.substr(close + 1))) return false;
    host = host.substr(1, close - 1);
    return is_ipv6(host) || matches("[vV][0-9A-Fa-f]+\\.[A-Za-z0-9._~!$&'()*+,;=:-]+", host);
  }
  return matches("[^\\[\\]:@]*(?::\\d*)?", host);
}

bool is_uri_template(const std::string& text) {
  return matches(
      "(?:[^\\x00-\\x20\"'<>\\\\^`{|}%]|%[0-9A-Fa-f]{2}|"
      "\\{[+#./;?&=,!@|]?(?:[\\w.]|%[0-9A-Fa-f]{2})+(?::[1-9]\\d{0,3}|\\*)?"
      "(?:,(?:[\\w.]|%[0-9A-Fa-f]{2})+(?::[1-9]\\d{0,3}|\\*)?)*\\})*",
      text);
}

bool is_json_pointer(const std::string& text) { return matches("(?:/(?:[^~/]|~[01])*)*", text); }

bool is_regex(const std::string& text) {
  try {
    EcmaPattern(text, "format");
    return true;
  } catch (const Error&) {
    return false;
  }
}

struct Format {
  std::string_view name;
  bool (*check)(const std::string& text);
};

const Format kFormats[] = {
    {"date", is_date},
    {"time", is_time},
    {"date-time", is_date_time},
    {"duration", is_duration},
    {"uuid", is_uuid},
    {"ipv4", is_ipv4},
    {"ipv6", is_ipv6},
    {"hostname", is_hostname},
    {"email", is_email},
    {"uri", [](const std::string& text) { return is_uri_like(text, true, false); }},
    {"uri-reference", [](const std::string& text) { return is_uri_like(text, false, false); }},
    {"iri", [](const std::string& text) { return is_uri_like(text, true, true); }},
    {"iri-reference", [](const std::string& text) { return is_uri_like(text, false, true); }},
    {"uri-template", is_uri_template},
    {"json-pointer", is_json_pointer},
    {"regex", is_regex},
    {"relative-json-pointer",
     [](const std::string& text) {
       return matches("(?:0|[1-9]\\d*)(?:#|(?:/(?:[^~/]|~[01])*)*)", text);
     }},
};

}  // namespace

bool is_of_format(std::string_view format, const std::string& text) {
  for (const Format& known : kFormats) {
    if (known.name == format) return known.check(text);
  }
  return true;
}

}  // namespace sinter
