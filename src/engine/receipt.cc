#include "engine/receipt.h"

#include <algorithm>
#include <limits>

#include "base/digest.h"
#include "base/error.h"

namespace sinter {
namespace {

constexpr int64_t kVersion1 = 1;

template <typename T>
T integer(const JsonFields& f, const char* name) {
  const int64_t value = f.integer(name);
  if (value < 0 || static_cast<uint64_t>(value) > std::numeric_limits<T>::max()) {
    fail(Fault::bad_input, "json-field", "{}: /{}: expected 0 to {}, found {}", f.where(), name,
         std::numeric_limits<T>::max(), value);
  }
  return static_cast<T>(value);
}

std::vector<Token> tokens(const JsonFields& f, const char* name) {
  std::vector<Token> out;
  const Json& list = f.at(name);
  for (const Json& t : list.is_array() ? list : Json::array({nullptr})) {
    const int64_t id = t.is_number_integer() ? t.get<int64_t>() : -1;
    if (id < 0 || id > std::numeric_limits<Token>::max()) {
      fail(Fault::bad_input, "json-field", "{}: /{}: expected a list of token ids", f.where(),
           name);
    }
    out.push_back(static_cast<Token>(id));
  }
  return out;
}

std::vector<std::string> strings(const JsonFields& f, const char* name) {
  std::vector<std::string> out;
  const Json& list = f.at(name);
  for (const Json& s : list.is_array() ? list : Json::array({nullptr})) {
    if (!s.is_string()) {
      fail(Fault::bad_input, "json-field", "{}: /{}: expected a list of strings", f.where(), name);
    }
    out.push_back(s.get<std::string>());
  }
  return out;
}

Finish finish_of(const std::string& name, const std::string& where) {
  for (const Finish f : {Finish::none, Finish::stop, Finish::length, Finish::failed}) {
    if (name == to_string(f)) return f;
  }
  fail(Fault::bad_input, "json-field", "{}: /finish: found \"{}\"", where, name);
}

}  // namespace

std::string digest_of(const std::vector<Token>& tokens) {
  Sha256 digest;
  for (const Token t : tokens) digest.add(fmt::format("{}\n", t));
  return digest.hex();
}

Json Receipt::to_json() const {
  return {{"receipt", kVersion1},
          {"model", model},
          {"ran", ran},
          {"asked",
           {{"prompt", prompt},
            {"max_new_tokens", max_new_tokens},
            {"stop", stop},
            {"stop_strings", stop_strings},
            {"skip_special", skip_special},
            {"choice", choice},
            {"sampling", sinter::to_json(sampling)}}},
          {"answered",
           {{"finish", to_string(finish)}, {"tokens", tokens}, {"digest", digest_of(tokens)}}}};
}

Receipt Receipt::from_json(const Json& json, const std::string& where) {
  const JsonFields f(json, where);
  if (f.integer("receipt") != kVersion1) {
    fail(Fault::unsupported, "receipt-version", "{}: expected a receipt of version {}, found {}",
         where, kVersion1, f.integer("receipt"));
  }
  const JsonFields asked = f.object("asked"), answered = f.object("answered");
  Receipt r;
  r.model = f.string("model");
  r.ran = f.object("ran").json();
  r.prompt = sinter::tokens(asked, "prompt");
  r.max_new_tokens = integer<int32_t>(asked, "max_new_tokens");
  r.stop = sinter::tokens(asked, "stop");
  r.stop_strings = strings(asked, "stop_strings");
  r.skip_special = asked.boolean("skip_special", true);
  r.choice = integer<uint32_t>(asked, "choice");
  r.sampling = sampling_params(asked.at("sampling"), where + ": /asked/sampling");
  r.finish = finish_of(answered.string("finish"), answered.where());
  r.tokens = sinter::tokens(answered, "tokens");
  if (answered.string("digest") != digest_of(r.tokens)) {
    fail(Fault::corrupt, "receipt-digest",
         "{}: the tokens do not have the digest that is written beside them; one of them was "
         "changed",
         where);
  }
  return r;
}

std::vector<ReceiptDifference> differences(const Json& was, const Json& is) {
  std::vector<ReceiptDifference> out;
  const auto text = [](const Json& object, const std::string& part) {
    if (!object.contains(part)) return std::string("nothing");
    const Json& value = object[part];
    return value.is_string() ? value.get<std::string>() : to_line(value);
  };
  const auto compare = [&](const std::string& part) {
    const bool known =
        std::any_of(out.begin(), out.end(), [&](const auto& d) { return d.part == part; });
    if (!known && text(was, part) != text(is, part)) {
      out.push_back({part, text(was, part), text(is, part)});
    }
  };
  for (const auto& [part, value] : was.items()) compare(part);
  for (const auto& [part, value] : is.items()) compare(part);
  return out;
}

}  // namespace sinter
