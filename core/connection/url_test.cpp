#include "core/connection/url.hpp"

#include "tests/catch.hpp"

using namespace hawser::connection;

TEST_CASE("a wss URL gives host, port and path") {
  const auto url = parse_wss_url("wss://Cloud.Example.COM:8443/hawser/v1/connect/a@b");
  REQUIRE(url);
  CHECK(url->origin.host == "cloud.example.com");
  CHECK(url->origin.port == 8443);
  CHECK(url->path == "/hawser/v1/connect/a@b");
  CHECK(parse_wss_url("wss://a")->path == "/");
  CHECK(parse_wss_url("wss://a/x")->origin.port == 443);
  CHECK(parse_wss_url("wss://[2001:DB8::1]:9/x")->origin.host == "2001:db8::1");
}

TEST_CASE("every other URL is refused") {
  const auto* url =
      GENERATE("", "ws://a/x", "https://a/x", "WSS:/a", "wss://", "wss:///x", "wss://u@a/x", "wss://u:p@a/x",
               "wss://a/x#f", "wss://a/x?q=1", "wss://a:0/x", "wss://a:65536/x", "wss://a:/x", "wss://a:b/x",
               "wss://a:+1/x", "wss://a b/x", "wss://a/\n", "wss://a\\b/x", "wss://a..b/x", "wss://.a/x",
               "wss://[::1/x", "wss://[::1]x/y", "wss://[a.b]/x", "wss://\xc3\xa4.de/x", "wss://-a/x");
  INFO(url);
  const auto parsed = parse_wss_url(url);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().code == "bad_response");
  CHECK_FALSE(parse_wss_url("wss://a/" + std::string(2048, 'x')));
}

TEST_CASE("the host of a server is compared lower case and without a final dot") {
  CHECK(canonical_host("OASIS.Example.com.") == "oasis.example.com");
  CHECK(canonical_host("xn--bcher-kva.example") == "xn--bcher-kva.example");
}
