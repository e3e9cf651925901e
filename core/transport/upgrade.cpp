#include <openssl/sha.h>

#include <array>

#include "core/base/encoding.hpp"
#include "core/transport/http_turn.hpp"
#include "core/transport/upgrade_check.hpp"
#include "core/transport/websocket_loop.hpp"

namespace hawser::transport {
namespace {

std::string new_key() {
  std::array<std::byte, 16> bytes;
  random_bytes(bytes);
  return base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Error refused(const char* check) {
  return {"upgrade_refused", std::string("the server's 101 fails a check: ") + check};
}

}  // namespace

std::string accept_for(const std::string& key) {
  const std::string text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 §1.3
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

Status check_upgrade(const HttpAnswer& answer, const std::string& key, const std::string& protocol) {
  const auto upgrade_to = answer.header("upgrade");
  if (!upgrade_to || lower(*upgrade_to) != "websocket") return refused("not one \"Upgrade: websocket\"");
  bool connection = false;
  const auto lines = answer.headers.equal_range("connection");
  for (auto line = lines.first; line != lines.second; ++line) connection |= has_token(line->second, "upgrade");
  if (!connection) return refused("no Upgrade in Connection");
  const auto accept = answer.header("sec-websocket-accept");
  if (!accept || *accept != accept_for(key)) return refused("Sec-WebSocket-Accept does not match the key");
  if (answer.headers.contains("sec-websocket-extensions")) return refused("an extension that was not asked for");
  if (protocol.empty()) {
    if (answer.headers.contains("sec-websocket-protocol")) return refused("a subprotocol that was not asked for");
  } else if (const auto spoken = answer.header("sec-websocket-protocol"); !spoken || *spoken != protocol) {
    return refused("Sec-WebSocket-Protocol is not the one that was asked for");
  }
  if (answer.headers.contains("content-length") || answer.headers.contains("transfer-encoding"))
    return refused("a body was announced");
  return ok();
}

Result<Upgrade> upgrade(std::unique_ptr<Stream> stream, Waker& waker, const UpgradeRequest& request,
                        TimePoint deadline) {
  const std::string key = new_key();
  HttpRequest http{"GET", request.path, request.bearer, {}, {}};
  http.headers = {
      {"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Key", key}, {"Sec-WebSocket-Version", "13"}};
  if (!request.protocol.empty()) http.headers.emplace("Sec-WebSocket-Protocol", request.protocol);
  const Result<std::string> text = request_text(request.origin, http);
  if (!text) return text.error();
  AnswerParser parser(AnswerParser::Want::Upgrade);
  if (Status done = converse(*stream, waker, *text, parser, deadline); !done)
    return done.error().with_context(request.origin.text());
  stream->answered();

  Upgrade result;
  result.answer = parser.take_answer();
  if (result.answer.status != 101) return result;
  if (Status passed = check_upgrade(result.answer, key, request.protocol); !passed)
    return passed.error().with_context(request.origin.text());
  result.socket = std::make_unique<WebSocketLoop>(std::move(stream), waker, request.message_bytes_max, parser.rest());
  return result;
}

}  // namespace hawser::transport
