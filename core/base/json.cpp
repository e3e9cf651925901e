#include "core/base/json.hpp"

#include <Poco/JSON/JSONException.h>
#include <Poco/JSON/ParseHandler.h>
#include <Poco/JSON/Parser.h>

#include <cmath>
#include <set>
#include <sstream>

#include "core/base/encoding.hpp"

namespace hawser::json {
namespace {

// Poco keeps the last of two members of one name, nests 128 deep and takes any integer; this handler does not.
class StrictHandler : public Poco::JSON::ParseHandler {
 public:
  StrictHandler() : ParseHandler(true) {}

  void startObject() override {
    enter();
    names_.emplace_back();
    ParseHandler::startObject();
  }
  void endObject() override {
    names_.pop_back();
    --depth_;
    ParseHandler::endObject();
  }
  void startArray() override {
    enter();
    ParseHandler::startArray();
  }
  void endArray() override {
    --depth_;
    ParseHandler::endArray();
  }
  void key(const std::string& name) override {
    if (!names_.back().insert(name).second)
      throw Poco::JSON::JSONException("member \"" + printable(name, 64) + "\" stands twice");
    ParseHandler::key(name);
  }
  void value(int number) override { value(static_cast<Poco::Int64>(number)); }
  void value(unsigned number) override { value(static_cast<Poco::Int64>(number)); }
  void value(Poco::Int64 number) override {
    if (number > kIntegerMax || number < -kIntegerMax) throw Poco::JSON::JSONException("an integer is beyond 2^53-1");
    ParseHandler::value(number);
  }
  void value(Poco::UInt64) override { throw Poco::JSON::JSONException("an integer is beyond 2^53-1"); }
  void value(double number) override {
    if (!std::isfinite(number)) throw Poco::JSON::JSONException("a number is not finite");
    ParseHandler::value(number);
  }
  void value(const std::string& text) override { ParseHandler::value(text); }
  void value(bool truth) override { ParseHandler::value(truth); }

 private:
  void enter() {
    if (++depth_ > kDepthMax) throw Poco::JSON::JSONException("nested deeper than 32");
  }

  std::vector<std::set<std::string>> names_;
  int depth_ = 0;
};

template <typename T>
std::string text_of(const T& value) {
  std::ostringstream out;
  value->stringify(out);
  return out.str();
}

Error fault(const std::string& name, const std::string& wanted) {
  return {"bad_response", "member \"" + name + "\" " + wanted};
}

}  // namespace

Result<Object> parse_object(std::string_view text) {
  if (!is_utf8(text)) return Error{"bad_response", "not UTF-8"};
  if (text.find('\0') != text.npos) return Error{"bad_response", "not JSON: a NUL byte"};
  try {
    Poco::JSON::Parser parser(new StrictHandler);
    const auto value = parser.parse(std::string(text));
    if (value.type() != typeid(Object)) return Error{"bad_response", "not one JSON object"};
    return value.extract<Object>();
  } catch (const Poco::Exception& problem) {
    return Error{"bad_response", "not valid JSON: " + printable(problem.message())};
  } catch (const std::exception& problem) {
    return Error{"bad_response", "not valid JSON: " + printable(problem.what())};
  }
}

std::string to_text(const Object& object) { return text_of(object); }
std::string to_text(const Array& array) { return text_of(array); }

Result<std::string> text_member(const Object& object, const std::string& name, std::size_t least, std::size_t most) {
  const auto value = object->get(name);
  if (value.isEmpty() || !value.isString()) return fault(name, "must be a string");
  const auto& text = value.extract<std::string>();
  if (text.size() < least || text.size() > most)
    return fault(name, "must be " + std::to_string(least) + " to " + std::to_string(most) + " bytes long");
  return text;
}

Result<std::int64_t> integer_member(const Object& object, const std::string& name, std::int64_t least,
                                    std::int64_t most) {
  const auto value = object->get(name);
  if (value.isEmpty() || !value.isInteger() || value.isBoolean()) return fault(name, "must be a whole number");
  const auto number = value.convert<Poco::Int64>();
  if (number < least || number > most)
    return fault(name, "must be " + std::to_string(least) + " to " + std::to_string(most));
  return number;
}

Result<bool> bool_member(const Object& object, const std::string& name) {
  const auto value = object->get(name);
  if (value.isEmpty() || !value.isBoolean()) return fault(name, "must be true or false");
  return value.extract<bool>();
}

Result<Object> object_member(const Object& object, const std::string& name) {
  if (!object->isObject(name)) return fault(name, "must be an object");
  return object->getObject(name);
}

Result<Array> array_member(const Object& object, const std::string& name, std::size_t most) {
  if (!object->isArray(name)) return fault(name, "must be an array");
  auto array = object->getArray(name);
  if (array->size() > most) return fault(name, "must have at most " + std::to_string(most) + " elements");
  return array;
}

Result<std::vector<std::string>> texts_member(const Object& object, const std::string& name, std::size_t most) {
  const auto array = array_member(object, name, most);
  if (!array) return array.error();
  std::vector<std::string> texts;
  for (const auto& element : **array) {
    if (!element.isString()) return fault(name, "must hold strings only");
    texts.push_back(element.extract<std::string>());
  }
  return texts;
}

std::string text_or(const Object& object, const std::string& name, const std::string& fallback) {
  const auto text = text_member(object, name, 0, SIZE_MAX);
  return text ? *text : fallback;
}

std::int64_t integer_or(const Object& object, const std::string& name, std::int64_t fallback) {
  const auto number = integer_member(object, name, -kIntegerMax, kIntegerMax);
  return number ? *number : fallback;
}

bool bool_or(const Object& object, const std::string& name, bool fallback) {
  const auto truth = bool_member(object, name);
  return truth ? *truth : fallback;
}

std::optional<Object> object_at(const Array& array, std::size_t index) {
  if (!array->isObject(static_cast<unsigned>(index))) return std::nullopt;
  return array->getObject(static_cast<unsigned>(index));
}

}  // namespace hawser::json
