#include "gate/policy.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace sinter {
namespace {

std::string error_of(const std::string& yaml) {
  try {
    parse_policy(yaml, "p.yaml");
  } catch (const Error& e) {
    return e.code() + " " + e.what();
  }
  return "";
}

TEST(Policy, EnvelopeFileSaysTheDefaults) {
  const Policy file = load_policy(SINTER_SOURCE_DIR "/gates/envelope.yaml");
  EXPECT_EQ(to_line(policy_to_json(file)), to_line(policy_to_json(Policy{})));
}

TEST(Policy, StrictKeepsTheRest) {
  const Policy strict = load_policy(SINTER_SOURCE_DIR "/gates/strict.yaml");
  EXPECT_EQ(strict.success.margin, 0.005);
  EXPECT_EQ(strict.success.confidence, 0.95);
  EXPECT_EQ(strict.critical_max_lost, 0);
}

TEST(Policy, ReadsBackWhatItWrites) {
  Policy p =
      parse_policy("costs:\n  weight_bytes: {max_ratio: 0.6}\ntext: {max_mean_kl: 0.1}", "p");
  const std::string line = to_line(policy_to_json(p));
  EXPECT_EQ(to_line(policy_to_json(parse_policy(line, "again"))), line);
  ASSERT_EQ(p.costs.size(), 1u);
  EXPECT_EQ(*p.costs[0].max_ratio, 0.6);
}

TEST(Policy, ErrorsNameTheLine) {
  EXPECT_NE(error_of("name: a\nsucess:\n  margin: 0.1").find("policy-key p.yaml:2"),
            std::string::npos);
  EXPECT_NE(error_of("success:\n  margn: 0.1").find("p.yaml:2"), std::string::npos);
  EXPECT_NE(error_of("success:\n  margin: much").find("policy-value p.yaml:2"), std::string::npos);
  EXPECT_NE(error_of("success:\n  margin: 0.1\n  margin: 0.2").find("twice"), std::string::npos);
  EXPECT_NE(error_of("success: 3").find("policy-value"), std::string::npos);
  EXPECT_NE(error_of("success: {margin: .nan}").find("policy-value"), std::string::npos);
  EXPECT_NE(error_of("success: {margin: -1}").find("policy-value"), std::string::npos);
  EXPECT_NE(error_of("run: {max_errors: 1.5}").find("whole"), std::string::npos);
  EXPECT_NE(error_of("a: [").find("policy-syntax"), std::string::npos);
  EXPECT_NE(error_of(std::string(200, '[')).find("policy-syntax"), std::string::npos);
  EXPECT_NE(error_of("likelihood: {notice_ratio: 3, fail_ratio: 2}").find("policy-value"),
            std::string::npos);
  EXPECT_EQ(error_of(""), "");
}

}  // namespace
}  // namespace sinter
