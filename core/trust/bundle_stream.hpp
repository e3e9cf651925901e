#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/base/files.hpp"
#include "core/base/result.hpp"

struct ZSTD_DCtx_s;

namespace hawser::trust {

inline constexpr std::uint64_t kBundleBytesMax = std::uint64_t{256} * 1024 * 1024;  // as it stands on the disk
inline constexpr int kBundleWindowLogMax = 23;  // 8 MiB of memory; what zstd makes up to -19

// What a bundle holds under its zstd, from the beginning to the end. Hostile data. One thread; blocks on the disk.
class BundleStream {
 public:
  static Result<BundleStream> open(const std::filesystem::path& file);

  // Fills `into` whole, or as far as the content goes: fewer bytes mean its end. The Error is one sentence.
  Result<std::size_t> read(char* into, std::size_t size);

 private:
  BundleStream(std::filesystem::path name, Descriptor file);
  Status refill();
  Error refuse(const std::string& sentence) const;

  std::filesystem::path name_;
  Descriptor file_;
  std::unique_ptr<ZSTD_DCtx_s, std::size_t (*)(ZSTD_DCtx_s*)> context_;
  std::string input_;
  std::size_t used_ = 0;     // of input_
  bool file_ended_ = false;  // nothing is left to read
  bool frame_open_ = true;   // in the middle of a zstd frame
};

}  // namespace hawser::trust
