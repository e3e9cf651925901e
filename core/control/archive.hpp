#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

struct ZSTD_CCtx_s;

namespace hawser::control {

// Writes a tar archive (POSIX ustar) under zstd to a descriptor, never more than its limit. One thread; blocks on the
// disk. After an Error nothing more is to be added.
class ArchiveWriter {
 public:
  // `folder`: what every name is put under. `file` is borrowed. `bytes_max`: of the archive as it stands on the disk.
  ArchiveWriter(int file, std::string folder, std::size_t bytes_max);
  ~ArchiveWriter();
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  // One file of mode 0600. Error too_big, with nothing written, when it could go over the limit.
  Status add(const std::string& name, std::string_view content);
  Status finish();
  std::size_t bytes() const { return written_; }

 private:
  Status compress(std::string_view bytes, bool last);

  const int file_;
  const std::string folder_;
  const std::size_t bytes_max_;
  std::unique_ptr<ZSTD_CCtx_s, std::size_t (*)(ZSTD_CCtx_s*)> context_;
  std::size_t written_ = 0;
};

}  // namespace hawser::control
