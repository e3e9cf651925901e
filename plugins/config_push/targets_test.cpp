#include "targets.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "allowed.hpp"
#include "encoding.hpp"
#include "message.hpp"
#include "refusal.hpp"
#include "tests/catch.hpp"

namespace hawser::config_push {
namespace {

namespace fs = std::filesystem;

struct Folder {
  std::string root;
  Folder() {
    char name[] = "/tmp/hawser_targets_test_XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    root = name;
  }
  ~Folder() { fs::remove_all(root); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(root + "/" + name) << text;
    return root + "/" + name;
  }
};

TEST_CASE("[cfg-5] a link anywhere in a path is refused, with openat2 and without") {
  Folder folder;
  fs::create_directories(folder.root + "/real/deep");
  fs::create_symlink(folder.root + "/real", folder.root + "/link");
  const auto how = GENERATE(Resolve::openat2_if_there, Resolve::by_component);
  CHECK(open_folder_of(folder.root + "/real/deep/file", how));
  CHECK(open_folder_of("/file", how));
  CHECK_THROWS_AS(open_folder_of(folder.root + "/link/deep/file", how), Refusal);
  CHECK_THROWS_AS(open_folder_of(folder.root + "/link/file", how), Refusal);
  CHECK_THROWS_AS(open_folder_of(folder.root + "/missing/file", how), Refusal);
  CHECK_THROWS_AS(open_folder_of("/proc/self/root/tmp/file", how), Refusal);
}

TEST_CASE("[cfg-5] a target that is a link, a folder, a device, a pipe or has a second name is refused") {
  Folder folder;
  const std::string plain = folder.write("plain", "x");
  CHECK(look_at(plain)->size == 1);
  CHECK_FALSE(look_at(folder.root + "/missing"));
  fs::create_symlink(plain, folder.root + "/link");
  fs::create_symlink("/does/not/exist", folder.root + "/dangling");
  fs::create_directories(folder.root + "/folder");
  REQUIRE(::mkfifo((folder.root + "/pipe").c_str(), 0600) == 0);
  for (const char* name : {"link", "dangling", "folder", "pipe"}) {
    INFO(name);
    CHECK_THROWS_AS(look_at(folder.root + "/" + name), Refusal);
  }
  if (::geteuid() == 0 && ::mknod((folder.root + "/null").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0) {
    CHECK_THROWS_AS(look_at(folder.root + "/null"), Refusal);
  }
  fs::create_hard_link(plain, folder.root + "/second");
  CHECK_THROWS_AS(look_at(plain), Refusal);
}

TEST_CASE("a staged file has its content, mode and owner before it takes the place of the old one") {
  Folder folder;
  const std::string target = folder.write("target", "old");
  const std::string content = folder.write("content", "new");
  stage(target, ".staged", content, {0640, ::geteuid(), ::getegid()});
  CHECK(read_target(target, 100) == "old");
  swap_in(target, ".staged");
  CHECK(read_target(target, 100) == "new");
  CHECK(look_at(target)->attributes == Attributes{0640, ::geteuid(), ::getegid()});
  remove_target(target);
  remove_target(target);
  CHECK_FALSE(look_at(target));
}

TEST_CASE("[cfg-5] a link that waits under the staged file's name is replaced, not followed") {
  Folder folder;
  const std::string victim = folder.write("victim", "untouched"), target = folder.write("target", "old");
  fs::create_symlink(victim, folder.root + "/.staged");
  stage(target, ".staged", folder.write("content", "new"), {0600, ::geteuid(), ::getegid()});
  CHECK(read_target(victim, 100) == "untouched");
}

TEST_CASE("[cfg-5] only plain absolute paths are paths") {
  for (const char* good : {"/a", "/etc/app/x.conf", "/etc/..hidden", "/etc/a b"}) CHECK(is_plain_path(good));
  for (const char* bad :
       {"", "/", "etc/x", "/etc/../x", "/etc/..", "/etc/./x", "//etc", "/etc//x", "/etc/", "/a\nb", "/a\x7f"}) {
    INFO(bad);
    CHECK_FALSE(is_plain_path(bad));
  }
  CHECK_FALSE(is_plain_path(std::string("/a\0b", 4)));
  CHECK_FALSE(is_plain_path("/" + std::string(256, 'x')));
}

TEST_CASE("[cfg-5] patterns: ** any depth, * one folder, ? one character, never more than they say") {
  CHECK(matches("/etc/app/**", "/etc/app/a/b/c"));
  CHECK_FALSE(matches("/etc/app/**", "/etc/app"));
  CHECK_FALSE(matches("/etc/app/**", "/etc/application"));
  CHECK(matches("/etc/*.conf", "/etc/a.conf"));
  CHECK_FALSE(matches("/etc/*.conf", "/etc/sub/a.conf"));
  CHECK(matches("/etc/?", "/etc/a"));
  CHECK_FALSE(matches("/etc/?", "/etc//"));
  CHECK(matches("/etc/motd", "/etc/motd"));
  CHECK_FALSE(matches("/etc/motd", "/etc/motd2"));
  CHECK(matches("/etc/**/x", "/etc/a/b/x"));
  CHECK(matches("/etc/**/x", "/etc//x"));
  CHECK_FALSE(matches("/etc/**/x", "/etc/a/b/xy"));
  CHECK(matches("/etc/*a*b*", "/etc/xaab"));
  CHECK_FALSE(matches("/etc/*a*b*", "/etc/xaa/b"));
  CHECK(matches("***", "/a/b"));
  const auto fault = [](const char* json) { return std::holds_alternative<std::string>(allowed_from_config(json)); };
  CHECK_FALSE(fault("{}"));
  CHECK_FALSE(fault(R"({"allowed":["/etc/app/**"]})"));
  CHECK(fault("[]"));
  CHECK(fault(R"({"allow":[]})"));
  CHECK(fault(R"({"allowed":"/etc"})"));
  CHECK(fault(R"({"allowed":["etc/**"]})"));
  CHECK(fault(R"({"allowed":["/etc/../**"]})"));
  CHECK(fault(R"({"allowed":[7]})"));
}

TEST_CASE("base64 and SHA-256 are those of their standards") {
  CHECK(from_base64("").value().empty());
  CHECK(from_base64("Zg==").value() == "f");
  CHECK(from_base64("Zm8=").value() == "fo");
  CHECK(from_base64("Zm9vYmFy").value() == "foobar");
  for (const char* bad : {"Zg=", "Zg", "Z===", "Zh==", "Zm9v\n", "Zm-v", "=Zm9", "Zg==Zg=="}) {
    INFO(bad);
    CHECK_FALSE(from_base64(bad));
  }
  Sha256 digest;
  digest.add("a");
  digest.add("bc");
  CHECK(digest.hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("a message that is not what the protocol says is a fault with its revision, or without one") {
  const auto fault = [](const char* json) {
    const auto read = read_part(json, false);
    return std::holds_alternative<Fault>(read) ? "[" + std::get<Fault>(read).revision + "]" : "";
  };
  CHECK(
      fault(R"({"type":"apply","revision":"r","mode":"apply","confirm_timeout_s":9,"part":1,"parts":1,"files":[]})") ==
      "");
  CHECK(fault("") == "[]");
  CHECK(fault("[]") == "[]");
  CHECK(fault(R"({"revision":7})") == "[]");
  CHECK(fault(R"({"revision":"r"})") == "[r]");
  CHECK(fault(R"({"revision":"r","mode":"erase","confirm_timeout_s":9,"part":1,"parts":1,"files":[]})") == "[r]");
  CHECK(fault(R"({"revision":"r","mode":"apply","confirm_timeout_s":0,"part":1,"parts":1,"files":[]})") == "[r]");
  CHECK(fault(R"({"revision":"r","mode":"apply","confirm_timeout_s":9,"part":2,"parts":1,"files":[]})") == "[r]");
  CHECK(fault(R"({"revision":"r","mode":"apply","confirm_timeout_s":9,"part":1,"parts":1e9,"files":[]})") == "[r]");
  CHECK(fault(R"({"revision":"r","mode":"apply","confirm_timeout_s":9,"part":1,"parts":1,"files":{}})") == "[r]");
  CHECK(fault(R"({"revision":"r","mode":"apply","confirm_timeout_s":9,"part":1,"parts":1})") == "[r]");
  CHECK(fault(R"({"revision":"r","mode":"apply","confirm_timeout_s":9,"part":1,"parts":1,"files":[],"reload":"x"})") ==
        "[r]");
}

TEST_CASE("[cfg-5] a pattern of many stars is answered at once, whatever the path") {
  std::string pattern = "/etc/";
  for (int i = 0; i < 20; ++i) pattern += "**a";
  CHECK_FALSE(matches(pattern + "b", "/etc/" + std::string(900, 'a')));  // tried one by one this takes years
  CHECK(matches(pattern, "/etc/" + std::string(900, 'a')));
}

}  // namespace
}  // namespace hawser::config_push
