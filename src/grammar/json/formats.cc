#include "grammar/json/formats.h"

#include <string>

#include "grammar/regex_text.h"

namespace sinter {
namespace {

// RFC 3339. The years are 0001 to 9999, as calendars of most languages have them.
std::string date() {
  const std::string leap =
      "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|"
      "(?:0[48]|[2468][048]|[13579][26])00)";
  const std::string year = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)";
  return "(?:" + year +
         "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|"
         "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|" +
         leap + "-02-29)";
}

// A leap second is known only where the offset is none.
std::string time() {
  return "(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]+)?"
         "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])|"
         "23:59:60(?:\\.[0-9]+)?(?:[Zz]|[+-]00:00))";
}

// RFC 3339, appendix A.
std::string duration() {
  const std::string seconds = "[0-9]+S", minutes = "[0-9]+M(?:" + seconds + ")?",
                    hours = "[0-9]+H(?:" + minutes + ")?", days = "[0-9]+D",
                    months = "[0-9]+M(?:" + days + ")?", years = "[0-9]+Y(?:" + months + ")?",
                    clock = "T(?:" + hours + "|" + minutes + "|" + seconds + ")";
  return "P(?:(?:" + years + "|" + months + "|" + days + ")(?:" + clock + ")?|" + clock +
         "|[0-9]+W)";
}

std::string uuid() {
  return "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}";
}

std::string ipv4() {
  const std::string octet = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
  return "(?:" + octet + "\\.){3}" + octet;
}

// RFC 3986, IPv6address.
std::string ipv6() {
  const std::string h16 = "[0-9A-Fa-f]{1,4}", group = h16 + ":",
                    last = "(?:" + group + h16 + "|" + ipv4() + ")";
  const auto before = [&](const std::string& n) {
    return "(?:(?:" + group + "){0," + n + "}" + h16 + ")?::";
  };
  return "(?:(?:" + group + "){6}" + last + "|::(?:" + group + "){5}" + last + "|(?:" + h16 +
         ")?::(?:" + group + "){4}" + last + "|" + before("1") + "(?:" + group + "){3}" + last +
         "|" + before("2") + "(?:" + group + "){2}" + last + "|" + before("3") + group + last +
         "|" + before("4") + last + "|" + before("5") + h16 + "|" + before("6") + ")";
}

// RFC 1123; the length as a whole is bound beside it. No "--" as third and fourth character: those
// are the labels of internationalised names, which have further rules.
std::string label() {
  return "(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]?[A-Za-z0-9]|"
         "[A-Za-z0-9](?:[A-Za-z0-9-][A-Za-z0-9][A-Za-z0-9-]|[A-Za-z0-9-]{2}[A-Za-z0-9])"
         "[A-Za-z0-9-]{0,58}[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]{2}[A-Za-z0-9])";
}
std::string hostname() { return label() + "(?:\\." + label() + ")*"; }

// RFC 5321, Mailbox.
std::string email() {
  const std::string atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
  const std::string quoted = "\"(?:[ !#-\\[\\]-~]|\\\\[ -~])*\"";
  return "(?:" + atom + "(?:\\." + atom + ")*|" + quoted + ")@(?:" + hostname() + "|\\[" + ipv4() +
         "\\]|\\[IPv6:" + ipv6() + "\\])";
}

// RFC 3986, and RFC 3987 with what is beyond ASCII.
struct UriParts {
  explicit UriParts(bool international) {
    const std::string beyond =
        international ? "\\x{A0}-\\x{D7FF}\\x{F900}-\\x{FDCF}\\x{FDF0}-\\x{FFEF}" : "";
    const std::string basic = beyond + "A-Za-z0-9._~!$&'()*+,;=-", percent = "%[0-9A-Fa-f]{2}";
    const auto chars = [&](const std::string& more) {
      return "(?:[" + more + basic + "]|" + percent + ")";
    };
    const std::string pchar = chars(":@"), segments = "(?:/" + pchar + "*)*";
    const std::string authority = "(?:" + chars(":") + "*@)?(?:\\[(?:" + ipv6() +
                                  "|[vV][0-9A-Fa-f]+\\.[:A-Za-z0-9._~!$&'()*+,;=-]+)\\]|" +
                                  chars("") + "*)(?::[0-9]*)?";
    const std::string rooted =
        "//" + authority + segments + "|/(?:" + pchar + "+" + segments + ")?";
    const std::string tail = "(?:\\?" + chars(":@/?") + "*)?(?:#" + chars(":@/?") + "*)?";
    absolute = "[A-Za-z][A-Za-z0-9+.-]*:(?:" + rooted + "|" + pchar + "+" + segments + "|)" + tail;
    const std::string relative = "(?:" + rooted + "|" + chars("@") + "+" + segments + "|)" + tail;
    reference = "(?:" + absolute + "|" + relative + ")";
  }
  std::string absolute, reference;
};

std::string uri() { return UriParts(false).absolute; }
std::string uri_reference() { return UriParts(false).reference; }
std::string iri() { return UriParts(true).absolute; }
std::string iri_reference() { return UriParts(true).reference; }

// RFC 6570.
std::string uri_template() {
  const std::string percent = "%[0-9A-Fa-f]{2}", var = "(?:[A-Za-z0-9_]|" + percent + ")",
                    name = var + "(?:\\.?" + var + ")*", spec = name + "(?::[1-9][0-9]{0,3}|\\*)?";
  return "(?:[!#$&(-;=?-\\[\\]_a-z~]|" + percent + "|\\{[+#./;?&=,!@|]?" + spec + "(?:," + spec +
         ")*\\})*";
}

std::string json_pointer() { return "(?:/(?:[^~/]|~[01])*)*"; }
std::string relative_json_pointer() { return "(?:0|[1-9][0-9]*)(?:#|" + json_pointer() + ")"; }

// What certainly holds of a format that `words` does not quite exhaust.
std::string any_time() {
  return "[0-9]{2}:[0-9]{2}:(?:[0-5][0-9]|60)(?:\\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})";
}
std::string any_hostname() { return "[A-Za-z0-9.-]{1,255}"; }
std::string any_address() { return ".*@.*"; }
std::string anything() { return ".*"; }
std::string any_word() { return "[^\\x00-\\x20]*"; }
std::string any_scheme() { return "[A-Za-z][A-Za-z0-9+.-]*:" + any_word(); }

struct Format {
  std::string_view name;
  std::string (*pattern)();
  std::string (*outer)() = nullptr;  // what all of the format are; nullptr: the pattern says it
};

// The one list of formats.
const Format kFormats[] = {
    {"date", date},
    {"time", time, any_time},
    {"date-time", [] { return date() + "[Tt]" + time(); },
     [] { return date() + "[Tt]" + any_time(); }},
    {"duration", duration},
    {"uuid", uuid},
    {"ipv4", ipv4},
    {"ipv6", ipv6},
    {"hostname", hostname, any_hostname},
    {"idn-hostname", hostname, anything},
    {"email", email, any_address},
    {"idn-email", email, any_address},
    {"uri", uri},
    {"uri-reference", uri_reference},
    {"iri", iri, any_scheme},
    {"iri-reference", iri_reference, any_word},
    {"uri-template", uri_template, any_word},
    {"json-pointer", json_pointer},
    {"relative-json-pointer", relative_json_pointer},
};

}  // namespace

std::optional<FormatWords> format_words(RegexSet& set, std::string_view name) {
  constexpr uint32_t kHostLength = 253;
  for (const Format& format : kFormats) {
    if (format.name != name) continue;
    RegexText whole;
    whole.dot_matches_newline = true;
    FormatWords made;
    made.words = parse_regex(set, format.pattern(), name, whole);
    if (format.pattern == hostname) {
      made.words = set.both(made.words, set.repeat(set.any_byte(), 1, kHostLength));
    }
    made.others = set.complement(
        format.outer == nullptr ? made.words : parse_regex(set, format.outer(), name, whole));
    return made;
  }
  return std::nullopt;
}

std::vector<std::string_view> format_names() {
  std::vector<std::string_view> names;
  for (const Format& format : kFormats) names.push_back(format.name);
  return names;
}

bool is_irregular_format(std::string_view name) { return name == "regex"; }

}  // namespace sinter
