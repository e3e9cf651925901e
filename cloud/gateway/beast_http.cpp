#include "cloud/gateway/beast_http.hpp"

#include <cctype>
#include <ctime>

namespace hawser::cloud {

namespace beast = boost::beast;
namespace http = beast::http;

namespace {

std::string http_date() {
  char text[64];
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

std::string text(beast::string_view view) { return {view.data(), view.size()}; }

// The host of a Host header: without port and brackets, lower case.
std::string host_of(std::string host) {
  if (host.starts_with("[")) {
    host = host.substr(1, host.find(']') - 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  for (char& c : host) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return host;
}

}  // namespace

Request plain(const HttpRequest& from, const std::string& address) {
  Request request;
  request.method = text(from.method_string());
  request.path = text(from.target());
  request.host = host_of(text(from[http::field::host]));
  request.subprotocol = text(from[http::field::sec_websocket_protocol]);
  request.has_origin = from.count(http::field::origin) != 0;
  request.upgrade = beast::websocket::is_upgrade(from);
  request.body = from.body();
  request.address = address;
  const std::string authorization = text(from[http::field::authorization]);
  if (authorization.size() > 7 && beast::iequals(authorization.substr(0, 7), "Bearer "))
    request.bearer = authorization.substr(7);
  return request;
}

http::response<http::string_body> framed(const Response& from, unsigned version, bool keep_alive) {
  http::response<http::string_body> response{static_cast<http::status>(from.status), version};
  response.set(http::field::date, http_date());
  response.set(http::field::content_type, "application/json");
  response.set(http::field::cache_control, "no-store");
  if (!from.nonce.empty()) response.set("Hawser-Nonce", from.nonce);
  if (from.retry_after_s > 0) response.set(http::field::retry_after, std::to_string(from.retry_after_s));
  if (from.status == 405) response.set(http::field::allow, "GET, POST");
  if (from.status == 401) response.set(http::field::www_authenticate, "Bearer");
  response.body() = from.body;
  response.keep_alive(keep_alive);
  response.prepare_payload();
  return response;
}

}  // namespace hawser::cloud
