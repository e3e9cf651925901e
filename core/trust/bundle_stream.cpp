#include "core/trust/bundle_stream.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <cerrno>
#include <cstring>

#include "core/base/encoding.hpp"

namespace hawser::trust {
namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr std::size_t kNameBytesMax = 512;

std::string reason_of(std::size_t code) {
  switch (ZSTD_getErrorCode(code)) {
    case ZSTD_error_prefix_unknown:
      return "is no plugin bundle: it is not compressed with zstd; have it made by hawser-plugin";
    case ZSTD_error_frameParameter_windowTooLarge:
      return "needs more memory to unpack than the 8 MiB allowed; have it packed with zstd -19 or less";
    default:
      return std::string("is damaged: ") + ZSTD_getErrorName(code) + "; fetch it again";
  }
}

}  // namespace

BundleStream::BundleStream(std::filesystem::path name, Descriptor file)
    : name_(std::move(name)), file_(std::move(file)), context_(ZSTD_createDCtx(), ZSTD_freeDCtx) {
  if (!context_) throw std::bad_alloc();
  ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kBundleWindowLogMax);
}

Error BundleStream::refuse(const std::string& sentence) const {
  return {"bundle_refused", printable(name_.string(), kNameBytesMax) + " " + sentence};
}

Result<BundleStream> BundleStream::open(const std::filesystem::path& file) {
  BundleStream stream(file, Descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)));
  struct stat about {};
  if (!stream.file_ || ::fstat(stream.file_.get(), &about) != 0)
    return stream.refuse(std::string("cannot be read: ") + std::strerror(errno) + "; name the bundle's file");
  if (!S_ISREG(about.st_mode)) return stream.refuse("is not a regular file; name the bundle's file");
  if (static_cast<std::uint64_t>(about.st_size) > kBundleBytesMax)
    return stream.refuse("is larger than the " + std::to_string(kBundleBytesMax / 1024 / 1024) +
                         " MiB allowed for a bundle; make it smaller");
  return stream;
}

Status BundleStream::refill() {
  input_.resize(kPieceBytes);
  used_ = 0;
  for (;;) {
    const ssize_t got = ::read(file_.get(), input_.data(), input_.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refuse(std::string("cannot be read: ") + std::strerror(errno));
    input_.resize(static_cast<std::size_t>(got));
    file_ended_ = got == 0;
    return ok();
  }
}

Result<std::size_t> BundleStream::read(char* into, std::size_t size) {
  ZSTD_outBuffer output{into, size, 0};
  while (output.pos < size) {
    if (used_ == input_.size() && !file_ended_) {
      if (const auto more = refill(); !more) return more.error();
    }
    const std::size_t before = output.pos;
    if (file_ended_ && !frame_open_) break;  // between two frames nothing waits to be given out
    ZSTD_inBuffer input{input_.data(), input_.size(), used_};
    const std::size_t left = ZSTD_decompressStream(context_.get(), &output, &input);
    if (ZSTD_isError(left) != 0) return refuse(reason_of(left));
    used_ = input.pos;
    frame_open_ = left != 0;
    if (file_ended_ && output.pos == before) break;
  }
  if (output.pos < size && frame_open_) return refuse("is cut short; fetch it again");
  return output.pos;
}

}  // namespace hawser::trust
