#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/config/faults.hpp"
#include "core/trust/minisign.hpp"

namespace hawser::trust {

using Time = std::chrono::system_clock::time_point;

inline constexpr std::size_t kKeysMax = 256;
inline constexpr std::size_t kIdsMax = 256;  // of one key
inline constexpr const char* kRevokedFile = "revoked.toml";
inline constexpr std::size_t kRevokedMax = 4096;  // keys, and digests

// A public key together with what the operator lets it sign.
struct TrustedKey {
  PublicKey key;
  std::filesystem::path file;    // acme.pub; its ids and its end stand beside it in acme.toml
  std::vector<std::string> ids;  // "com.example.heartbeat", or "com.example.*" for every id below com.example
  std::optional<Time> until;     // the end of its last day, UTC; none: it has no end
  std::string last_day;          // as written

  // Where the operator wrote down what it may sign.
  std::filesystem::path companion() const { return std::filesystem::path(file).replace_extension(".toml"); }
  bool may_sign(std::string_view plugin_id) const;
};

// Which keys an operator trusts, and for what. A folder, usually /etc/hawser/trust.d:
//   acme.pub      a minisign public key
//   acme.toml     ids = ["com.acme.*"]        which plugin ids it may sign; required
//                 until = "2027-12-31"        its last day (UTC); may be left out
//   revoked.toml  keys = ["E7620F1842B4E81F"] and digests = ["sha256:<hex>"] of files; may be absent
// Immutable once loaded. Any thread.
class TrustStore {
 public:
  // Adds what is wrong to `faults`: a key of which anything is wrong is not trusted, and where the list of what is
  // revoked cannot be read, nothing is. Blocks on the disk only.
  static TrustStore load(const std::filesystem::path& folder, config::Faults& faults);

  const std::filesystem::path& folder() const { return folder_; }
  // What stands in the way of trusting anything: an unreadable revocation list, a folder that others may write to.
  const std::optional<Error>& broken() const { return broken_; }
  const TrustedKey* find(const std::string& key_id) const;
  bool is_revoked_key(const std::string& key_id) const { return revoked_keys_.count(key_id) > 0; }
  bool is_revoked_digest(const std::string& sha256_hex) const { return revoked_digests_.count(sha256_hex) > 0; }
  std::size_t size() const { return keys_.size(); }

 private:
  void read_key(const std::filesystem::path& file, config::Faults& faults);
  void read_revoked(config::Faults& faults);

  std::filesystem::path folder_;
  std::optional<Error> broken_;
  std::vector<TrustedKey> keys_;
  std::set<std::string> revoked_keys_, revoked_digests_;
};

}  // namespace hawser::trust
