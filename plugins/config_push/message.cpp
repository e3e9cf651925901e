#include "message.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "allowed.hpp"
#include "encoding.hpp"
#include "limits.hpp"
#include "refusal.hpp"

namespace hawser::config_push {

namespace {

using Json = nlohmann::json;

[[noreturn]] void wrong(const std::string& what) { throw Refusal("bad_payload", what); }

std::string text_of(const Json& json, const char* key, std::size_t max_bytes) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_string()) wrong(std::string(key) + " must be a text");
  const auto& text = found->get_ref<const std::string&>();
  if (text.empty() || text.size() > max_bytes) wrong(std::string(key) + " has a length that is not allowed");
  return text;
}

std::uint64_t number_of(const Json& json, const char* key, std::uint64_t least, std::uint64_t most) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number_integer() || *found < least || *found > most) {
    wrong(std::string(key) + " must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return found->get<std::uint64_t>();
}

Order read_order(const Json& json) {
  Order order;
  order.revision = text_of(json, "revision", 128);
  const std::string mode = text_of(json, "mode", 16);
  if (mode != "check" && mode != "apply") wrong("mode must be \"check\" or \"apply\"");
  order.check_only = mode == "check";
  order.confirm_timeout_s = static_cast<int>(number_of(json, "confirm_timeout_s", 1, kConfirmTimeoutMax_s));
  order.parts = number_of(json, "parts", 1, kPartsMax);
  const Json reload = json.value("reload", Json::array());
  if (!reload.is_array() || reload.size() > kReloadsMax) wrong("reload must be a list of at most 8 names of actions");
  for (const Json& name : reload) {
    if (!name.is_string() || name.get_ref<const std::string&>().empty())
      wrong("reload must be a list of names of actions");
    order.reload.push_back(name);
  }
  return order;
}

unsigned read_mode(const std::string& text) {
  const bool octal = std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '7'; });
  if (!octal || text.size() < 3 || text.size() > 4) wrong("the mode of a file must be three or four octal digits");
  const unsigned mode = static_cast<unsigned>(std::stoul(text, nullptr, 8));
  if (mode > 0777) wrong("the mode of a file must have no set-user-id, set-group-id or sticky bit");
  return mode;
}

Piece read_piece(const Json& json) {
  if (!json.is_object()) wrong("each of files must be an object");
  Piece piece;
  piece.path = text_of(json, "path", kPathBytesMax);
  if (!is_plain_path(piece.path)) throw Refusal("path_refused", "a path is not absolute and plain: " + piece.path);
  if (json.value("delete", Json(false)) == true) {
    piece.remove = true;
    return piece;
  }
  if (json.contains("offset")) piece.offset = number_of(json, "offset", 0, kRevisionBytesMax);
  if (json.contains("mode")) piece.mode = read_mode(text_of(json, "mode", 4));
  if (json.contains("owner")) piece.owner = text_of(json, "owner", 64);
  if (json.contains("group")) piece.group = text_of(json, "group", 64);
  if (piece.offset == 0 || json.contains("sha256")) piece.sha256 = text_of(json, "sha256", 64);
  const auto content = json.find("content_b64");
  if (content == json.end() || !content->is_string()) wrong("content_b64 must be a text");
  auto bytes = from_base64(content->get_ref<const std::string&>());
  if (!bytes) wrong("content_b64 of " + piece.path + " is not base64");
  piece.content = std::move(*bytes);
  return piece;
}

}  // namespace

std::variant<Part, Fault> read_part(std::string_view text, bool with_content) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return Fault{{}, "not a JSON object"};
  const Json revision = json.value("revision", Json());
  if (!revision.is_string() || revision.get_ref<const std::string&>().empty() ||
      revision.get_ref<const std::string&>().size() > 128) {
    return Fault{{}, "revision must be a text of 1 to 128 bytes"};
  }
  try {
    Part part;
    part.order = read_order(json);
    part.part = number_of(json, "part", 1, part.order.parts);
    if (!json.contains("files")) wrong("files must be a list");
    const Json& files = json.at("files");
    if (!files.is_array() || files.size() > kFilesMax) wrong("files must be a list of at most 512");
    if (with_content) {
      for (const Json& file : files) part.pieces.push_back(read_piece(file));
    }
    return part;
  } catch (const Refusal& refusal) {
    if (with_content) throw;
    return Fault{revision, refusal.what()};
  }
}

}  // namespace hawser::config_push
