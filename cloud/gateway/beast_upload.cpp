#include "cloud/gateway/beast_upload.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <vector>

namespace hawser::cloud {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

namespace {

constexpr std::size_t kPieceBytes = 64 << 10;
constexpr auto kPieceLimit = std::chrono::seconds(30);
constexpr auto kWholeLimit = std::chrono::minutes(10);

Response refused(Upload& upload, int status, const std::string& code, const std::string& why) {
  upload.fail(why);
  return refusal(status, code, why);
}

}  // namespace

asio::awaitable<Response> receive_upload(TlsStream& stream, beast::flat_buffer& buffer,
                                         http::request_parser<http::string_body>&& header, Upload upload) {
  http::request_parser<http::buffer_body> parser(std::move(header));
  beast::error_code error;
  if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    http::response<http::empty_body> go_on(http::status::continue_, parser.get().version());
    co_await http::async_write(stream, go_on, asio::redirect_error(asio::use_awaitable, error));
  }
  std::vector<char> piece(kPieceBytes);
  const auto end = std::chrono::steady_clock::now() + kWholeLimit;
  while (!error && !parser.is_done()) {
    auto& body = parser.get().body();
    body.data = piece.data();
    body.size = piece.size();
    beast::get_lowest_layer(stream).expires_after(kPieceLimit);
    co_await http::async_read(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
    if (error == http::error::need_buffer) error = {};
    if (error) break;
    if (auto written = upload.write({piece.data(), piece.size() - body.size}); !written)
      co_return refused(upload, written.error().code == "unavailable" ? 503 : 413, written.error().code,
                        written.error().message);
    if (std::chrono::steady_clock::now() > end)
      co_return refused(upload, 400, "bad_request", "it took over 10 minutes");
  }
  if (error == http::error::body_limit) co_return refused(upload, 413, "body_too_large", "it is larger than 64 MiB");
  if (error) co_return refused(upload, 400, "bad_request", "it ended early: " + error.message());
  if (auto kept = upload.finish(); !kept) co_return refused(upload, 503, kept.error().code, kept.error().message);
  co_return Response{200, "{}"};
}

}  // namespace hawser::cloud
