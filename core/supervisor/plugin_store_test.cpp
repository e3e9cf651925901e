#include "core/supervisor/plugin_store.hpp"

#include "core/supervisor/testing/rig.hpp"
#include "core/trust/testing/signer.hpp"

using namespace hawser;
using namespace hawser::supervisor;
using testing::install;
using testing::put_file;

namespace {

TrustRules in_development() { return {"/nonexistent/trust.d", true, std::chrono::system_clock::now()}; }

std::string refusal(const std::vector<FoundPlugin>& plugins, const std::string& id) {
  for (const auto& plugin : plugins) {
    if (plugin.id == id) return plugin.refusal ? plugin.refusal->message : "accepted";
  }
  return "not there";
}

}  // namespace

TEST_CASE("the newest version of each wanted plugin is found, sorted by id") {
  TestFolder folder;
  install(folder.path(), "acme.b", "1.9.0", "b");
  install(folder.path(), "acme.b", "1.10.0", "b");
  install(folder.path(), "acme.b", "1.10.0-rc.1", "b");
  install(folder.path(), "acme.a", "0.1.0", "a");
  install(folder.path(), "acme.unwanted", "1.0.0", "c");
  std::filesystem::create_directories(folder.path() / "acme.b/backup");
  const auto plugins = find_plugins(folder.path(), {"acme.b", "acme.a", "acme.b"}, in_development());
  REQUIRE(plugins.size() == 2);
  CHECK(plugins[0].id == "acme.a");
  CHECK(plugins[1].version == "1.10.0");
  CHECK(plugins[1].library == folder.path() / "acme.b/1.10.0/plugin.so");
  CHECK(plugins[1].digest == "sha256:" + hex(sha256("a library of acme.b")));
}

TEST_CASE("each refusal on disk is one sentence that names the rule") {
  TestFolder folder;
  const auto& dir = folder.path();
  install(dir, "acme.nolib", "1.0.0", "s1");
  std::filesystem::remove(dir / "acme.nolib/1.0.0/plugin.so");
  install(dir, "acme.nomanifest", "1.0.0", "s2");
  std::filesystem::remove(dir / "acme.nomanifest/1.0.0/manifest.json");
  install(dir, "acme.bad", "1.0.0", "s3");
  put_file(dir / "acme.bad/1.0.0/manifest.json", "{");
  install(dir, "acme.other", "1.0.0", "s4");
  put_file(dir / "acme.other/1.0.0/manifest.json", testing::manifest_text("acme.stranger", "1.0.0", "s4"));
  install(dir, "acme.wrongversion", "1.0.0", "s5");
  put_file(dir / "acme.wrongversion/1.0.0/manifest.json", testing::manifest_text("acme.wrongversion", "2.0.0", "s5"));
  std::filesystem::create_directories(dir / "acme.empty");
  install(dir, "acme.folder", "1.0.0", "s6");
  std::filesystem::remove(dir / "acme.folder/1.0.0/plugin.so");
  std::filesystem::create_directories(dir / "acme.folder/1.0.0/plugin.so");
  install(dir, "acme.z", "1.0.0", "shared");
  install(dir, "acme.y", "1.0.0", "shared");
  const auto plugins = find_plugins(dir,
                                    {"acme.nolib", "acme.nomanifest", "acme.bad", "acme.other", "acme.wrongversion",
                                     "acme.empty", "acme.folder", "acme.absent", "../evil", "acme.z", "acme.y"},
                                    in_development());
  const std::pair<const char*, const char*> rows[] = {
      {"acme.nolib", "the plugin file is missing: "},
      {"acme.nomanifest", "the manifest is missing: "},
      {"acme.bad", "manifest.json: "},
      {"acme.other", "manifest.json: id is \"acme.stranger\", but its folder is "},
      {"acme.wrongversion", "manifest.json: version is \"2.0.0\", but its folder is "},
      {"acme.empty", ""},
      {"acme.folder", "the plugin file is unreadable: "},
      {"acme.absent", "the plugin is not installed: "},
      {"../evil", "\"../evil\" is no plugin id"},
      {"acme.z", "the service \"shared\" is claimed by acme.y already"},
      {"acme.y", "accepted"},
  };
  for (const auto& [id, sentence] : rows) {
    INFO(id);
    CHECK(refusal(plugins, id).substr(0, std::string(sentence).size()) == sentence);
    CHECK((refusal(plugins, id) == "accepted") == (std::string(id) == "acme.y"));
  }
}

TEST_CASE("[sdk-9] only what a trusted key signed is found, and its library is held open as it was checked") {
  TestFolder folder;
  const trust::testing::Signer vendor;
  const auto sign = [&](const std::string& id, const std::string& service, const trust::testing::Signer& signer) {
    install(folder.path(), id, "1.0.0", service);
    std::string manifest = testing::manifest_text(id, "1.0.0", service);
    manifest.insert(1, R"("files":{"plugin.so":")" + hex(sha256("a library of " + id)) + "\"},");
    put_file(folder.path() / id / "1.0.0/manifest.json", manifest);
    put_file(folder.path() / id / "1.0.0/manifest.json.minisig", signer.signature(manifest));
  };
  sign("acme.signed", "s1", vendor);
  sign("acme.stranger", "s2", trust::testing::Signer("stranger"));
  sign("other.signed", "s3", vendor);
  install(folder.path(), "acme.unsigned", "1.0.0", "s4");
  put_file(folder.path() / "trust.d/acme.pub", vendor.public_key());
  put_file(folder.path() / "trust.d/acme.toml", "ids = [\"acme.*\"]\n");
  TrustRules rules{folder.path() / "trust.d", false, std::chrono::system_clock::now()};
  const std::vector<std::string> wanted = {"acme.signed", "acme.stranger", "acme.unsigned", "other.signed"};
  auto plugins = find_plugins(folder.path(), wanted, rules);
  REQUIRE(refusal(plugins, "acme.signed") == "accepted");
  CHECK(plugins[0].signed_by == "0807060504030201");
  CHECK(plugins[0].digest == "sha256:" + hex(sha256("a library of acme.signed")));
  put_file(folder.path() / "acme.signed/1.0.0/plugin.so", "swapped");
  CHECK(*read_file("/proc/self/fd/" + std::to_string(plugins[0].verified.get()), 100) == "a library of acme.signed");
  const std::pair<const char*, const char*> refused[] = {
      {"acme.stranger", "which is not trusted: put the vendor's public key"},
      {"acme.unsigned", "manifest.json.minisig is not there: the plugin is not signed; "},
      {"other.signed", "is of other.signed, which key 0807060504030201 may not sign; "}};
  for (const auto& [id, sentence] : refused) {
    INFO(id << ": " << refusal(plugins, id));
    CHECK(refusal(plugins, id).find(sentence) != std::string::npos);
  }
  rules.development_mode = true;
  plugins = find_plugins(folder.path(), wanted, rules);
  for (const auto& plugin : plugins) CHECK_FALSE(plugin.refusal);
  CHECK(plugins[0].signed_by.empty());  // swapped by now
  CHECK_FALSE(plugins[0].verified);
}
