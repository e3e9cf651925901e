#include "core/base/encoding.hpp"

#include "tests/catch.hpp"

using namespace hawser;

TEST_CASE("base64 and base64url hold the vectors of RFC 4648 and come back unchanged") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64url("\xfb\xff") == "-_8");
  for (std::size_t n = 0; n < 40; ++n) {
    std::string bytes(n, '\0');
    random_bytes(std::as_writable_bytes(std::span(bytes)));
    CHECK(from_base64url(base64url(bytes)).value() == bytes);
    CHECK(from_base64(base64(bytes)).value() == bytes);
  }
}

TEST_CASE("base64url refuses padding, foreign characters, impossible lengths and stray bits") {
  for (const char* bad : {"Zg==", "Zg+", "Zg/", "A", "Zh", "Z g", "Zm9=\n"}) CHECK_FALSE(from_base64url(bad));
  for (const char* bad : {"Zg", "Zg=", "====", "Zh==", "Zm9v=Zm9"}) CHECK_FALSE(from_base64(bad));
}

TEST_CASE("printable text carries no control character, no broken UTF-8 and no direction override") {
  CHECK(printable("a\x1b[31mb\r\n") == "a\\x1b[31mb\\x0d\\x0a");
  CHECK(printable("\xff\xc3") == "\\xff\\xc3");
  CHECK(printable("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
  CHECK(printable("\xe2\x80\xae") == "\\xe2\\x80\\xae");
  CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");
  CHECK(printable(std::string(200, 'x')) == std::string(120, 'x') + "...");
}

TEST_CASE("UTF-8 is checked as RFC 3629 says") {
  CHECK(is_utf8("\xf0\x9f\x9a\xa2 ship"));
  for (const char* bad : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"})
    CHECK_FALSE(is_utf8(bad));
}

TEST_CASE("random numbers stay below their bound and uuids have the form of version 4") {
  CHECK(random_below(0) == 0);
  for (int i = 0; i < 1000; ++i) CHECK(random_below(7) < 7);
  const std::string uuid = random_uuid();
  REQUIRE(uuid.size() == 36);
  CHECK(uuid[14] == '4');
  CHECK(random_uuid() != uuid);
}
