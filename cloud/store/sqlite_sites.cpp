#include <algorithm>

#include "cloud/store/sqlite_store.hpp"

// Plugins as operators drive them: profiles of sites, bundles, and who did what.
namespace hawser::cloud {
namespace {

constexpr const char* kBundleColumns =
    "SELECT plugin, version, sha256, token, file, bytes, added_at, added_by FROM plugin_bundle";

PluginBundle bundle_of(const Row& row) {
  return {row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), row.integer(5), row.integer(6), row.text(7)};
}

SiteRecord site_of(const Row& row) { return {row.text(0), row.integer(1), row.text(2), row.integer(3), row.text(4)}; }

}  // namespace

Result<SiteRecord> SqliteStore::edit_site(const std::string& name, const EditPlugins& edit, const std::string& who,
                                          Millis now) {
  Transaction transaction(database_);
  SiteRecord record = site(name).value_or(SiteRecord{name, 0, "[]", 0, ""});
  auto plugins = edit(record.plugins);
  if (!plugins) return plugins.error();
  record.plugins = std::move(*plugins);
  // A cloud that was put back to an older state would else be refused by its devices.
  const auto known = database_.one_integer("SELECT max(revision) FROM profile_result WHERE site=?", name).value_or(0);
  record.revision = std::max(record.revision, known) + 1;
  record.changed_at = now;
  record.changed_by = who;
  database_.run("INSERT OR REPLACE INTO site VALUES(?,?,?,?,?)", name, record.revision, record.plugins, now, who);
  database_.run("INSERT INTO change(serial) SELECT serial FROM device WHERE site=?", name);
  transaction.commit();
  return record;
}

std::optional<SiteRecord> SqliteStore::site(const std::string& site) {
  std::optional<SiteRecord> found;
  database_.query(
      "SELECT site, revision, plugins, changed_at, changed_by FROM site WHERE site=?",
      [&](const Row& row) { found = site_of(row); }, site);
  return found;
}

std::vector<SiteRecord> SqliteStore::sites() {
  std::vector<SiteRecord> found;
  database_.query("SELECT site, revision, plugins, changed_at, changed_by FROM site ORDER BY site",
                  [&](const Row& row) { found.push_back(site_of(row)); });
  return found;
}

void SqliteStore::note_profile_result(const std::string& serial, const std::string& site, const ProfileResult& result) {
  Transaction transaction(database_, Transaction::Kind::Quick);
  database_.run("INSERT OR REPLACE INTO profile_result VALUES(?,?,?,?,?,?)", serial, site, result.revision,
                result.plugins, result.reason, result.at);
  transaction.commit();
}

std::optional<ProfileResult> SqliteStore::profile_result(const std::string& serial) {
  std::optional<ProfileResult> found;
  database_.query(
      "SELECT revision, plugins, reason, at FROM profile_result WHERE serial=?",
      [&](const Row& row) {
        found = {row.integer(0), row.text(1), row.text(2), row.integer(3)};
      },
      serial);
  return found;
}

Status SqliteStore::add_plugin_bundle(const PluginBundle& bundle) {
  Transaction transaction(database_);
  if (plugin_bundle(bundle.plugin, bundle.version))
    return Error{"version_taken", bundle.plugin + " " + bundle.version + " is here already"};
  const auto count = database_.one_integer("SELECT count(*) FROM plugin_bundle").value_or(0);
  const auto bytes = database_.one_integer("SELECT sum(bytes) FROM plugin_bundle").value_or(0);
  if (count >= kPluginBundlesMax || bytes + bundle.bytes > kPluginBundleBytesMax)
    return Error{"queue_full",
                 "256 bundles, or 4 GiB of them, are kept at most; remove some: hawser-cloud plugin remove"};
  database_.run("INSERT INTO plugin_bundle VALUES(?,?,?,?,?,?,?,?)", bundle.plugin, bundle.version, bundle.sha256,
                bundle.token, bundle.file, bundle.bytes, bundle.added_at, bundle.added_by);
  transaction.commit();
  return ok();
}

std::vector<PluginBundle> SqliteStore::plugin_bundles() {
  static const std::string sql = std::string(kBundleColumns) + " ORDER BY plugin, added_at";
  std::vector<PluginBundle> found;
  database_.query(sql, [&](const Row& row) { found.push_back(bundle_of(row)); });
  return found;
}

std::optional<PluginBundle> SqliteStore::plugin_bundle(const std::string& plugin, const std::string& version) {
  static const std::string sql = std::string(kBundleColumns) + " WHERE plugin=? AND version=?";
  std::optional<PluginBundle> found;
  database_.query(
      sql, [&](const Row& row) { found = bundle_of(row); }, plugin, version);
  return found;
}

std::optional<PluginBundle> SqliteStore::plugin_bundle_at(const std::string& token) {
  static const std::string sql = std::string(kBundleColumns) + " WHERE token=?";
  std::optional<PluginBundle> found;
  database_.query(
      sql, [&](const Row& row) { found = bundle_of(row); }, token);
  return found;
}

bool SqliteStore::remove_plugin_bundle(const std::string& plugin, const std::string& version) {
  Transaction transaction(database_);
  const int gone = database_.run("DELETE FROM plugin_bundle WHERE plugin=? AND version=?", plugin, version);
  transaction.commit();
  return gone > 0;
}

void SqliteStore::note_act(const std::string& serial, const OperatorAct& act) {
  Transaction transaction(database_);
  if (!database_.one_integer("SELECT 1 FROM device WHERE serial=?", serial)) return;
  database_.run("INSERT INTO operator_act(serial, at, who, what) VALUES(?,?,?,?)", serial, act.at, act.who, act.what);
  database_.run(
      "DELETE FROM operator_act WHERE serial=? AND number<=(SELECT number FROM operator_act WHERE serial=?"
      " ORDER BY number DESC LIMIT 1 OFFSET ?)",
      serial, serial, kActsPerDeviceMax);
  transaction.commit();
}

std::vector<OperatorAct> SqliteStore::acts(const std::string& serial, int last) {
  std::vector<OperatorAct> found;
  database_.query(
      "SELECT at, who, what FROM (SELECT * FROM operator_act WHERE serial=? ORDER BY number DESC LIMIT ?)"
      " ORDER BY number",
      [&](const Row& row) {
        found.push_back({row.integer(0), row.text(1), row.text(2)});
      },
      serial, last);
  return found;
}

}  // namespace hawser::cloud
