#include "core/trust/bundle.hpp"

#include <zstd.h>

#include <optional>

#include "core/base/files.hpp"
#include "core/trust/installation.hpp"
#include "core/trust/tar_header.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::trust;
namespace fs = std::filesystem;

namespace {

std::string octal(std::uint64_t number, std::size_t digits) {
  std::string text(digits, '0');
  for (std::size_t i = digits; i > 0; --i, number /= 8) text[i - 1] = static_cast<char>('0' + number % 8);
  return text;
}

// One entry as ustar has it; `size` where it is not to be the content's own.
std::string entry(const std::string& name, const std::string& content, char type = '0',
                  std::optional<std::uint64_t> size = {}) {
  std::string block(kTarBlockBytes, '\0');
  const auto put = [&block](std::size_t at, const std::string& text) { block.replace(at, text.size(), text); };
  put(0, name.substr(0, 100));
  put(100, "0006777");  // set-user-id, and everybody may write
  put(108, "0001750");
  put(124, octal(size.value_or(content.size()), 11));
  put(148, "        ");
  block[156] = type;
  put(257, std::string("ustar\0"
                       "00",
                       8));
  std::uint64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, octal(sum, 6) + std::string("\0 ", 2));
  std::string body = content;
  body.resize((content.size() + kTarBlockBytes - 1) / kTarBlockBytes * kTarBlockBytes);
  return block + body;
}

std::string compressed(const std::string& archive, int level = 1) {
  std::string frame(ZSTD_compressBound(archive.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), archive.data(), archive.size(), level));
  return frame;
}

const std::string kEnd(2 * kTarBlockBytes, '\0');

// What is said of a bundle with these bytes, without its name in front; "unpacked" when it was.
std::string word(const std::string& bytes) {
  const TestFolder folder;
  const auto file = folder.write("x.hawser", bytes);
  fs::create_directory(folder.path() / "into");
  const auto status = unpack_bundle(file, folder.path() / "into");
  if (status) return "unpacked";
  const std::string prefix = file.string() + " ";
  CHECK(status.error().message.starts_with(prefix));
  return status.error().message.substr(prefix.size());
}
std::string word_of(const std::string& entries) { return word(compressed(entries + kEnd)); }

}  // namespace

TEST_CASE("[sdk-10] a bundle unpacks to files and folders with tight modes, however its names are written") {
  const TestFolder folder;
  const std::string archive = entry("./", "", '5') + entry("./data/", "", '5') + entry("./data/zones.txt", "UTC") +
                              entry("plugin.so", std::string(70'000, 'x')) + entry("deep/er/file", "") + kEnd;
  const auto file = folder.write("x.hawser", compressed(archive));
  const fs::path into = folder.path() / "into";
  fs::create_directory(into);
  const auto status = unpack_bundle(file, into);
  INFO((status ? "" : status.error().message));
  REQUIRE(status);
  CHECK(*read_file(into / "data/zones.txt", 100) == "UTC");
  CHECK(fs::file_size(into / "plugin.so") == 70'000);
  CHECK(fs::status(into / "plugin.so").permissions() == fs::perms{0644});
  CHECK(fs::status(into / "deep/er").permissions() == fs::perms{0755});
  CHECK(fs::exists(into / "deep/er/file"));
}

TEST_CASE("[sdk-10] a long name of pax or GNU tar is the next entry's name") {
  const std::string name = "data/" + std::string(150, 'n');
  const std::string record = "path=" + name + "\n";
  const std::string pax = std::to_string(record.size() + 4) + " " + record;
  CHECK(word_of(entry("PaxHeader", pax, 'x') + entry("short", "1")) == "unpacked");
  CHECK(word_of(entry("././@LongLink", name + '\0', 'L') + entry("short", "1")) == "unpacked");
  CHECK(word_of(entry("PaxHeader", "20 path=../../evil.s\n", 'x') + entry("short", "1")).find("pax") !=
        std::string::npos);
  CHECK(word_of(entry("PaxHeader", "21 path=../../evil.s\n", 'x') + entry("short", "1")).find("leaves") !=
        std::string::npos);
  CHECK(word_of(entry("././@LongLink", "/etc/passwd", 'L') + entry("short", "1")).find("absolute") !=
        std::string::npos);
}

TEST_CASE("[sdk-10] [B62] [S23] a stranger's archive is refused with the rule and the remedy") {
  std::string files;
  for (int i = 0; i < 200; ++i) files += entry("f" + std::to_string(i), "");
  std::string bad_sum = entry("a", "1");
  bad_sum[0] = 'b';
  const std::pair<std::string, const char*> cases[] = {
      {entry("/etc/passwd", "1"), "holds \"/etc/passwd\", an absolute path"},
      {entry("../evil.so", "1"), "holds \"../evil.so\", a path that leaves the plugin's folder"},
      {entry("data/../../evil.so", "1"), "a path that leaves"},
      {entry("./../evil.so", "1"), "a path that leaves"},
      {entry("data//x", "1"), "which is no path of a plugin's file"},
      {entry("data/\x1b[2J", "1"), "holds \"data/\\x1b[2J\", which is no path"},
      {entry("data/a\nb", "1"), "holds \"data/a\\x0ab\", which is no path"},
      {entry("x", "270 path=" + std::string(260, 'n') + "\n", 'x') + entry("x", "1"),
       "which is no path of a plugin's file"},
      {entry("link", "", '2'), "which is a symbolic link; put the file itself there"},
      {entry("link", "", '1'), "which is a hard link"},
      {entry("null", "", '3'), "which is a device or a pipe"},
      {entry("null", "", '4'), "which is a device or a pipe"},
      {entry("pipe", "", '6'), "which is a device or a pipe"},
      {entry("x", "", 'S'), "of a kind that no plugin needs"},
      {entry("a", "1") + entry("./a", "2"), "holds \"a\", which stands there twice"},
      {entry("a", "1") + entry("a/b", "2"), "holds \"a\", once as a file and once as a folder"},
      {entry("a/b", "1") + entry("a", "2"), "holds \"a\", once as a file and once as a folder"},
      {entry("1/2/3/4/5/6/7/8/9/x", ""), "deeper than the 8 folders allowed"},
      {files, "has more than the 128 files allowed; put them into fewer"},
      {entry("big", "", '0', std::uint64_t{600} * 1024 * 1024), "unpacks to more than the 512 MiB allowed"},
      {entry("d", "1", '5'), "a folder with content"},
      {bad_sum, "holds no tar archive, or a damaged one"},
      {entry("x", "5 size=9\n", 'x'), "pax header"},
      {entry("x", "12 linkpath=y\n", 'x'), "pax header"},
  };
  for (const auto& [entries, sentence] : cases) {
    const std::string said = word_of(entries);
    INFO(said);
    CHECK(said.find(sentence) != said.npos);
    CHECK(said.find('\n') == said.npos);
    CHECK(said.find(';') != said.npos);
  }
}

TEST_CASE("[sdk-10] what is no bundle, or half of one, is refused; and a bomb before it fills the disk") {
  CHECK(word("").find("is cut short") == 0);
  CHECK(word("PK\3\4 a zip").find("is no plugin bundle: it is not compressed with zstd") == 0);
  CHECK(word(compressed(std::string(5000, 'x'))).find("holds no tar archive") == 0);
  CHECK(word(compressed(entry("a", "1"))).find("is cut short: the archive has no end") == 0);
  CHECK(word_of(entry("a", "1") + kEnd + entry("b", "2")).find("holds something behind the end") == 0);
  CHECK(word(compressed(entry("a", "1") + kEnd) + "more").find("is no plugin bundle") == 0);
  std::string damaged = compressed(entry("a", std::string(3000, 'y') + "z") + kEnd);
  damaged[damaged.size() / 2] ^= 1;
  CHECK(word(damaged) != "unpacked");
  // A million folders.
  std::string folders;
  for (int i = 0; i < 2000; ++i) folders += entry("d" + std::to_string(i), "", '5');
  const std::string frame = compressed(folders);
  std::string million;
  for (int i = 0; i < 500; ++i) million += frame;
  CHECK(word(million).find("has more than the 1024 entries allowed; put them into fewer") == 0);
  // Zeros without end behind the archive's end.
  std::string bomb = compressed(entry("a", "1") + kEnd);
  const std::string zeros = compressed(std::string(64 * 1024 * 1024, '\0'));
  for (int i = 0; i < 9; ++i) bomb += zeros;
  CHECK(word(bomb).find("holds something behind the end") == 0);
}

TEST_CASE("[sdk-10] a bundle that is cut at any byte is refused") {
  const std::string whole = compressed(entry("plugin.so", "the library of the clock") + entry("a/b", "1") + kEnd);
  REQUIRE(word(whole) == "unpacked");
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    const std::string said = word(whole.substr(0, bytes));
    INFO(bytes << ": " << said);
    CHECK(said != "unpacked");
  }
}
