// What the forms of a report share: escaping, shortening, and where two answers part.
#include <fmt/format.h>

#include <algorithm>

#include "gate/report.h"

namespace sinter {
namespace {

// Length of the UTF-8 character at `i`, 0 if there is none (RFC 3629: no overlong forms, surrogates
// or values above U+10FFFF), and its code point.
size_t character_at(std::string_view text, size_t i, uint32_t& code) {
  const auto byte = [&](size_t k) { return static_cast<unsigned char>(text[k]); };
  const unsigned char lead = byte(i);
  if (lead < 0x80) {
    code = lead;
    return 1;
  }
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || i + length > text.size()) return 0;
  code = lead & (0xFFu >> (length + 1));
  for (size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xC0) != 0x80) return 0;
    code = (code << 6) | (byte(i + k) & 0x3Fu);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return 0;
  return length;
}

bool in_xml(uint32_t code) {
  if (code < 0x20) return code == '\t' || code == '\n' || code == '\r';
  return code != 0x7F && code != 0xFFFE && code != 0xFFFF;
}

size_t boundary_below(std::string_view text, size_t at) {
  at = std::min(at, text.size());
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

size_t boundary_above(std::string_view text, size_t at) {
  at = std::min(at, text.size());
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return at;
}

}  // namespace

std::string escape_markup(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (size_t i = 0; i < text.size();) {
    uint32_t code = 0;
    const size_t length = character_at(text, i, code);
    if (length == 0 || !in_xml(code)) {
      out += "\xEF\xBF\xBD";
      i += std::max<size_t>(1, length);
      continue;
    }
    switch (code) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += text.substr(i, length);
    }
    i += length;
  }
  return out;
}

std::string shorten(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  return std::string(text.substr(0, boundary_below(text, bytes))) + "\xE2\x80\xA6";
}

Divergence diverge(const Answer& before, const Answer& after) {
  Divergence d;
  const size_t common = std::min(before.tokens.size(), after.tokens.size());
  while (d.token < common && before.tokens[d.token] == after.tokens[d.token]) ++d.token;
  const auto known = [](const Answer& a) {
    return !a.token_ends.empty() && a.token_ends.size() + 1 >= a.tokens.size();
  };
  if (!known(before) || !known(after)) {
    size_t same = 0;
    const size_t shorter = std::min(before.text.size(), after.text.size());
    while (same < shorter && before.text[same] == after.text[same]) ++same;
    same = boundary_below(before.text, same);
    d.before_begin = d.after_begin = std::min(same, shorter);
    d.before_end = boundary_above(before.text, d.before_begin + 1);
    d.after_end = boundary_above(after.text, d.after_begin + 1);
    return d;
  }
  const auto bytes_of = [&](const Answer& a, size_t& begin, size_t& end) {
    const auto end_of = [&](size_t token) {
      if (token >= a.token_ends.size()) return a.text.size();
      return boundary_above(a.text, static_cast<size_t>(std::max(0, a.token_ends[token])));
    };
    begin = d.token == 0 ? 0 : end_of(d.token - 1);
    end = std::max(begin, end_of(d.token));
  };
  bytes_of(before, d.before_begin, d.before_end);
  bytes_of(after, d.after_begin, d.after_end);
  return d;
}

std::string prompt_text(const Item& item) {
  std::string text;
  for (const Json& message : item.messages) {
    if (!text.empty()) text += "\n\n";
    text += message.value("role", "") + ": ";
    const auto content = message.find("content");
    if (content != message.end() && content->is_string()) {
      text += content->get<std::string>();
    } else {
      Json rest = message;
      rest.erase("role");
      text += to_line(rest);
    }
  }
  if (item.tools.is_array() && !item.tools.empty()) {
    text += "\n\ntools:";
    for (const Json& tool : item.tools) {
      const auto function = tool.is_object() ? tool.find("function") : tool.end();
      const bool named = tool.is_object() && function != tool.end() && function->is_object();
      text += fmt::format(" {}", named ? function->value("name", "?") : "?");
    }
  }
  return text;
}

std::string subject_name(const Run& run, const std::string& otherwise) {
  const Json identity = run.identity();
  const auto model = identity.find("model");
  if (model == identity.end() || !model->is_string()) return otherwise;
  return model->get<std::string>();
}

std::string percent_text(double share, int decimals) {
  return fmt::format("{:.{}f} %", 100 * share, decimals);
}

std::vector<std::pair<std::string, std::pair<double, double>>> fixed_costs(const Costs& costs) {
  std::vector<std::pair<std::string, std::pair<double, double>>> list;
  const auto group = [](const Json& all) -> Json {
    if (!all.is_object() || !all.contains("fixed") || !all.at("fixed").is_object()) return Json();
    return all.at("fixed");
  };
  const Json before = group(costs.baseline);
  const Json after = group(costs.candidate);
  if (!before.is_object() || !after.is_object()) return list;
  for (const auto& [name, value] : before.items()) {
    const auto other = after.find(name);
    if (other == after.end() || !value.is_number() || !other->is_number()) continue;
    list.push_back({name, {value.get<double>(), other->get<double>()}});
  }
  return list;
}

}  // namespace sinter
