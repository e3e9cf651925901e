#include "chunk.hpp"

#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "limits.hpp"

namespace hawser::log_upload {

using Json = nlohmann::ordered_json;

Cut cut_chunk(std::string_view data, bool no_more) {
  Cut cut;
  while (cut.bytes < data.size()) {
    const auto newline = data.find('\n', cut.bytes);
    const std::size_t length = (newline == data.npos ? data.size() : newline) - cut.bytes;
    const bool too_long = length > kLineBytesMax;
    if (newline != data.npos && !too_long) {
      cut.bytes = newline + 1;
      ++cut.lines;
      continue;
    }
    if (cut.lines > 0) return cut;  // the odd line begins the next message
    if (too_long) return {kLineBytesMax, 1, true};
    return no_more ? Cut{length, 1, true} : Cut{};
  }
  return cut;
}

std::string to_json(const Header& header) {
  Json json = {{"source", header.source}, {"file_id", header.file_id},
               {"offset", header.offset}, {"end_offset", header.end_offset},
               {"lines", header.lines},   {"first_at", header.first_at},
               {"format", "text"}};
  if (header.partial) json["partial"] = true;
  if (header.lost != 0) json["lost"] = header.lost;
  return json.dump();
}

std::string refused_pull(std::string_view pull_id, std::string_view source, std::string_view code,
                         std::string_view message) {
  const Json json = {{"source", source}, {"file_id", "none"},
                     {"offset", 0},      {"end_offset", 0},
                     {"lines", 0},       {"first_at", now_rfc3339()},
                     {"format", "text"}, {"pull", pull_id},
                     {"end", true},      {"error", {{"code", code}, {"message", message}}}};
  const std::string header = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return big_endian_length(header.size()) + header;
}

std::string big_endian_length(std::size_t length) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>((length >> shift) & 0xff);
  return bytes;
}

std::string now_rfc3339() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::string fraction = std::to_string(1000 + ms % 1000);
  fraction[0] = '.';
  return std::string(text, length) + fraction + "Z";
}

}  // namespace hawser::log_upload
