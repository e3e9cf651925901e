#pragma once

#include <string>
#include <string_view>

#include "cloud/gateway/strict_json.hpp"

// One HTTP exchange as plain values, so that what answers it needs no socket.
namespace hawser::cloud {

// Behind it the token of a plugin's bundle; on the connection port, without authorization.
inline constexpr std::string_view kPluginPrefix = "/hawser/v1/plugin/";

struct Request {
  std::string method, path;  // without query; a query is a fault
  std::string bearer;        // the token of Authorization: Bearer, empty when there is none
  std::string host;          // Host without port, lower case
  std::string subprotocol;   // Sec-WebSocket-Protocol as it stood
  bool has_origin = false;
  bool upgrade = false;
  std::string body;
  std::string address;  // the peer's, without port
};

struct Response {
  int status = 200;
  std::string body;
  std::string nonce = {};  // Hawser-Nonce where not empty
  int retry_after_s = 0;   // Retry-After where not 0
};

inline Response refusal(int status, const std::string& code, const std::string& message, int retry_after_s = 0) {
  return {status,
          Json{{"error", {{"code", code}, {"message", message}}}}.dump(-1, ' ', false, Json::error_handler_t::replace),
          "", retry_after_s};
}

}  // namespace hawser::cloud
