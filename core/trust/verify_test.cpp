#include "core/trust/verify.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <functional>

#include "core/trust/plugin_folder.hpp"
#include "core/trust/testing/signer.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::trust;
using namespace std::chrono;
using testing::Signer;
namespace fs = std::filesystem;

namespace {

const Time kNow = sys_days(2026y / November / 29);

// A signed plugin com.acme.clock 1.0.0 in a folder of its own, and an operator who trusts its vendor.
class Shop {
 public:
  Shop() {
    folder_.write("trust.d/acme.pub", acme.public_key());
    folder_.write("trust.d/acme.toml", "ids = [\"com.acme.*\"]\nuntil = \"2027-12-31\"\n");
    put("plugin.so", library);
    put("data/zones.txt", zones);
    put("config.schema.json", schema);
    pack();
  }

  void put(const std::string& name, const std::string& content) const {
    folder_.write("plugins/" + name_ + "/" + name, content);
  }
  // Writes manifest.json with the digests of the three files, and signs it.
  void pack() { publish(manifest()); }
  void publish(const std::string& manifest) const { publish(manifest, acme.signature(manifest)); }
  void publish(const std::string& manifest, const std::string& signature) const {
    put("manifest.json", manifest);
    put("manifest.json.minisig", signature);
  }
  std::string manifest() const {
    return R"({"id":")" + id + R"(","version":"1.0.0","abi":{"major":1,"minor":0},"services":[{"service":"clock",)" +
           R"("protocols":["acme.clock.v1"]}],"permissions":[)" + permission + R"(],"files":{"plugin.so":")" +
           hex(sha256(library)) + R"(","data/zones.txt":")" + hex(sha256(zones)) + R"(","config.schema.json":")" +
           hex(sha256(schema)) + "\"" + more_files + "}}";
  }
  void trust(const std::string& file, const std::string& text) const { folder_.write("trust.d/" + file, text); }

  fs::path path(const std::string& name = "") const {
    return name.empty() ? folder_.path() / "plugins" / name_ : folder_.path() / "plugins" / name_ / name;
  }
  Result<VerifiedPlugin> verify(Time now = kNow) const {
    config::Faults faults;
    const auto store = TrustStore::load(folder_.path() / "trust.d", faults);
    return verify_plugin(path(), store, now);
  }
  // What is said of it, without the folder's own name; "verified" when nothing is.
  std::string word(Time now = kNow) const {
    const auto plugin = verify(now);
    if (plugin) return "verified";
    std::string text = plugin.error().message;
    const std::string prefix = folder_.path().string() + "/";
    for (auto at = text.find(prefix); at != text.npos; at = text.find(prefix)) text.erase(at, prefix.size());
    return text;
  }

  Signer acme;
  std::string id = "com.acme.clock", permission, more_files;
  std::string library = "the library", zones = "UTC", schema = R"({"type":"object"})";

 private:
  TestFolder folder_;
  std::string name_ = "com.acme.clock/1.0.0";
};

struct Case {
  const char* name;
  std::function<void(Shop&)> spoil;
  const char* sentence;  // how it begins; the rest says what to do
};

const std::string kIn = "plugins/com.acme.clock/1.0.0/";

void check(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    Shop shop;
    one.spoil(shop);
    INFO(one.name);
    const std::string word = shop.word();
    CHECK(has(word, one.sentence));
    CHECK(word.find('\n') == word.npos);
  }
}

}  // namespace

TEST_CASE("[sdk-9] a plugin that a trusted key signed is verified, and its library handed over open") {
  Shop shop;
  const auto plugin = shop.verify();
  REQUIRE(plugin);
  CHECK(plugin->manifest.id == "com.acme.clock");
  CHECK(plugin->key_id == "0807060504030201");
  CHECK(plugin->key_file.filename() == "acme.pub");
  CHECK(plugin->digest == "sha256:" + hex(sha256("the library")));
  CHECK(*read_whole(plugin->library, "library", 100) == "the library");
}

TEST_CASE("[sdk-9] a library that is swapped after the check is not the one that was handed over") {
  Shop shop;
  const auto plugin = shop.verify();
  REQUIRE(plugin);
  const auto evil = shop.path("evil.so");
  shop.put("evil.so", "another library");
  fs::rename(evil, shop.path("plugin.so"));
  CHECK(*read_whole(plugin->library, "library", 100) == "the library");
  CHECK_THAT(shop.word(), Catch::Matchers::StartsWith(kIn + "plugin.so is not the file that was signed"));
}

TEST_CASE("[sdk-9] [B54] whoever did not sign is refused, with the rule and the remedy") {
  check({
      {"unsigned", [](Shop& s) { fs::remove(s.path("manifest.json.minisig")); },
       "is not there: the plugin is not signed; "},
      {"another key", [](Shop& s) { s.publish(s.manifest(), Signer("12345678").signature(s.manifest())); },
       "is by key 3837363534333231, which is not trusted: put the vendor's public key"},
      {"another key with the same number", [](Shop& s) { s.publish(s.manifest(), Signer().signature(s.manifest())); },
       "manifest.json.minisig is not for these bytes, or not by key 0807060504030201; install"},
      {"no trust store", [](Shop& s) { fs::remove_all(s.path("../../../trust.d")); }, "which is not trusted: put"},
      {"no signature", [](Shop& s) { s.publish(s.manifest(), "hello\n"); },
       "manifest.json.minisig: has fewer than the 4 lines"},
      {"signature of another file", [](Shop& s) { s.publish(s.manifest(), s.acme.signature("another")); },
       "is not for these bytes"},
      {"a changed manifest", [](Shop& s) { s.put("manifest.json", s.manifest() + " "); }, "is not for these bytes"},
      {"an id of others", [](Shop& s) { s.trust("acme.toml", "ids = [\"com.acme.shell\"]"); },
       "is of com.acme.clock, which key 0807060504030201 may not sign; add it to ids of trust.d/acme.toml"},
      {"a revoked key", [](Shop& s) { s.trust("revoked.toml", "keys = [\"0807060504030201\"]"); },
       "is by key 0807060504030201, which trust.d/revoked.toml revokes; install a version that another key signed"},
      {"a revoked library",
       [](Shop& s) { s.trust("revoked.toml", "digests = [\"sha256:" + hex(sha256(s.library)) + "\"]"); },
       "plugin.so is revoked: trust.d/revoked.toml names sha256:"},
      {"a revoked version",
       [](Shop& s) { s.trust("revoked.toml", "digests = [\"sha256:" + hex(sha256(s.manifest())) + "\"]"); },
       "manifest.json is revoked by trust.d/revoked.toml; install another version"},
      {"a list of revocations that cannot be read", [](Shop& s) { s.trust("revoked.toml", "keys = 1"); },
       "trust.d/revoked.toml cannot be read, so no key is trusted"},
  });
}

TEST_CASE("[sdk-9] a key ends with its last day") {
  Shop shop;
  const Time end = sys_days(2028y / January / 1);
  CHECK(shop.word(end - 1s) == "verified");
  CHECK(has(shop.word(end), "which was good until 2027-12-31 (trust.d/acme.pub); install"));
}

TEST_CASE("[sdk-9] [B54] [B55] every file of the folder is the one that was signed") {
  check({
      {"one bit of the library", [](Shop& s) { s.put("plugin.so", "the librarx"); },
       "plugin.so is not the file that was signed: its sha256 is "},
      {"a longer file", [](Shop& s) { s.put("data/zones.txt", "UTC+1"); }, "zones.txt is not the file that was signed"},
      {"a file too many", [](Shop& s) { s.put("data/helper.so", "x"); },
       "data/helper.so is not among the files of manifest.json, so nobody signed it; remove it"},
      {"a file too few", [](Shop& s) { fs::remove(s.path("data/zones.txt")); },
       "data/zones.txt is among the files of manifest.json, but not there; install"},
      {"a link",
       [](Shop& s) {
         fs::remove(s.path("data/zones.txt"));
         fs::create_symlink("/etc/hostname", s.path("data/zones.txt"));
       },
       "zones.txt is a symbolic link; put"},
      {"a link to a folder",
       [](Shop& s) {
         fs::rename(s.path("data"), s.path("../data"));
         fs::create_directory_symlink("../data", s.path("data"));
       },
       "data is a symbolic link; put"},
      {"the folder itself is a link",
       [](Shop& s) {
         fs::rename(s.path(), s.path("../1.0.1"));
         fs::create_directory_symlink("1.0.1", s.path());
       },
       "is no folder, or a link to one"},
      {"a device", [](Shop& s) { ::mkfifo(s.path("pipe").c_str(), 0600); },
       "pipe is neither a file nor a folder; remove"},
      {"folders without end", [](Shop& s) { s.put("1/2/3/4/5/6/7/8/9/x", ""); },
       "lies deeper than the 8 folders allowed"},
      {"files without end",
       [](Shop& s) {
         for (int i = 0; i < 130; ++i) s.put("f" + std::to_string(i), "");
       },
       "more than the 128 files allowed; put"},
      {"writable by others", [](Shop& s) { ::chmod(s.path("plugin.so").c_str(), 0777); },
       "plugin.so has mode 0777, so that others than its owner may write to it; chmod go-w it"},
      {"a folder that its group writes to", [](Shop& s) { ::chmod(s.path("data").c_str(), 0775); },
       "data has mode 0775"},
      {"a folder that others can exchange", [](Shop& s) { ::chmod(s.path("..").c_str(), 0777); }, "has mode 0777"},
      {"another version's folder",
       [](Shop& s) {
         fs::rename(s.path(), s.path("../2.0.0"));
         fs::create_directory(s.path());
       },
       "manifest.json is not there"},
  });
  if (::geteuid() == 0)
    check({{"another's file", [](Shop& s) { REQUIRE(::lchown(s.path("plugin.so").c_str(), 1234, 0) == 0); },
            "plugin.so belongs to uid 1234, and must belong to root; chown it"}});
}

TEST_CASE("[sdk-9] [B51] a signed manifest is still held against every rule") {
  check({
      {"not packed",
       [](Shop& s) {
         s.publish(R"({"id":"com.acme.clock","version":"1.0.0","abi":{"major":1,"minor":0},)"
                   R"("services":[{"service":"s","protocols":["p"]}]})");
       },
       "is not among the files of manifest.json"},
      {"no library",
       [](Shop& s) {
         std::string text = s.manifest();
         fs::remove(s.path("plugin.so"));
         s.publish(text.replace(text.find("\"plugin.so\""), std::string("\"plugin.so\":\"\",").size() + 64, ""));
       },
       "plugin.so is not there; install"},
      {"10 MiB", [](Shop& s) { s.put("manifest.json", std::string(10 * 1024 * 1024, ' ')); },
       "manifest.json is larger than the 65536 bytes allowed; make it smaller"},
      {"not JSON", [](Shop& s) { s.publish("{"); }, "manifest.json: not valid JSON"},
      {"an unknown permission",
       [](Shop& s) {
         s.permission = "\"root\"";
         s.pack();
       },
       "permissions holds one that is \"root\"; known are"},
      {"a way out of the folder",
       [](Shop& s) {
         s.more_files = R"(,"../x":"00")";
         s.pack();
       },
       "files names \"../x\", which is no path within the plugin's folder"},
      {"an absolute path",
       [](Shop& s) {
         s.more_files = R"(,"/etc/passwd":"00")";
         s.pack();
       },
       "files names \"/etc/passwd\""},
      {"a digest that is none",
       [](Shop& s) {
         s.more_files = R"(,"x":"00")";
         s.pack();
       },
       "files[\"x\"] must be the file's sha256"},
      {"an id that its folder does not have",
       [](Shop& s) {
         s.id = "com.acme.watch";
         s.pack();
       },
       "holds com.acme.watch 1.0.0, whose folder must be com.acme.watch/1.0.0"},
      {"a schema that is none",
       [](Shop& s) {
         s.schema = R"({"properties":{"port":{"type":"int"}}})";
         s.put("config.schema.json", s.schema);
         s.pack();
       },
       "config.schema.json: is no JSON Schema: /properties/port/type must be a type's name"},
  });
}
