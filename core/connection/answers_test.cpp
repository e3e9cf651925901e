#include "core/connection/answers.hpp"

#include "core/connection/grants.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::connection;
using hawser::transport::HttpAnswer;

namespace {

HttpAnswer answer(int status, std::string body, std::multimap<std::string, std::string> headers = {}) {
  return {status, std::move(headers), std::move(body), true};
}
std::string error_body(const std::string& code) { return R"({"error":{"code":")" + code + R"(","message":"m"}})"; }

}  // namespace

TEST_CASE("a good answer of the authentication gives token and life") {
  const auto judged = judge_authentication(answer(200, R"({"token":"t-1","expires_in":60,"binding":"new","more":[]})"));
  REQUIRE(judged.verdict == Verdict::Accepted);
  CHECK(judged.content->token == "t-1");
  CHECK(judged.content->expires_in == 60s);
  CHECK(judged.content->newly_bound);
  // 2^53-1 s would overflow a clock in nanoseconds.
  const auto endless =
      judge_authentication(answer(200, R"({"token":"t","expires_in":9007199254740991,"binding":"new"})"));
  CHECK(endless.content->expires_in == kTokenLifeMax);
}

TEST_CASE("hostile answers of the authentication are bad_response") {
  const std::string body = GENERATE(
      as<std::string>{}, "", "[]", "null", "<html>no</html>", "{", R"({"token":1,"expires_in":1,"binding":"new"})",
      R"({"token":"","expires_in":1,"binding":"new"})", R"({"token":"a b","expires_in":1,"binding":"new"})",
      R"({"token":"a\nb","expires_in":1,"binding":"new"})", R"({"token":"a","expires_in":0,"binding":"new"})",
      R"({"token":"a","expires_in":"1","binding":"new"})", R"({"token":"a","expires_in":1.5,"binding":"new"})",
      R"({"token":"a","expires_in":1})", R"({"token":"a","expires_in":1,"binding":"old"})",
      R"({"token":null,"expires_in":1,"binding":"new"})", R"({"expires_in":1,"binding":"new"})",
      R"({"token":"a","token":"b","expires_in":1,"binding":"new"})",
      R"({"token":"a","expires_in":9007199254740992,"binding":"new"})");
  INFO(body);
  const auto judged = judge_authentication(answer(200, body));
  CHECK(judged.verdict == Verdict::Failed);
  CHECK_FALSE(judged.content);
  CHECK(judged.setback.error.code == "bad_response");
}

TEST_CASE("[F55] a bad answer is named and shown with its first 120 printable characters, and a token never") {
  const auto html = judge_authentication(answer(200, "<html>\n" + std::string(200, 'x')));
  CHECK(html.setback.error.message.find(R"(HTTP 200: <html>\x0axxx)") != std::string::npos);
  const auto foreign = judge_authentication(answer(200, "<html>", {{"content-type", "text/html; charset=utf-8"}}));
  CHECK(foreign.setback.error.message.find("not a Hawser cloud: HTTP 200 text/html") == 0);
  CHECK(html.setback.error.message.find(std::string(130, 'x')) == std::string::npos);
  const auto leak = judge_authentication(answer(200, R"({"token":"SECRET","expires_in":60,)"));
  CHECK(leak.setback.error.code == "bad_response");
  CHECK(leak.setback.error.message.find("SECRET") == std::string::npos);
  const auto busy = judge_authentication(answer(503, R"({"token":"SECRET","expires_in":60,"binding":"new"})"));
  CHECK(busy.setback.error.code == "unavailable");
  CHECK(busy.setback.error.message.find("SECRET") == std::string::npos);
}

TEST_CASE("each status of an error has its meaning") {
  SECTION("401 nonce_required") {
    CHECK(judge_authentication(answer(401, error_body("nonce_required"))).verdict == Verdict::NonceRequired);
    CHECK(judge_authentication(answer(401, error_body("token_expired"))).verdict == Verdict::Failed);
    CHECK(judge_authentication(answer(401, "who are you?")).setback.error.code == "bad_response");
  }
  SECTION("401 token_expired") {
    CHECK(judge_registration(answer(401, error_body("token_expired"))).verdict == Verdict::TokenRefused);
    CHECK(judge_registration(answer(401, "")).verdict == Verdict::Failed);
  }
  SECTION("403 with a known reason") {
    const auto judged = judge_authentication(answer(403, error_body("unknown_serial")));
    CHECK(judged.setback.error.code == "unknown_serial");
    CHECK(judged.setback.refused);
  }
  SECTION("403 with an unknown reason waits like the others") {
    const auto judged = judge_authentication(answer(403, error_body("bad_mood")));
    CHECK(judged.setback.error.code == "bad_response");
    CHECK(judged.setback.refused);
  }
  SECTION("403 of something that is no cloud of ours") {
    const auto judged = judge_authentication(answer(403, "<html>Forbidden</html>"));
    CHECK(judged.setback.error.code == "bad_response");
    CHECK_FALSE(judged.setback.refused);
  }
  SECTION("429 and 503") {
    const auto busy = judge_registration(answer(429, error_body("too_many_requests"), {{"retry-after", "7"}}));
    CHECK(busy.setback.error.code == "too_many_requests");
    CHECK(busy.setback.retry_after == 7s);
    const auto away = judge_registration(answer(503, "<html>", {{"retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"}}));
    CHECK(away.setback.error.code == "unavailable");
    CHECK_FALSE(away.setback.retry_after);
  }
  SECTION("a redirect, and whatever else") {
    for (const int status : {204, 301, 302, 307, 308, 400, 404, 405, 413, 500, 502})
      CHECK(judge_authentication(answer(status, "x", {{"location", "https://evil/"}})).setback.error.code ==
            "bad_response");
  }
  SECTION("the upgrade") {
    CHECK(judge_upgrade(answer(401, "")).verdict == Verdict::TokenRefused);
    CHECK(judge_upgrade(answer(200, "hello")).setback.error.code == "upgrade_refused");
    CHECK(judge_upgrade(answer(403, error_body("device_blocked"))).setback.refused);
    CHECK(judge_upgrade(answer(503, "", {{"retry-after", "9"}})).setback.retry_after == 9s);
  }
}

TEST_CASE("hostile registrations are bad_response") {
  CHECK(judge_registration(answer(200, R"({"url":"wss://a:1/x","reconnect_spread_s":2})")).verdict ==
        Verdict::Accepted);
  const std::string body =
      GENERATE(as<std::string>{}, "{}", R"({"url":"wss://a/x"})", R"({"url":"ws://a/x","reconnect_spread_s":2})",
               R"({"url":"wss://a/x?q","reconnect_spread_s":2})", R"({"url":"wss://a/x","reconnect_spread_s":-1})",
               R"({"url":"wss://a/x","reconnect_spread_s":3601})", R"({"url":"wss://a/x","reconnect_spread_s":"2"})",
               R"({"url":["wss://a/x"],"reconnect_spread_s":2})", R"({"url":"wss://a/x","reconnect_spread_s":null})");
  INFO(body);
  CHECK(judge_registration(answer(200, body)).setback.error.code == "bad_response");
}

TEST_CASE("nonces and dates are taken only in their form") {
  CHECK(nonce_of(answer(200, "", {{"hawser-nonce", "0123456789abcdef"}})) == "0123456789abcdef");
  for (const auto* bad : {"", "short", "0123456789abcde=", "0123456789 abcdef"})
    CHECK_FALSE(nonce_of(answer(200, "", {{"hawser-nonce", bad}})));
  CHECK_FALSE(nonce_of(answer(200, "", {{"hawser-nonce", std::string(129, 'a')}})));
  const auto date = date_of(answer(200, "", {{"date", "Sun, 06 Nov 1994 08:49:37 GMT"}}));
  REQUIRE(date);
  CHECK(std::chrono::system_clock::to_time_t(*date) == 784111777);
  for (const auto* bad : {"", "yesterday", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT x"})
    CHECK_FALSE(date_of(answer(200, "", {{"date", bad}})));
}

namespace {

const std::vector<Offer> kOffers{{"monitoring", "hawser.monitoring", "1.0.0", "sha256:0", {"hawser.monitoring.v1"}}};

json::Object list_with(const std::string& grant) {
  return *json::parse_object(R"({"type":"subconnection_list","id":"1","grants":[)" + grant + R"(],"refused":[]})");
}
std::string grant(const std::string& member = "", const std::string& value = "") {
  auto object = *json::parse_object(
      R"({"service":"monitoring","protocol":"hawser.monitoring.v1","url":"wss://a/s","token":"t","expires_in":3600,)"
      R"("max_message_bytes":1048576,"max_in_flight_messages":4096,"max_in_flight_bytes":8388608,"ping_s":60,"new":1})");
  std::string text = json::to_text(object);
  if (member.empty()) return text;
  object->remove(member);
  text = json::to_text(object);
  return value.empty() ? text : text.substr(0, text.size() - 1) + ",\"" + member + "\":" + value + "}";
}

}  // namespace

TEST_CASE("a grant is passed on with its known members only") {
  const auto grants = read_grants(list_with(grant()), kOffers, Misfit::Fault);
  REQUIRE(grants);
  REQUIRE(grants->size() == 1);
  CHECK((*grants)[0]->size() == 9);
  CHECK(json::text_or((*grants)[0], "token") == "t");
}

TEST_CASE("a bad grant is a schema fault") {
  struct Case {
    const char *member, *value;
  };
  const Case one = GENERATE(
      Case{"service", ""}, Case{"service", "\"Monitoring\""}, Case{"service", "7"}, Case{"protocol", ""},
      Case{"protocol", "\"other.v1\""}, Case{"url", ""}, Case{"url", "\"ws://a/s\""}, Case{"url", "\"https://a/s\""},
      Case{"url", "\"wss://u@a/s\""}, Case{"token", ""}, Case{"token", "\"\""}, Case{"token", "\"a b\""},
      Case{"token", "\"a\\u0000\""}, Case{"expires_in", "0"}, Case{"expires_in", "\"60\""}, Case{"expires_in", ""},
      Case{"max_message_bytes", "0"}, Case{"max_message_bytes", "1023"}, Case{"max_message_bytes", "2048.5"},
      Case{"max_in_flight_messages", "0"}, Case{"max_in_flight_bytes", "-1"}, Case{"ping_s", "4"},
      Case{"ping_s", "601"}, Case{"ping_s", "true"}, Case{"max_in_flight_bytes", "null"});
  INFO(one.member << " " << one.value);
  const auto grants = read_grants(list_with(grant(one.member, one.value)), kOffers, Misfit::Fault);
  REQUIRE_FALSE(grants);
  CHECK(grants.error().code == "policy");
}

TEST_CASE("lists of grants and refusals are checked as a whole") {
  CHECK_FALSE(read_grants(list_with(grant() + "," + grant()), kOffers, Misfit::Fault));
  CHECK_FALSE(read_grants(list_with("7"), kOffers, Misfit::Fault));
  CHECK_FALSE(read_grants(*json::parse_object(R"({"grants":{}})"), kOffers, Misfit::Fault));
  CHECK_FALSE(read_grants(list_with(grant()), {}, Misfit::Fault));
  CHECK(read_grants(list_with(grant()), {}, Misfit::Skip)->empty());
  const auto refusals = [](const std::string& rows) {
    return read_refusals(*json::parse_object(R"({"refused":[)" + rows + "]}"));
  };
  CHECK(refusals(R"({"service":"a","reason":"microservice_down"})")->at(0).reason == "microservice_down");
  for (const auto* bad :
       {"1", R"({"service":"a"})", R"({"service":"a","reason":"mood"})", R"({"reason":"plugin_blocked"})"})
    CHECK_FALSE(refusals(bad));
  CHECK_FALSE(read_refusals(*json::parse_object("{}")));
}

TEST_CASE("a list of services has each name once, well-formed, and at most 64") {
  std::vector<Offer> offers;
  for (int i = 0; i < 70; ++i) offers.push_back({"s" + std::to_string(i), "p", "1", "d", {"x.v1"}});
  offers.insert(offers.begin() + 1, offers[0]);
  offers.insert(offers.begin(), {"Bad-Name", "p", "1", "d", {"x.v1"}});
  const auto kept = admissible(offers);
  CHECK(kept.size() == 64);
  CHECK(kept.front().service == "s0");
  CHECK(kept.back().service == "s63");
}
