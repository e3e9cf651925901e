// One HTTP exchange: what is sent, which answers are taken, and what is refused with which words.
#include "core/transport/http.hpp"

#include <atomic>

#include "core/transport/answer_parser.hpp"
#include "core/transport/http_turn.hpp"
#include "core/transport/test_tls_server.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::transport;
using namespace hawser::transport::test;

namespace {

// "200 body" for an answer, else "code: words".
std::string parsed(const std::vector<std::string>& pieces, bool then_end = false,
                   AnswerParser::Want want = AnswerParser::Want::Answer) {
  AnswerParser parser(want);
  Result<bool> done = false;
  for (const std::string& piece : pieces) {
    done = parser.feed(piece);
    if (!done) return done.error().code + ": " + done.error().message;
  }
  if (!*done && then_end) done = parser.end();
  if (!done) return done.error().code + ": " + done.error().message;
  if (!*done) return "waiting";
  const HttpAnswer answer = parser.take_answer();
  return std::to_string(answer.status) + " " + answer.body + (answer.keep_alive ? "" : " (closes)");
}

std::vector<std::string> single_bytes(const std::string& text) {
  std::vector<std::string> pieces;
  for (const char c : text) pieces.emplace_back(1, c);
  return pieces;
}

struct Row {
  std::string what, answer, outcome;  // outcome: how parsed() begins
};

const std::string kOk = "HTTP/1.1 200 OK\r\n";

}  // namespace

TEST_CASE("answers that are well formed are taken, whole and byte by byte") {
  const std::vector<Row> rows = {
      {"counted", kOk + "Content-Length: 5\r\n\r\nHello", "200 Hello"},
      {"no reason", "HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n", "503 "},
      {"empty reason", "HTTP/1.1 429 \r\nContent-Length: 0\r\n\r\n", "429 "},
      {"chunked", kOk + "Transfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n0A\r\n, chunked!\r\n0\r\n\r\n",
       "200 Hello, chunked!"},
      {"chunk extension and trailer", kOk + "transfer-encoding: Chunked\r\n\r\n5;a=b\r\nHello\r\n0\r\nX-Sum: 1\r\n\r\n",
       "200 Hello"},
      {"no body", "HTTP/1.1 204 No Content\r\n\r\n", "204 "},
      {"not modified, with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 "},
      {"100 first", "HTTP/1.1 100 Continue\r\n\r\n" + kOk + "Content-Length: 2\r\n\r\nok", "200 ok"},
      {"a redirect is an answer", "HTTP/1.1 302 Found\r\nLocation: http://evil\r\nContent-Length: 0\r\n\r\n", "302 "},
      {"closing", kOk + "Connection: Close\r\nContent-Length: 2\r\n\r\nok", "200 ok (closes)"},
      {"the largest body", kOk + "Content-Length: 65536\r\n\r\n" + std::string(65536, 'x'),
       "200 " + std::string(65536, 'x')},
      {"blanks around a value", kOk + "Content-Length: \t 2 \t\r\n\r\nok", "200 ok"},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    CHECK(parsed({row.answer}) == row.outcome);
    CHECK(parsed(single_bytes(row.answer)) == row.outcome);
  }
}

TEST_CASE("answers that are not well formed are bad_response, whole and byte by byte") {
  const auto counted = [](const std::string& length) { return kOk + "Content-Length: " + length + "\r\n\r\n"; };
  const auto with = [](const std::string& line) { return kOk + line + "\r\nContent-Length: 0\r\n\r\n"; };
  const auto chunked = [](const std::string& body) { return kOk + "Transfer-Encoding: chunked\r\n\r\n" + body; };
  std::string many;
  for (int i = 0; i < 101; ++i) many += "X-" + std::to_string(i) + ": y\r\n";
  const std::vector<Row> rows = {
      {"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", "not an HTTP/1.1 answer"},
      {"HTTP/2", "HTTP/2 200\r\n\r\n", "not an HTTP/1.1 answer"},
      {"HTTP/1.10", "HTTP/1.10 200 OK\r\n\r\n", "not an HTTP/1.1 answer"},
      {"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", "not an HTTP/1.1 answer"},
      {"HTML", "<html><body>Log in</body></html>", "not an HTTP/1.1 answer"},
      {"no status", "HTTP/1.1 OK\r\n\r\n", "a status line without a status"},
      {"status 99", "HTTP/1.1 099 No\r\n\r\n", "a status line without a status"},
      {"status 600", "HTTP/1.1 600 No\r\n\r\n", "a status line without a status"},
      {"status 2000", "HTTP/1.1 2000 No\r\n\r\n", "a status line without a status"},
      {"101 unasked", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "an interim answer that was not asked for"},
      {"103", "HTTP/1.1 103 Early Hints\r\n\r\n", "an interim answer that was not asked for"},
      {"a folded line", with("X: a\r\n b"), "a folded header line"},
      {"a folded first line", with(" X: a"), "a folded header line"},
      {"no colon", with("nonsense"), "a header line without a proper name"},
      {"no name", with(": x"), "a header line without a proper name"},
      {"a blank before the colon", with("X : y"), "a header line without a proper name"},
      {"a bare LF", with("X: a\nY: b"), "a header value with control characters"},
      {"a bare CR", with("X: a\rY: b"), "a header value with control characters"},
      {"a NUL", with(std::string("X: a\0b", 6)), "a header value with control characters"},
      {"101 fields", kOk + many + "\r\n", "more than 100 header lines"},
      {"an endless header", kOk + "X: " + std::string(17'000, 'x'), "a header block over 16 KiB"},
      {"a header block just too long", kOk + "X: " + std::string(16'384, 'x') + "\r\n\r\n", "a header block over 16"},
      {"length -1", counted("-1"), "a Content-Length that is no number"},
      {"length +1", counted("+1"), "a Content-Length that is no number"},
      {"length 0x5", counted("0x5"), "a Content-Length that is no number"},
      {"length 5, 5", counted("5, 5"), "a Content-Length that is no number"},
      {"no length in it", counted(""), "a Content-Length that is no number"},
      {"two lengths", kOk + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", "a Content-Length that is no number"},
      {"length 65537", counted("65537"), "a body over 64 KiB"},
      {"length 2^63", counted("9223372036854775808"), "a body over 64 KiB"},
      {"length of 30 digits", counted(std::string(30, '9')), "a body over 64 KiB"},
      {"more than the length", counted("2") + "okay", "bytes after the answer"},
      {"an answer behind the answer", counted("2") + "ok" + kOk, "bytes after the answer"},
      {"bytes behind a 204", "HTTP/1.1 204 No Content\r\n\r\nbody", "bytes after the answer"},
      {"length and chunked", kOk + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
       "Content-Length beside Transfer-Encoding"},
      {"gzip", kOk + "Transfer-Encoding: gzip, chunked\r\n\r\n", "a Transfer-Encoding other than chunked"},
      {"a chunk size that is none", chunked("xyz\r\n"), "a chunk without a size"},
      {"a negative chunk", chunked("-5\r\n"), "a chunk without a size"},
      {"an empty chunk size", chunked("\r\n"), "a chunk without a size"},
      {"a chunk longer than it says", chunked("2\r\nHello\r\n0\r\n\r\n"), "a chunk longer than it says"},
      {"a chunk over the limit", chunked("10001\r\n"), "a body over 64 KiB"},
      {"a chunk of 2^63", chunked("8000000000000000\r\n"), "a body over 64 KiB"},
      {"chunks over the limit together", chunked("8000\r\n" + std::string(0x8000, 'x') + "\r\n8001\r\n"),
       "a body over 64 KiB"},
      {"an endless chunk line", chunked("5;" + std::string(300, 'x')), "a chunk line over 256 bytes"},
      {"five times 100",
       kOk.substr(0, 9) + "100 \r\n\r\n" + "HTTP/1.1 100 \r\n\r\nHTTP/1.1 100 \r\n\r\n" +
           "HTTP/1.1 100 \r\n\r\nHTTP/1.1 100 \r\n\r\n",
       "too many interim answers"},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    const std::string whole = parsed({row.answer}), bytewise = parsed(single_bytes(row.answer));
    CHECK(whole.starts_with("bad_response: " + row.outcome));
    // Byte by byte "bytes after the answer" belong to whatever comes next: the answer was complete before.
    if (row.outcome != "bytes after the answer") CHECK(bytewise.starts_with("bad_response: " + row.outcome));
  }
}

TEST_CASE("a bad answer is quoted, printable and at most 120 characters of it") {
  const std::string quoted = parsed({"<html>\x1b[31m\n" + std::string(5000, 'x')});
  CHECK(quoted.starts_with("bad_response: not an HTTP/1.1 answer: \"<html>\\x1b[31m\\x0a"));
  CHECK(quoted.size() < 200);
}

TEST_CASE("a body without a length ends with close_notify, and never over 64 KiB") {
  CHECK(parsed({kOk + "\r\n", "some ", "body"}, true) == "200 some body (closes)");
  CHECK(parsed({kOk + "\r\n" + std::string(65537, 'x')}).starts_with("bad_response: a body over 64 KiB"));
}

TEST_CASE("an end in the middle of an answer is peer_closed and says whether anything came") {
  CHECK(parsed({}, true) == "peer_closed: the server ended the connection without an answer");
  const std::string middle = "peer_closed: the server ended the connection in the middle of its answer";
  CHECK(parsed({"HTTP/1.1 2"}, true) == middle);
  CHECK(parsed({kOk + "Content-Length: 5\r\n\r\nHell"}, true) == middle);
  CHECK(parsed({kOk + "Transfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n"}, true) == middle);
}

TEST_CASE("[sdk-10] a large body goes to a sink as it comes, up to its limit; other answers are kept as usual") {
  const std::string large(200'000, 'x');
  const auto got = [&](std::size_t limit, const std::string& answer) {
    std::string body;
    AnswerParser parser([&](std::string_view bytes) { return body += bytes, ok(); }, limit);
    Result<bool> done = false;
    for (std::size_t at = 0; done && at < answer.size(); at += 7'000) done = parser.feed(answer.substr(at, 7'000));
    if (!done) return done.error().code + ": " + done.error().message.substr(0, 19);
    return std::to_string(parser.take_answer().status) + " " + std::to_string(body.size());
  };
  const std::string counted = kOk + "Content-Length: 200000\r\n\r\n" + large;
  const std::string chunked = kOk + "Transfer-Encoding: chunked\r\n\r\n30d40\r\n" + large + "\r\n0\r\n\r\n";
  for (const std::string& answer : {counted, chunked}) {
    CHECK(got(200'000, answer) == "200 200000");
    CHECK(got(199'999, answer) == "bad_response: a body over 195 KiB");
  }
  CHECK(got(199'999, kOk + "\r\n" + large) == "bad_response: a body over 195 KiB");
  CHECK(got(200'000, "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc") == "404 0");
}

TEST_CASE("headers are found by lower-case name, and only when they stand once") {
  AnswerParser parser(AnswerParser::Want::Answer);
  REQUIRE(parser.feed(kOk + "Hawser-Nonce: abc\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 0\r\n\r\n"));
  const HttpAnswer answer = parser.take_answer();
  CHECK(answer.header("hawser-nonce") == "abc");
  CHECK(answer.header("x-two") == std::nullopt);
  CHECK(answer.header("x-three") == std::nullopt);
}

TEST_CASE("Retry-After is seconds between one and 3600, or nothing") {
  const auto after = [](const std::string& value) {
    HttpAnswer answer;
    answer.headers.emplace("retry-after", value);
    const auto wait = retry_after(answer);
    return wait ? wait->count() : -1;
  };
  CHECK(after("5") == 5);
  CHECK(after("0") == 1);
  CHECK(after("3600") == 3600);
  CHECK(after("1000000000") == 3600);
  CHECK(after(std::string(40, '9')) == 3600);
  for (const char* none : {"", "-1", "+5", "1e9", "5 s", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"}) {
    INFO(none);
    CHECK(after(none) == -1);
  }
  CHECK(retry_after(HttpAnswer{}) == std::nullopt);
}

TEST_CASE("a request has what HTTP/1.1 asks for, once, and cannot be broken out of") {
  const auto text =
      request_text({"cloud.example", 19443}, {"POST", "/hawser/v1/auth", "tok", {{"X-Extra", "1"}}, "{\"a\":1}"});
  REQUIRE(text);
  CHECK(text->starts_with("POST /hawser/v1/auth HTTP/1.1\r\n"));
  for (const char* line : {"\r\nHost: cloud.example:19443\r\n", "\r\nAuthorization: Bearer tok\r\n",
                           "\r\nContent-Type: application/json\r\n", "\r\nContent-Length: 7\r\n", "\r\nX-Extra: 1\r\n",
                           "\r\nUser-Agent: hawser/"}) {
    INFO(line);
    CHECK(text->find(line) != std::string::npos);
    CHECK(text->find(line) == text->rfind(line));
  }
  CHECK(text->ends_with("\r\n\r\n{\"a\":1}"));
  const auto at_443 = request_text({"::1", 443}, {"GET", "/", "", {}, ""});
  REQUIRE(at_443);
  CHECK(at_443->find("Host: [::1]\r\n") != std::string::npos);
  CHECK(at_443->find("Content-") == std::string::npos);
  CHECK(at_443->find("Authorization") == std::string::npos);

  CHECK(!request_text({"h", 1}, {"GET", "/a b", "", {}, ""}));
  CHECK(!request_text({"h", 1}, {"GET", "http://other/", "", {}, ""}));
  CHECK(!request_text({"h", 1}, {"GET", "/\r\nX: y", "", {}, ""}));
  CHECK(!request_text({"h", 1}, {"GET", "/", "tok\r\nX: y", {}, ""}));
  CHECK(!request_text({"h", 1}, {"GET", "/", "", {{"X", "a\nb"}}, ""}));
}

namespace {

struct Device {
  Certificate authority = make_authority();
  Certificate leaf = issue(authority, {"leaf", "DNS:localhost"});
  TestFolder folder;
  Waker waker;
  Dialer dialer{DialSettings{folder.write("ca.pem", authority.certificate_pem()), {}}, waker};

  Result<HttpAnswer> ask(TlsServer& server, const HttpRequest& request, milliseconds limit = 10s) {
    const Origin origin{"localhost", server.port()};
    auto stream = dialer.dial(origin, Clock::now() + 10s);
    if (!stream) return stream.error();
    return exchange(**stream, waker, origin, request, Clock::now() + limit);
  }
};

}  // namespace

TEST_CASE("two exchanges go over one stream when the server keeps it") {
  Device device;
  TlsServer server(device.leaf, [](Peer& peer) {
    for (int i = 0; i < 2; ++i) {
      peer.read_until("\r\n\r\n");
      peer.write(kOk + "Content-Length: 1\r\n\r\n" + std::to_string(peer.read_exactly(2).size()));
    }
    peer.drain();
  });
  const Origin origin{"localhost", server.port()};
  auto stream = device.dialer.dial(origin, Clock::now() + 10s);
  REQUIRE(stream);
  for (int i = 0; i < 2; ++i) {
    const auto answer = exchange(**stream, device.waker, origin, {"POST", "/", "", {}, "{}"}, Clock::now() + 10s);
    INFO((answer ? "" : answer.error().message));
    REQUIRE(answer);
    CHECK(answer->body == "2");
    CHECK(answer->keep_alive);
  }
  (*stream)->shutdown();
}

TEST_CASE("a request of 64 KiB that is refused before it was read still brings the refusal") {
  Device device;
  TlsServer server(device.leaf, [](Peer& peer) {
    peer.read_until("\r\n\r\n");
    peer.write("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    peer.close_notify();
    peer.drain();
  });
  const auto answer = device.ask(server, {"POST", "/", "", {}, std::string(64 * 1024, 'x')});
  INFO((answer ? "" : answer.error().message));
  REQUIRE(answer);
  CHECK(answer->status == 413);
}

TEST_CASE("[conn-21] a silent server is http_timeout, a trickling one as well") {
  Device device;
  const bool trickle = GENERATE(false, true);
  std::atomic<bool> stop{false};
  TlsServer server(device.leaf, [&](Peer& peer) {
    peer.read_until("\r\n\r\n");
    while (trickle && !stop) {
      peer.write("HTTP/1.1 200 OK\r\nX: y");
      ::poll(nullptr, 0, 5);
      for (int i = 0; i < 1000 && !stop; ++i) {
        peer.write("y");
        ::poll(nullptr, 0, 1);
      }
    }
    peer.drain();
  });
  const auto answer = device.ask(server, {"GET", "/", "", {}, ""}, 200ms);
  stop = true;
  REQUIRE(!answer);
  CHECK(answer.error().code == "http_timeout");
}

TEST_CASE("an answer that is cut off is peer_closed, not a short body") {
  Device device;
  const std::string head = GENERATE(kOk + "Content-Length: 10\r\n\r\n", kOk + "\r\n");
  TlsServer server(device.leaf, [head](Peer& peer) {
    peer.read_until("\r\n\r\n");
    peer.write(head + "half");
    peer.cut();
  });
  const auto answer = device.ask(server, {"GET", "/", "", {}, ""});
  REQUIRE(!answer);
  CHECK(answer.error().code == "peer_closed");
  CHECK(answer.error().message.find("localhost:") != std::string::npos);
}

TEST_CASE("[F55] [F65] an answer that no cloud gives is named with status and type, and a lost Upgrade hinted at") {
  struct Row {
    int status;
    const char *type, *body, *plain, *upgrade;
  };
  const Row rows[] = {
      {200, "text/html; charset=utf-8", "<html>", "not a Hawser cloud: HTTP 200 text/html",
       "not a Hawser cloud: HTTP 200 text/html"},
      {302, "", "", "not a Hawser cloud: HTTP 302", "not a Hawser cloud: HTTP 302"},
      {500, "Text/HTML", "<html>", "not a Hawser cloud: HTTP 500 text/html", "not a Hawser cloud: HTTP 500 text/html"},
      {502, "text/html", "<html>", "a proxy before the cloud answers in its place: HTTP 502 text/html",
       "a proxy before the cloud answers in its place: HTTP 502 text/html"},
      {426, "", "", "", "a proxy on the way may have removed Upgrade: HTTP 426"},
      {400, "application/json", "{}", "", "a proxy on the way may have removed Upgrade: HTTP 400 application/json"},
      {404, "application/json", "{}", "", ""},
      {500, "", "", "", ""},
  };
  for (const Row& row : rows) {
    INFO(row.status << " " << row.type);
    HttpAnswer answer;
    answer.status = row.status;
    if (*row.type != '\0') answer.headers.emplace("content-type", row.type);
    answer.body = row.body;
    CHECK(hint_of(answer) == row.plain);
    CHECK(hint_of(answer, true) == row.upgrade);
  }
}
