#include "core/trust/config_schema.hpp"

#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::trust;

TEST_CASE("[sdk-8] a schema of a configuration is known from what is none") {
  for (const char* good : {"{}", R"({"type":["object","null"],"properties":{"a":true,"b":{"$ref":"#/$defs/c"}},)"
                                 R"("required":["a"],"additionalProperties":false,"$defs":{"c":{"minimum":1.5}},)"
                                 R"("x-ours":{"type":7}})"})
    CHECK(check_config_schema(good));
  const std::pair<const char*, const char*> rows[] = {
      {"", "is no JSON Schema: not valid JSON"},
      {"[]", "is no JSON Schema: not one JSON object"},
      {R"({"type":"int"})", "is no JSON Schema: /type must be a type's name"},
      {R"({"type":[]})", "is no JSON Schema: /type must be"},
      {R"({"required":"a"})", "is no JSON Schema: /required must be a list of names"},
      {R"({"properties":[]})", "is no JSON Schema: /properties must be an object of schemas"},
      {R"({"properties":{"a":{"items":7}}})",
       "is no JSON Schema: /properties/a/items must be an object, true or false"},
      {R"({"anyOf":[]})", "is no JSON Schema: /anyOf must be a list of schemas"},
      {R"({"anyOf":[{},1]})", "is no JSON Schema: /anyOf/1 must be an object"},
      {R"({"minLength":-1})", "is no JSON Schema: /minLength must be a whole number"},
      {R"({"maxItems":1.5})", "is no JSON Schema: /maxItems must be a whole number"},
      {R"({"minimum":"1"})", "is no JSON Schema: /minimum must be a number"},
      {R"({"multipleOf":0})", "is no JSON Schema: /multipleOf must be a number above 0"},
      {R"({"uniqueItems":1})", "is no JSON Schema: /uniqueItems must be true or false"},
      {R"({"enum":{}})", "is no JSON Schema: /enum must be a list"},
      {R"({"$ref":"https://example.com/"})", "is no JSON Schema: /$ref must be a place in this schema"},
  };
  for (const auto& [text, sentence] : rows) {
    INFO(text);
    const auto status = check_config_schema(text);
    REQUIRE_FALSE(status);
    CHECK_THAT(status.error().message, Catch::Matchers::StartsWith(sentence));
  }
}
