#include "chunk.hpp"

#include <nlohmann/json.hpp>

#include "config.hpp"
#include "limits.hpp"
#include "tests/catch.hpp"

namespace hawser::log_upload {
namespace {

bool same(const Cut& cut, std::size_t bytes, std::uint32_t lines, bool partial) {
  return cut.bytes == bytes && cut.lines == lines && cut.partial == partial;
}

TEST_CASE("a chunk holds whole lines; what has no newline yet waits") {
  CHECK(same(cut_chunk("one\ntwo\nthr", false), 8, 2, false));
  CHECK(same(cut_chunk("thr", false), 0, 0, false));
  CHECK(same(cut_chunk("", true), 0, 0, false));
  CHECK(same(cut_chunk("\n\n", false), 2, 2, false));
}

TEST_CASE("the last line of a finished file goes without its newline, marked partial, in a chunk of its own") {
  CHECK(same(cut_chunk("one\nend", true), 4, 1, false));
  CHECK(same(cut_chunk("end", true), 3, 1, true));
}

TEST_CASE("a line over 64 KiB is cut, one of exactly 64 KiB is not") {
  const std::string exact(kLineBytesMax, 'x'), longer(kLineBytesMax + 1, 'y');
  CHECK(same(cut_chunk(exact + "\n", false), kLineBytesMax + 1, 1, false));
  CHECK(same(cut_chunk(exact, false), 0, 0, false));  // its newline may be the next byte
  CHECK(same(cut_chunk(longer, false), kLineBytesMax, 1, true));
  CHECK(same(cut_chunk(longer + "\nnext\n", false), kLineBytesMax, 1, true));
  CHECK(same(cut_chunk("first\n" + longer + "\n", false), 6, 1, false));
}

TEST_CASE("a header holds what sdk/protocol.md asks for, and partial and lost only where they are") {
  const auto plain = nlohmann::json::parse(
      to_json({.source = "s", .file_id = "f", .offset = 5, .end_offset = 9, .lines = 2, .first_at = "t"}));
  CHECK(plain ==
        nlohmann::json::parse(
            R"({"source":"s","file_id":"f","offset":5,"end_offset":9,"lines":2,"first_at":"t","format":"text"})"));
  const auto full =
      nlohmann::json::parse(to_json({.source = "s", .file_id = "f", .first_at = "t", .partial = true, .lost = 7}));
  CHECK(full.at("partial") == true);
  CHECK(full.at("lost") == 7);
  CHECK(big_endian_length(0x01020304) == "\x01\x02\x03\x04");
  CHECK(now_rfc3339().size() == 24);
}

TEST_CASE("each wrong setting is answered with one sentence that names it") {
  const auto fault = [](const char* json) {
    const auto read = sources_from_config(json);
    return std::holds_alternative<std::string>(read) ? std::get<std::string>(read) : "";
  };
  CHECK(fault("{}").empty());
  CHECK(fault(R"({"sources":[{"name":"a","paths":["/var/log/*.log"],"from":"end"}]})").empty());
  CHECK(fault("[]") != "");
  CHECK(fault(R"({"source":[]})").find("\"source\"") != std::string::npos);
  CHECK(fault(R"({"sources":{}})") != "");
  CHECK(fault(R"({"sources":[1]})") != "");
  CHECK(fault(R"({"sources":[{"name":"a b","paths":["/x"]}]})").find("name") != std::string::npos);
  CHECK(fault(R"({"sources":[{"name":"a"}]})").find("paths") != std::string::npos);
  CHECK(fault(R"({"sources":[{"name":"a","paths":["relative"]}]})").find("begin with /") != std::string::npos);
  CHECK(fault(R"({"sources":[{"name":"a","paths":["/x/"]}]})") != "");
  CHECK(fault(R"({"sources":[{"name":"a","paths":[7]}]})") != "");
  CHECK(fault(R"({"sources":[{"name":"a","paths":["/x"],"from":"middle"}]})").find("from") != std::string::npos);
  CHECK(fault(R"({"sources":[{"name":"a","paths":["/x"],"path":"/y"}]})").find("\"path\"") != std::string::npos);
  CHECK(fault(R"({"sources":[{"name":"a","paths":["/x"]},{"name":"a","paths":["/y"]}]})").find("two") !=
        std::string::npos);
}

}  // namespace
}  // namespace hawser::log_upload
