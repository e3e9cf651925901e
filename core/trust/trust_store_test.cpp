#include "core/trust/trust_store.hpp"

#include <sys/stat.h>

#include "core/trust/testing/signer.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::trust;
using namespace std::chrono;
using testing::Signer;

namespace {

const Signer& acme() {
  static const Signer signer;
  return signer;
}
constexpr const char* kAcmeId = "0807060504030201";

// The first fault of a store, without the folder's name.
std::string fault_of(const TestFolder& folder, const TrustStore& store, const config::Faults& faults) {
  if (faults.faults().empty()) return "none, of " + std::to_string(store.size());
  return faults.faults()[0].substr(folder.path().string().size() + 1);
}

struct Row {
  const char *pub, *companion, *revoked, *sentence;  // nullptr: no such file
};

}  // namespace

TEST_CASE("[sdk-9] a key signs the ids that the operator wrote beside it, to the end of its last day") {
  const TestFolder folder;
  folder.write("acme.pub", acme().public_key());
  folder.write("acme.toml", "ids = [\"com.acme.*\", \"org.acme.clock\"]\nuntil = \"2027-02-28\"\n");
  folder.write("README", "not a key");
  config::Faults faults;
  const auto store = TrustStore::load(folder.path(), faults);
  CHECK(faults.faults().empty());
  REQUIRE(store.find(kAcmeId));
  const TrustedKey& key = *store.find(kAcmeId);
  for (const char* id : {"com.acme.clock", "com.acme.lab.clock", "org.acme.clock"}) CHECK(key.may_sign(id));
  for (const char* id : {"com.acme", "com.acmes.clock", "org.acme.clocks", "org.acme.clock.two", "hawser.monitoring"})
    CHECK_FALSE(key.may_sign(id));
  CHECK(key.until == Time(sys_days(2027y / March / 1)));
  CHECK_FALSE(store.find("0807060504030202"));
}

TEST_CASE("[sdk-9] a folder that is not there trusts nobody, and is no fault") {
  const TestFolder folder;
  config::Faults faults;
  const auto store = TrustStore::load(folder.path() / "none", faults);
  CHECK(faults.faults().empty());
  CHECK(store.size() == 0);
  CHECK_FALSE(store.broken());
}

TEST_CASE("[sdk-9] keys and digests are revoked as people write them") {
  const TestFolder folder;
  const std::string digest(64, 'a');
  folder.write("revoked.toml",
               "keys = [\"807060504030201\", \"e7620f1842b4e81f\"]\ndigests = [\"sha256:" + digest + "\"]\n");
  config::Faults faults;
  const auto store = TrustStore::load(folder.path(), faults);
  CHECK(faults.faults().empty());
  CHECK(store.is_revoked_key(kAcmeId));
  CHECK(store.is_revoked_key("E7620F1842B4E81F"));
  CHECK(store.is_revoked_digest(digest));
  CHECK_FALSE(store.broken());
}

TEST_CASE("[sdk-9] a trust store with a fault trusts less, never more, and says where the fault is") {
  const std::string good = acme().public_key();
  const char* const key = good.c_str();
  const Row rows[] = {
      {"", "ids = [\"a.b\"]", nullptr, "acme.pub: has fewer than the 2 lines"},
      {"untrusted comment: x\nRWQ=\n", "ids = [\"a.b\"]", nullptr, "acme.pub: holds no minisign public key"},
      {"-----BEGIN PUBLIC KEY-----\nx\n", "ids = [\"a.b\"]", nullptr,
       "acme.pub: has \"-----BEGIN PUBLIC KEY-----\" where"},
      {key, nullptr, nullptr, "acme.toml: is missing; write ids"},
      {key, "", nullptr, "acme.toml: ids: names no plugin"},
      {key, "ids = []", nullptr, "acme.toml: ids: names no plugin"},
      {key, "ids = \"a.b\"", nullptr, "acme.toml:1:7: ids: is"},
      {key, "ids = [\"*\"]", nullptr, "acme.toml:1:8: ids: is \"*\", must be a plugin id as in"},
      {key, "ids = [\"a.*.c\"]", nullptr, "acme.toml:1:8: ids: is"},
      {key, "ids = [\"a.b\"]\nuntil = \"2027-02-29\"", nullptr, "acme.toml:2:9: until: is"},
      {key, "ids = [\"a.b\"]\nuntil = \"next year\"", nullptr, "acme.toml:2:9: until: is"},
      {key, "ids = [\"a.b\"]\nuntill = \"2027-02-28\"", nullptr, "acme.toml:2:1: untill: is not a known key"},
      {key, "ids = [", nullptr, "acme.toml:1:"},
      {key, "ids = [\"a.b\"]", "keys = [\"acme\"]", "revoked.toml:1:9: keys: is \"acme\", must be a key's id"},
      {key, "ids = [\"a.b\"]", "digests = [\"abc\"]", "revoked.toml:1:12: digests: is \"abc\", must be"},
      {key, "ids = [\"a.b\"]", "keys = ", "revoked.toml:1:"},
  };
  for (const Row& row : rows) {
    const TestFolder folder;
    folder.write("acme.pub", row.pub);
    if (row.companion) folder.write("acme.toml", row.companion);
    if (row.revoked) folder.write("revoked.toml", row.revoked);
    config::Faults faults;
    const auto store = TrustStore::load(folder.path(), faults);
    INFO(row.sentence);
    CHECK_THAT(fault_of(folder, store, faults), Catch::Matchers::StartsWith(row.sentence));
    CHECK((store.size() == 0 || store.broken()));
  }
}

TEST_CASE("[sdk-9] a trust store that others may write to trusts nobody") {
  const TestFolder folder;
  folder.write("acme.pub", acme().public_key());
  folder.write("acme.toml", "ids = [\"a.b\"]");
  config::Faults faults;
  const auto load = [&] { return TrustStore::load(folder.path(), faults); };
  REQUIRE(load().size() == 1);
  ::chmod((folder.path() / "acme.toml").c_str(), 0666);
  CHECK(load().size() == 0);
  ::chmod((folder.path() / "acme.toml").c_str(), 0644);
  ::chmod(folder.path().c_str(), 0777);
  CHECK(load().size() == 0);
  CHECK(load().broken());
  ::chmod(folder.path().c_str(), 0700);
  std::filesystem::rename(folder.path() / "acme.pub", folder.path() / "real");
  std::filesystem::create_symlink("real", folder.path() / "acme.pub");
  CHECK(load().size() == 0);
  CHECK(has(faults.faults().back(), "acme.pub: is a symbolic link"));
}

TEST_CASE("[sdk-9] of two keys with one id neither takes the other's place unseen") {
  const TestFolder folder;
  for (const char* name : {"acme", "evil"}) {
    folder.write(std::string(name) + ".pub", Signer().public_key());
    folder.write(std::string(name) + ".toml", "ids = [\"a.b\"]");
  }
  config::Faults faults;
  const auto store = TrustStore::load(folder.path(), faults);
  REQUIRE(store.size() == 1);
  CHECK(store.find(kAcmeId)->file.filename() == "acme.pub");
  CHECK_THAT(fault_of(folder, store, faults), Catch::Matchers::StartsWith("evil.pub: has the id 0807060504030201 of "));
}
