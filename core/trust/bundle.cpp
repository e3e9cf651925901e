#include "core/trust/bundle.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include "core/base/encoding.hpp"
#include "core/trust/bundle_stream.hpp"
#include "core/trust/manifest.hpp"
#include "core/trust/plugin_folder.hpp"
#include "core/trust/tar_header.hpp"
#include "core/trust/versions.hpp"

namespace hawser::trust {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRemake = "; have it made by hawser-plugin";
constexpr std::size_t kShownMax = 200;
constexpr std::size_t kNameBytesMax = 255;  // of one part, as file systems have it

class Unpacking {
 public:
  Unpacking(const fs::path& file, const fs::path& into, BundleStream stream)
      : shown_(printable(file.string(), kShownMax)), into_(into), stream_(std::move(stream)) {}

  Status run() {
    for (;;) {
      auto block = next_block();
      if (!block) return block.error();
      if (is_tar_end(*block)) return finish();
      if (++entries_ > kBundleEntriesMax)
        return refuse("has more than the " + std::to_string(kBundleEntriesMax) +
                      " entries allowed; put them into fewer");
      const auto header = read_tar_header(*block);
      if (!header) return refuse(header.error().message);
      if (auto status = take(*header); !status) return status;
    }
  }

 private:
  Error refuse(const std::string& clause) const { return {"bundle_refused", shown_ + " " + clause}; }
  Error entry_refused(const std::string& name, const std::string& clause) const {
    return refuse("holds \"" + printable(name, kShownMax) + "\", " + clause + kRemake);
  }
  Error failure(const char* doing, const fs::path& path) const {
    return {"io_error", std::string("cannot ") + doing + " " + path.string() + ": " + std::strerror(errno)};
  }

  Result<std::string> next_block() {
    std::string block(kTarBlockBytes, '\0');
    const auto got = stream_.read(block.data(), block.size());
    if (!got) return got.error();
    if (*got < block.size()) return refuse("is cut short: the archive has no end; fetch it again");
    return block;
  }

  Status take(const TarHeader& header) {
    using Kind = TarHeader::Kind;
    if (header.kind == Kind::Pax || header.kind == Kind::LongName) return take_long_name(header);
    const std::string raw = std::exchange(long_name_, {});
    std::string name = raw.empty() ? header.name : raw;
    if (header.kind == Kind::Other) return entry_refused(name, std::string("which is ") + what_is(header.type));
    if (header.kind == Kind::Folder && header.size != 0) return entry_refused(name, "a folder with content");
    const auto path = path_inside(name);
    if (!path) return path.error();
    if (path->empty())
      return header.kind == Kind::Folder ? ok() : Status(entry_refused(name, "which is no file's name"));
    return header.kind == Kind::Folder ? take_folder(*path) : take_file(*path, header.size);
  }

  static const char* what_is(char type) {
    switch (type) {
      case '1':
        return "a hard link; put the file itself there";
      case '2':
        return "a symbolic link; put the file itself there";
      case '3':
      case '4':
      case '6':
        return "a device or a pipe; a plugin is files and folders";
      default:
        return "of a kind that no plugin needs";
    }
  }

  // A name of the archive as a path within the plugin's folder, without "./" and a slash at its end; empty for the
  // folder itself.
  Result<std::string> path_inside(std::string name) const {
    if (name.empty() || name.size() > kBundlePathBytesMax) return entry_refused(name, "a name of a wrong length");
    if (name[0] == '/') return entry_refused(name, "an absolute path; paths are within the plugin's folder");
    if (name.starts_with("./")) name.erase(0, 2);
    if (!name.empty() && name.back() == '/') name.pop_back();
    if (name.empty() || name == ".") return std::string();
    int deep = 0;
    for (std::size_t at = 0; at <= name.size();) {
      const std::size_t end = std::min(name.find('/', at), name.size());
      const std::string part = name.substr(at, end - at);
      if (part == "..") return entry_refused(name, "a path that leaves the plugin's folder");
      if (part.empty() || part == "." || part.size() > kNameBytesMax || printable(part, kNameBytesMax) != part)
        return entry_refused(name, "which is no path of a plugin's file");
      if (++deep > kFoldersDeepMax) return entry_refused(name, "which lies deeper than the 8 folders allowed");
      at = end + 1;
    }
    return name;
  }

  Status take_long_name(const TarHeader& header) {
    if (header.size > kBundlePathBytesMax * 2) return refuse(std::string("has a name that is too long") + kRemake);
    auto text = content_of(header.size);
    if (!text) return text.error();
    if (header.kind == TarHeader::Kind::LongName) {
      long_name_ = text->substr(0, text->find('\0'));
      return ok();
    }
    auto path = path_of_pax(*text);
    if (!path) return refuse(path.error().message);
    long_name_ = std::move(*path);
    return ok();
  }

  Result<std::string> content_of(std::uint64_t size) {
    std::string text;
    for (std::uint64_t left = size; left > 0;) {
      auto block = next_block();
      if (!block) return block.error();
      const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(left, kTarBlockBytes));
      text.append(*block, 0, part);
      left -= part;
    }
    return text;
  }

  Status make_parents(const std::string& path) {
    for (std::size_t at = path.find('/'); at != path.npos; at = path.find('/', at + 1)) {
      if (auto status = make_folder(path.substr(0, at)); !status) return status;
    }
    return ok();
  }

  Status make_folder(const std::string& path) {
    if (files_.count(path) > 0) return entry_refused(path, "once as a file and once as a folder");
    if (!folders_.insert(path).second) return ok();
    if (::mkdir((into_ / path).c_str(), 0700) != 0) return failure("make the folder", into_ / path);
    return ok();
  }

  Status take_folder(const std::string& path) {
    if (auto status = make_parents(path); !status) return status;
    return make_folder(path);
  }

  Status take_file(const std::string& path, std::uint64_t size) {
    bytes_ += size;
    if (size > kFolderBytesMax || bytes_ > kFolderBytesMax)
      return refuse("unpacks to more than the 512 MiB allowed; make the plugin smaller");
    if (files_.size() == kFilesMax + 2)  // the manifest and its signature
      return refuse("has more than the " + std::to_string(kFilesMax) + " files allowed; put them into fewer");
    if (auto status = make_parents(path); !status) return status;
    if (folders_.count(path) > 0) return entry_refused(path, "once as a file and once as a folder");
    if (!files_.insert(path).second) return entry_refused(path, "which stands there twice");
    return write_file(into_ / path, size);
  }

  Status write_file(const fs::path& path, std::uint64_t size) {
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return failure("create", path);
    std::array<char, 128 * kTarBlockBytes> piece;
    for (std::uint64_t left = size; left > 0;) {
      const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left, piece.size()));
      const std::size_t padded = (wanted + kTarBlockBytes - 1) / kTarBlockBytes * kTarBlockBytes;
      const auto got = stream_.read(piece.data(), padded);
      if (!got) return got.error();
      if (*got < padded) return refuse("is cut short: the archive has no end; fetch it again");
      if (!write_all(file.get(), piece.data(), wanted)) return failure("write", path);
      left -= wanted;
    }
    if (::fchmod(file.get(), 0644) != 0 || ::fsync(file.get()) != 0) return failure("write", path);
    return ok();
  }

  static bool write_all(int fd, const char* bytes, std::size_t size) {
    while (size > 0) {
      const ssize_t done = ::write(fd, bytes, size);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) return false;
      bytes += done;
      size -= static_cast<std::size_t>(done);
    }
    return true;
  }

  // Behind the end there are zeros, to fill up a tape's record, and nothing else.
  Status finish() {
    if (!long_name_.empty()) return refuse("ends behind the name of a file that is not there; fetch it again");
    std::array<char, 16 * kTarBlockBytes> piece;
    for (std::uint64_t more = 0;;) {
      const auto got = stream_.read(piece.data(), piece.size());
      if (!got) return got.error();
      more += *got;
      if (more > kFolderBytesMax || !is_tar_end({piece.data(), *got}))
        return refuse(std::string("holds something behind the end of its archive") + kRemake);
      if (*got < piece.size()) break;
    }
    for (const auto& folder : folders_) {
      if (::chmod((into_ / folder).c_str(), 0755) != 0) return failure("set the mode of", into_ / folder);
      if (auto status = sync_folder(into_ / folder); !status) return status;
    }
    return sync_folder(into_);
  }

  const std::string shown_;
  const fs::path into_;
  BundleStream stream_;
  std::size_t entries_ = 0;
  std::uint64_t bytes_ = 0;
  std::string long_name_;  // of the next entry
  std::set<std::string> files_, folders_;
};

}  // namespace

Status unpack_bundle(const fs::path& file, const fs::path& into) {
  auto stream = BundleStream::open(file);
  if (!stream) return stream.error();
  return Unpacking(file, into, std::move(*stream)).run();
}

}  // namespace hawser::trust
