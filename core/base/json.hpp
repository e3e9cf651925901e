#pragma once

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

// JSON as sdk/protocol.md §1 wants it: UTF-8, one object, no member twice, bounded depth and integers. Any thread.
namespace hawser::json {

using Object = Poco::JSON::Object::Ptr;
using Array = Poco::JSON::Array::Ptr;

inline constexpr int kDepthMax = 32;
inline constexpr std::int64_t kIntegerMax = (std::int64_t{1} << 53) - 1;
inline constexpr std::size_t kIdBytesMax = 128;

// Refuses, with code bad_response and a sentence, whatever breaks the rules above. Never throws.
Result<Object> parse_object(std::string_view text);

// Makes an object whose members keep the order in which they were set.
inline Object make_object() { return new Poco::JSON::Object(Poco::JSON_PRESERVE_KEY_ORDER); }
inline Array make_array() { return new Poco::JSON::Array(); }

// One line, no white space.
std::string to_text(const Object& object);
std::string to_text(const Array& array);

// A member of the wanted type and size, or a sentence that names the member. An absent or null member is a fault.
// Lengths are in bytes, both ends included.
Result<std::string> text_member(const Object& object, const std::string& name, std::size_t least = 1,
                                std::size_t most = kIdBytesMax);
Result<std::int64_t> integer_member(const Object& object, const std::string& name, std::int64_t least = 0,
                                    std::int64_t most = kIntegerMax);
Result<bool> bool_member(const Object& object, const std::string& name);
Result<Object> object_member(const Object& object, const std::string& name);
Result<Array> array_member(const Object& object, const std::string& name, std::size_t most = 1024);
Result<std::vector<std::string>> texts_member(const Object& object, const std::string& name, std::size_t most = 64);

// The same for members that may be absent: `fallback` when absent, of the wrong type, or out of range.
std::string text_or(const Object& object, const std::string& name, const std::string& fallback = "");
std::int64_t integer_or(const Object& object, const std::string& name, std::int64_t fallback);
bool bool_or(const Object& object, const std::string& name, bool fallback);

// The object at `index`, or nothing when that element is no object.
std::optional<Object> object_at(const Array& array, std::size_t index);

}  // namespace hawser::json
