#include "cloud/gateway/beast_download.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/file_body.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/write.hpp>

namespace hawser::cloud {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

namespace {
constexpr auto kSendPieceLimit = std::chrono::seconds(30);
constexpr auto kSendLimit = std::chrono::minutes(15);
constexpr int kSendRetryAfterS = 60;
}  // namespace

asio::awaitable<std::optional<Response>> send_file(TlsStream& stream, const std::string& file) {
  beast::error_code error;
  http::response<http::file_body> response{http::status::ok, 11};
  response.body().open(file.c_str(), beast::file_mode::scan, error);
  if (error) {
    spdlog::error("{}: {}", file, error.message());
    co_return refusal(503, "unavailable", "this cloud cannot read the plugin now", kSendRetryAfterS);
  }
  response.set(http::field::content_type, "application/octet-stream");
  response.set(http::field::cache_control, "no-store");
  response.keep_alive(false);
  response.prepare_payload();
  http::serializer<false, http::file_body> serializer{response};
  const auto end = std::chrono::steady_clock::now() + kSendLimit;
  while (!error && !serializer.is_done() && std::chrono::steady_clock::now() < end) {
    beast::get_lowest_layer(stream).expires_after(kSendPieceLimit);
    co_await http::async_write_some(stream, serializer, asio::redirect_error(asio::use_awaitable, error));
  }
  if (!error && serializer.is_done()) co_await stream.async_shutdown(asio::redirect_error(asio::use_awaitable, error));
  co_return std::nullopt;
}

}  // namespace hawser::cloud
