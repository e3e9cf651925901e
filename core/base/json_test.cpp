#include "core/base/json.hpp"

#include "tests/catch.hpp"

using namespace hawser;

TEST_CASE("an object comes back with the order and the values it had") {
  const auto object = json::parse_object(R"({"b":1,"a":"x","c":[true,null,{"d":1.5}],"n":-9007199254740991})");
  REQUIRE(object);
  CHECK(json::to_text(*object) == R"({"b":1,"a":"x","c":[true,null,{"d":1.5}],"n":-9007199254740991})");
}

TEST_CASE("what is not one JSON object within the limits is refused with a sentence") {
  const std::string deep = std::string(33, '[') + std::string(33, ']');
  for (const std::string& bad : std::vector<std::string>{"",
                                                         " ",
                                                         "null",
                                                         "[]",
                                                         "7",
                                                         "\"x\"",
                                                         "{",
                                                         "{}{}",
                                                         "{} x",
                                                         "{'a':1}",
                                                         "{\"a\":1,}",
                                                         "{\"a\":NaN}",
                                                         "{\"a\":01}",
                                                         "{\"a\":1e400}",
                                                         "{\"a\":9007199254740992}",
                                                         "{\"a\":18446744073709551615}",
                                                         "{\"a\":99999999999999999999}",
                                                         "{\"a\":1,\"a\":2}",
                                                         "{\"x\":{\"a\":1,\"a\":2}}",
                                                         "{\"a\":\"\xff\"}",
                                                         "{\"a\":" + deep + "}",
                                                         "<html></html>",
                                                         std::string("{}\0", 3),
                                                         "/* c */ {}",
                                                         "{\"a\":tru}"}) {
    INFO(bad);
    const auto object = json::parse_object(bad);
    CHECK_FALSE(object);
    if (!object) CHECK_FALSE(object.error().message.empty());
  }
}

TEST_CASE("a nesting of 32 and an integer of 2^53-1 are still taken") {
  const std::string deep = "{\"a\":" + std::string(31, '[') + std::string(31, ']') + "}";
  CHECK(json::parse_object(deep));
  CHECK(json::parse_object("{\"a\":9007199254740991}"));
}

TEST_CASE("members are read by type and range, and a fault names the member") {
  const auto object = json::parse_object(R"({"s":"abc","i":5,"b":true,"o":{},"l":["x","y"],"f":1.5,"z":null})").value();
  CHECK(json::text_member(object, "s").value() == "abc");
  CHECK(json::integer_member(object, "i", 1, 5).value() == 5);
  CHECK(json::bool_member(object, "b").value());
  CHECK(json::object_member(object, "o"));
  CHECK(json::texts_member(object, "l").value() == std::vector<std::string>{"x", "y"});
  CHECK_FALSE(json::text_member(object, "i"));
  CHECK_FALSE(json::text_member(object, "s", 4));
  CHECK_FALSE(json::integer_member(object, "i", 6, 9));
  CHECK_FALSE(json::integer_member(object, "b"));
  CHECK_FALSE(json::integer_member(object, "f"));
  CHECK_FALSE(json::bool_member(object, "z"));
  CHECK_FALSE(json::texts_member(object, "l", 1));
  CHECK(json::text_member(object, "gone").error().message == "member \"gone\" must be a string");
  CHECK(json::text_or(object, "gone", "d") == "d");
  CHECK(json::integer_or(object, "f", 3) == 3);
}
