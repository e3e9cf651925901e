#include "core/control/archive.hpp"

#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <vector>

namespace hawser::control {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kNameMax = 99;
constexpr int kLevel = 6;

// POSIX.1-1988 ustar: numbers are octal text with a final NUL.
struct Header {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
  char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], padding[12];
};
static_assert(sizeof(Header) == kBlock);

// As many digits as fit before the final NUL.
template <std::size_t N>
void put_octal(char (&field)[N], std::uint64_t number) {
  field[N - 1] = '\0';
  for (std::size_t i = N - 1; i-- > 0; number >>= 3) field[i] = static_cast<char>('0' + (number & 7));
}

Header header_for(const std::string& name, std::size_t size) {
  Header header{};
  std::memcpy(header.name, name.data(), std::min(name.size(), kNameMax));
  put_octal(header.mode, 0600);
  put_octal(header.uid, 0);
  put_octal(header.gid, 0);
  put_octal(header.size, size);
  put_octal(header.mtime, static_cast<std::uint64_t>(std::max<std::time_t>(std::time(nullptr), 0)));
  header.type = '0';
  std::memcpy(header.magic, "ustar", 6);
  std::memcpy(header.version, "00", 2);
  std::memset(header.checksum, ' ', sizeof header.checksum);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) sum += reinterpret_cast<const unsigned char*>(&header)[i];
  put_octal(header.checksum, sum);
  return header;
}

std::size_t padding_of(std::size_t size) { return (kBlock - size % kBlock) % kBlock; }

}  // namespace

ArchiveWriter::ArchiveWriter(int file, std::string folder, std::size_t bytes_max)
    : file_(file), folder_(std::move(folder)), bytes_max_(bytes_max), context_(ZSTD_createCCtx(), &ZSTD_freeCCtx) {
  ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
}

ArchiveWriter::~ArchiveWriter() = default;

Status ArchiveWriter::add(const std::string& name, std::string_view content) {
  const std::string path = folder_ + "/" + name;
  if (path.size() > kNameMax) return Error{"too_big", "the name " + path + " is too long for the archive"};
  const std::size_t worst = ZSTD_compressBound(content.size() + 4 * kBlock) + ZSTD_CStreamOutSize();
  if (worst > bytes_max_ - std::min(bytes_max_, written_))
    return Error{"too_big", name + " (" + std::to_string(content.size()) +
                                " bytes) could make the archive longer than " + std::to_string(bytes_max_) + " bytes"};
  const Header header = header_for(path, content.size());
  const std::string zeros(padding_of(content.size()), '\0');
  for (const std::string_view part :
       {std::string_view(reinterpret_cast<const char*>(&header), kBlock), content, std::string_view(zeros)})
    if (auto done = compress(part, false); !done) return done;
  return ok();
}

Status ArchiveWriter::finish() { return compress(std::string(2 * kBlock, '\0'), true); }

Status ArchiveWriter::compress(std::string_view bytes, bool last) {
  std::vector<char> buffer(ZSTD_CStreamOutSize());
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  for (;;) {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    const std::size_t left = ZSTD_compressStream2(context_.get(), &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left)) return Error{"io_error", std::string("zstd: ") + ZSTD_getErrorName(left)};
    for (std::size_t at = 0; at < out.pos;) {
      const ssize_t done = ::write(file_, buffer.data() + at, out.pos - at);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) return Error{"io_error", std::string("cannot write the archive: ") + std::strerror(errno)};
      at += static_cast<std::size_t>(done);
      written_ += static_cast<std::size_t>(done);
    }
    if (last ? left == 0 : in.pos == in.size) return ok();
  }
}

}  // namespace hawser::control
