#include "compress/corpus/personal.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/mutation.h"
#include "compress/corpus/number_kinds.h"
#include "text/utf8.h"

namespace sinter {
namespace {

std::string clean(const std::string& text) {
  KindCounts counts;
  return Redactor().redact(text, counts);
}

struct Planted {
  const char* kind;
  const char* text;
  const char* want;
};

TEST(Personal, EveryPlantedSecretIsReplacedByItsKind) {
  const Planted planted[] = {
      {"email", "Write to Jane.Doe+x@mail.example.co.uk, please.", "Write to [EMAIL], please."},
      {"email", "jörg@bücher.example", "[EMAIL]"},
      {"email", "a log: \\njane@example.com\\n", "a log: \\n[EMAIL]\\n"},
      {"card", "card 4111 1111 1111 1111.", "card [CARD]."},
      {"card", "card 4111-1111-1111-1111!", "card [CARD]!"},
      {"card", "5500005555555559", "[CARD]"},
      {"card", "amex 3782 822463 10005", "amex [CARD]"},
      {"card", "{'n': 378282246310005}", "{'n': [CARD]}"},
      {"card", "so \\n4111111111111111\\n", "so \\n[CARD]\\n"},
      {"iban", "to DE89 3704 0044 0532 0130 00 today", "to [IBAN] today"},
      {"iban", "GB82WEST12345698765432", "[IBAN]"},
      {"iban", "(NO93 8601 1117 947)", "([IBAN])"},
      {"ip", "from 203.0.113.7:8080", "from [IP]:8080"},
      {"ip", "host 10.0.0.12, up", "host [IP], up"},
      {"ip", "at 2001:db8::8a2e:370:7334.", "at [IP]."},
      {"ip", "[fe80::1ff:fe23:4567:890a]", "[[IP]]"},
      {"phone", "call +49 30 901820-12 now", "call [PHONE] now"},
      {"phone", "+14155552671", "[PHONE]"},
      {"phone", "(415) 555-2671", "[PHONE]"},
      {"phone", "415-555-2671", "[PHONE]"},
      {"phone", "415.555.2671", "[PHONE]"},
      {"phone", "ring 020 7946 0958.", "ring [PHONE]."},
      {"phone", "Phone: 555 0123 44", "Phone: [PHONE]"},
      {"access_key", "id AKIAIOSFODNN7EXAMPLE.", "id [ACCESS_KEY]."},
      {"access_key", "ghp_0123456789abcdefABCDEF0123456789abcd", "[ACCESS_KEY]"},
      {"access_key", "key sk-proj-Ab12Cd34Ef56Gh78Ij90Kl12", "key [ACCESS_KEY]"},
      {"access_key", "xoxb-123456789012-abcdefABCDEF", "[ACCESS_KEY]"},
      {"access_key", "hf_abcdefghijABCDEFGHIJ0123456789abcd", "[ACCESS_KEY]"},
      {"jwt", "t eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9",
       "t [JWT]"},
      {"private_key",
       "x\n-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nz+/9=\n-----END RSA PRIVATE "
       "KEY-----\ny",
       "x\n[PRIVATE_KEY]\ny"},
      {"private_key", "-----BEGIN PRIVATE KEY-----\\nMIIEpAIBAAK\\n-----END PRIVATE KEY-----",
       "[PRIVATE_KEY]"},
      {"private_key", "cut -----BEGIN EC PRIVATE KEY-----\nMIIEpAIBAAK", "cut [PRIVATE_KEY]"},
      {"secret", "password=letmein now", "password=[SECRET] now"},
      {"secret", "DB_PASSWORD=\"correct horse\"", "DB_PASSWORD=\"[SECRET]\""},
      {"secret", "api_key: 'abcd-efgh-1234'", "api_key: '[SECRET]'"},
      {"secret", "my password is hunter2, ok", "my password is [SECRET], ok"},
      {"secret", "Authorization: Bearer abcdef0123456789ABCDEF", "Authorization: Bearer [SECRET]"},
      {"secret", "token: 'abc123def456ghi789'", "token: '[SECRET]'"},
      {"secret", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
       "aws_secret_access_key = [SECRET]"},
      {"secret", "postgres://app:s3cr3t@db/x", "postgres://app:[SECRET]@db/x"},
      {"secret", "client_secret => \"q8Y~abc\"", "client_secret => \"[SECRET]\""},
  };
  const Redactor redactor;
  for (const Planted& p : planted) {
    KindCounts counts;
    EXPECT_EQ(redactor.redact(p.text, counts), p.want);
    EXPECT_EQ(counts, (KindCounts{{p.kind, 1}})) << p.text;
    // What was replaced is not found again.
    counts.clear();
    redactor.redact(p.want, counts);
    EXPECT_TRUE(counts.empty()) << p.want;
  }
}

TEST(Personal, NearMissesStay) {
  const char* const kept[] = {
      "4111 1111 1111 1112",                     // the Luhn sum is wrong
      "at 1699999999999 ms",                     // a clock
      "0.4111111111111111",                      // a fraction
      "4111111111111111abcdef",                  // of a longer name
      "DE89 3704 0044 0532 0130 01",             // the remainder is not 1
      "DE00370400440532013000",                  // likewise
      "version 1.2.3.4 of it",                   // no machine
      "300.1.2.3",                               // no octet
      "1.2.3.4.5",                               // a section
      "127.0.0.1 and ::1 and 255.255.255.0",     // everybody's
      "12:34:56",                                // a time
      "std::vector<int> a::b",                   // a program
      "48+24=72 and 2023-10-12 10:20:30",        // sums, a date
      "0101 0110 0111",                          // bits
      "@property and user@host",                 // no domain
      "A@B.T",                                   // a product of matrices
      "sk-learn-is-a-nice-library-for-it",       // no digit, no capital
      "password: see the manual",                // words
      "def login(user, password=None):",         // a program
      "connect(password=password, key=key)",     // likewise
      "api_key = os.environ[\"KEY\"]",           // likewise
      "secret: ${VAULT_SECRET}",                 // a reference
      "-----BEGIN PUBLIC KEY-----",              // public
      "eyJust.eyJunk",                           // short
      "max_tokens: 4096, token = next(tokens)",  // a program
      "Bearer of bad news",                      // words
      "https://example.com:443/path?q=1",        // no password
      "Natalia sold 48/2 = <<48/2=24>>24 clips in May. #### 72",
  };
  for (const char* text : kept) EXPECT_EQ(clean(text), text);
}

TEST(Personal, JsonStaysJson) {
  const std::string document =
      R"({"card": 4111111111111111, "n": [1, 5500005555555559, 2.5], "note": "mail\nbob@example.com, 4111111111111111",)"
      R"( "password": "no", "api_key": "plain words", "nested": "{\"phone\": \"+14155552671\"}", "x": {"password": {"type": "string"}}})";
  KindCounts counts;
  const std::string out = Redactor().redact(document, counts);
  const Json json = Json::parse(out);
  EXPECT_EQ(json["card"], "[CARD]");
  EXPECT_EQ(json["n"], Json::parse(R"([1, "[CARD]", 2.5])"));
  EXPECT_EQ(json["note"], "mail\n[EMAIL], [CARD]");
  EXPECT_EQ(json["password"], "no");  // too short to be one
  EXPECT_EQ(json["api_key"], "[SECRET]");
  EXPECT_EQ(Json::parse(json["nested"].get<std::string>())["phone"], "[PHONE]");
  EXPECT_EQ(json["x"]["password"]["type"], "string");
  // Within text, a number that is a key's value gets that key's quotes.
  EXPECT_EQ(clean("so {\"card\": 4111111111111111} it is"), "so {\"card\": \"[CARD]\"} it is");
  EXPECT_EQ(clean("so {\\\"card\\\": 4111111111111111}"), "so {\\\"card\\\": \\\"[CARD]\\\"}");
  // Nothing found, nothing touched.
  const std::string spaced = "{ \"a\" :  [1.50, \"\\u00e9\"] }";
  EXPECT_EQ(clean(spaced), spaced);
}

TEST(Personal, ValuesOfMessagesAndTools) {
  Json value = Json::parse(R"({"role": "assistant", "content": null, "tool_calls": [{"function":
      {"name": "pay", "arguments": {"card": 4111111111111111, "bob@example.com": true,
       "password": "correct horse", "count": 3}}}]})");
  KindCounts counts;
  Redactor().redact(value, counts);
  const Json& arguments = value["tool_calls"][0]["function"]["arguments"];
  EXPECT_EQ(arguments, Json::parse(R"({"card": "[CARD]", "[EMAIL]": true, "password": "[SECRET]",
                                       "count": 3})"));
  EXPECT_EQ(counts, (KindCounts{{"card", 1}, {"email", 1}, {"secret", 1}}));
}

TEST(Personal, KindsOfOnesOwn) {
  const Redactor redactor({"ticket=TICKET-\\d+", "badge=badge (\\d+)"});
  KindCounts counts;
  EXPECT_EQ(redactor.redact("TICKET-12 for badge 77", counts), "[TICKET] for badge [BADGE]");
  EXPECT_EQ(counts, (KindCounts{{"badge", 1}, {"ticket", 1}}));
  for (const char* wrong : {"nothing", "=x", "a b=x", "x=(", "x=a*", "x=\\C"}) {
    EXPECT_THROW(Redactor({wrong}), Error) << wrong;
  }
}

TEST(Personal, AnExpressionThatExplodesIsAnError) {
  const Redactor redactor({"slow=(a+)+$"});
  KindCounts counts;
  try {
    redactor.redact(std::string(64, 'a') + "b", counts);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "corpus-redact-limit");
  }
}

TEST(Personal, DamagedTextNeverBreaksIt) {
  const std::string valid =
      R"({"a": "jane@example.com +49 30 901820 DE89370400440532013000", "b": 4111111111111111,)"
      R"( "c": "2001:db8::1ff 10.0.0.1 password=\"x1y2z3\" -----BEGIN PRIVATE KEY-----\nMII"})";
  const Redactor redactor;
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    const std::string text = to_valid_utf8(mutated(valid, seed));
    KindCounts counts;
    const std::string out = redactor.redact(text, counts);
    EXPECT_TRUE(is_utf8(out));
    if (Json::accept(text)) {
      EXPECT_TRUE(Json::accept(out)) << text << "\n" << out;
    }
  }
}

}  // namespace
}  // namespace sinter
