#include "core/trust/config_schema.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "core/base/encoding.hpp"
#include "core/base/json.hpp"

namespace hawser::trust {
namespace {

using Poco::Dynamic::Var;

constexpr std::array<std::string_view, 7> kTypes = {"array",  "boolean", "integer", "null",
                                                    "number", "object",  "string"};

Error wrong(const std::string& pointer, const std::string& wanted) {
  return {"manifest_refused", "is no JSON Schema: " + printable(pointer.empty() ? "/" : pointer, 200) + " must be " +
                                  wanted + "; mend the schema"};
}

bool is_object(const Var& value) { return value.type() == typeid(json::Object); }
bool is_array(const Var& value) { return value.type() == typeid(json::Array); }

bool all_of(const Var& value, bool (*good)(const Var&)) {
  if (!is_array(value)) return false;
  const auto& array = *value.extract<json::Array>();
  return std::all_of(array.begin(), array.end(), good);
}

bool is_text(const Var& value) { return !value.isEmpty() && value.isString(); }
bool is_type(const Var& value) {
  return is_text(value) && std::find(kTypes.begin(), kTypes.end(), value.extract<std::string>()) != kTypes.end();
}
bool is_types(const Var& value) {
  return is_type(value) || (all_of(value, is_type) && value.extract<json::Array>()->size() > 0);
}
bool is_texts(const Var& value) { return all_of(value, is_text); }
bool is_truth(const Var& value) { return !value.isEmpty() && value.isBoolean(); }
bool is_number(const Var& value) { return !value.isEmpty() && value.isNumeric() && !value.isBoolean(); }
bool is_count(const Var& value) { return is_number(value) && value.isInteger() && value.convert<Poco::Int64>() >= 0; }
bool is_step(const Var& value) { return is_number(value) && value.convert<double>() > 0; }
// A schema of its own, and never the plugin's way to make the agent fetch something.
bool is_local(const Var& value) { return is_text(value) && value.extract<std::string>().starts_with('#'); }

// What the keywords are that hold no schema.
struct Plain {
  std::string_view name;
  bool (*good)(const Var&);
  const char* wanted;
};
constexpr Plain kPlain[] = {
    {"type", is_types, "a type's name (array, boolean, integer, null, number, object, string) or a list of them"},
    {"enum", is_array, "a list of values"},
    {"required", is_texts, "a list of names"},
    {"pattern", is_text, "a regular expression in a string"},
    {"format", is_text, "a string"},
    {"title", is_text, "a string"},
    {"description", is_text, "a string"},
    {"minimum", is_number, "a number"},
    {"maximum", is_number, "a number"},
    {"exclusiveMinimum", is_number, "a number"},
    {"exclusiveMaximum", is_number, "a number"},
    {"multipleOf", is_step, "a number above 0"},
    {"minLength", is_count, "a whole number of at least 0"},
    {"maxLength", is_count, "a whole number of at least 0"},
    {"minItems", is_count, "a whole number of at least 0"},
    {"maxItems", is_count, "a whole number of at least 0"},
    {"minProperties", is_count, "a whole number of at least 0"},
    {"maxProperties", is_count, "a whole number of at least 0"},
    {"uniqueItems", is_truth, "true or false"},
    {"$ref", is_local, "a place in this schema, as in \"#/$defs/name\""},
};
// Those that hold one schema, a list of schemas, or schemas by name.
constexpr std::array<std::string_view, 8> kOne = {
    "items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else"};
constexpr std::array<std::string_view, 4> kList = {"allOf", "anyOf", "oneOf", "prefixItems"};
constexpr std::array<std::string_view, 4> kNamed = {"properties", "patternProperties", "$defs", "dependentSchemas"};

template <std::size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Status check(const Var& value, const std::string& pointer);

Status check_list(const Var& value, const std::string& pointer) {
  if (!is_array(value) || value.extract<json::Array>()->size() == 0) return wrong(pointer, "a list of schemas");
  std::size_t number = 0;
  for (const auto& one : *value.extract<json::Array>()) {
    if (auto status = check(one, pointer + "/" + std::to_string(number++)); !status) return status;
  }
  return ok();
}

Status check_named(const Var& value, const std::string& pointer) {
  if (!is_object(value)) return wrong(pointer, "an object of schemas");
  for (const auto& [name, one] : *value.extract<json::Object>()) {
    if (auto status = check(one, pointer + "/" + name); !status) return status;
  }
  return ok();
}

// Depth is bounded by that of the JSON.
Status check(const Var& value, const std::string& pointer) {
  if (is_truth(value)) return ok();
  if (!is_object(value)) return wrong(pointer, "an object, true or false");
  for (const auto& [name, member] : *value.extract<json::Object>()) {
    const std::string at = pointer + "/" + name;
    Status status = ok();
    if (among(kOne, name)) status = check(member, at);
    if (among(kList, name)) status = check_list(member, at);
    if (among(kNamed, name)) status = check_named(member, at);
    const auto* plain =
        std::find_if(std::begin(kPlain), std::end(kPlain), [&key = name](const Plain& p) { return p.name == key; });
    if (plain != std::end(kPlain) && !plain->good(member)) return wrong(at, plain->wanted);
    if (!status) return status;
  }
  return ok();
}

}  // namespace

Status check_config_schema(std::string_view text) {
  if (text.size() > kConfigSchemaBytesMax)
    return Error{"manifest_refused", "is larger than the " + std::to_string(kConfigSchemaBytesMax) + " bytes allowed"};
  const auto object = json::parse_object(text);
  if (!object) return Error{"manifest_refused", "is no JSON Schema: " + object.error().message + "; mend the schema"};
  return check(Var(*object), "");
}

Status check_config_schema_in(const OpenFiles& files, const std::filesystem::path& folder) {
  const auto found = files.find(kConfigSchemaFile);
  if (found == files.end()) return ok();
  const std::string path = (folder / kConfigSchemaFile).string();
  const auto text = read_whole(found->second, path, kConfigSchemaBytesMax);
  if (!text) return text.error();
  const auto status = check_config_schema(*text);
  return status ? ok() : Status(status.error().with_context(path));
}

}  // namespace hawser::trust
