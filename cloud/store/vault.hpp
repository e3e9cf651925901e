#pragma once

#include <string>

namespace hawser::cloud {

// Encrypts what the database must not hold in the clear (device passwords) with a key in a file beside it: a copy of
// the database alone, a backup for example, opens none of them. AES-256-GCM; what is sealed for one serial opens for no
// other. Owned by a store, on its thread. Throws StoreError.
class Vault {
 public:
  // The file is made, 0600, when something is sealed for the first time.
  explicit Vault(std::string key_file) : key_file_(std::move(key_file)) {}

  std::string seal(const std::string& text, const std::string& serial);
  std::string open(const std::string& sealed, const std::string& serial);

 private:
  const std::string& key();
  void make_key_file() const;

  std::string key_file_;
  std::string key_;  // empty until it was needed
};

}  // namespace hawser::cloud
