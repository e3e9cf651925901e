#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "cloud/api/settings.hpp"
#include "cloud/store/store.hpp"
#include "core/base/files.hpp"

namespace hawser::cloud {

// Beside the database, 0700.
std::filesystem::path bundle_folder(const Settings& settings);
// Those of a serial that is gone: its next owner, and nobody, is to find them.
void remove_bundles(const Settings& settings, const std::string& serial);

// One support bundle on its way to the disk: begun for a token that is good once, written in pieces, kept when
// finished. Owned by the connection it comes on; the gateway's thread. What is not finished is removed and noted as
// failed.
class Upload {
 public:
  static constexpr std::string_view kPrefix = "/hawser/v1/upload/";
  static constexpr std::uint64_t kBytesMax = 64 << 20;
  static constexpr std::uint64_t kFolderBytesMax = 1 << 30;  // the oldest bundles make room
  static constexpr Millis kLifeMs = 10 * 60 * 1000;          // from the command to the PUT

  // not_found for a token that is unknown, spent or expired; unavailable when there is no place to write.
  static Result<Upload> begin(const Settings& settings, Store& store, const std::string& token, Millis now);
  Upload(Upload&&) = default;
  Upload& operator=(Upload&&) = delete;
  ~Upload();

  Status write(std::string_view bytes);
  Status finish();
  void fail(const std::string& reason);
  const std::string& serial() const { return outcome_.serial; }

 private:
  Upload(Store& store, std::string hash, UploadRecord outcome)
      : store_(&store), hash_(std::move(hash)), outcome_(std::move(outcome)) {}
  Status open(const std::filesystem::path& folder, Millis now);

  Store* store_;
  std::string hash_;
  UploadRecord outcome_;
  Descriptor file_;  // empty once it is over
  std::string staged_, first_bytes_;
};

}  // namespace hawser::cloud
