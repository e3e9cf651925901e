#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

// JSON as sdk/protocol.md §1 wants it, on nlohmann's SAX events. Any thread.
namespace hawser::cloud {

using Json = nlohmann::json;

inline constexpr int kJsonDepthMax = 32;
inline constexpr std::int64_t kJsonIntegerMax = (std::int64_t{1} << 53) - 1;
// A value takes many times the two bytes that it may be written in: without this limit 16 KiB of zstd are 400 MiB here.
inline constexpr std::size_t kJsonValuesMax = 256 << 10;
inline constexpr std::size_t kIdBytesMax = 128;

// One object in UTF-8, no member twice, bounded depth, integers and number of values; else an Error bad_payload with a
// sentence.
Result<Json> parse_strict(std::string_view text);

// As text that no terminal obeys: everything but printable ASCII is escaped, and a program reads the same from it.
inline std::string for_terminal(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', true, Json::error_handler_t::replace);
}

// A breach of a message's schema: thrown by the members below, turned into 400 or 1008 by the one who read the message.
struct SchemaFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Members of the wanted kind and size; absent ones are faults. Lengths in bytes, both ends included.
std::string text_of(const Json& object, const char* name, std::size_t least = 1, std::size_t most = kIdBytesMax);
std::int64_t integer_of(const Json& object, const char* name, std::int64_t least, std::int64_t most = kJsonIntegerMax);
bool bool_of(const Json& object, const char* name);
const Json& array_of(const Json& object, const char* name, std::size_t most);
// Empty when absent; a present member must be right.
std::string text_if_any(const Json& object, const char* name, std::size_t most = kIdBytesMax);

}  // namespace hawser::cloud
