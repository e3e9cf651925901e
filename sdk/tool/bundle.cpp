#include "sdk/tool/bundle.hpp"

#include <zstd.h>

#include <cstdio>
#include <cstring>

#include "core/base/files.hpp"
#include "core/trust/manifest.hpp"
#include "core/trust/plugin_folder.hpp"
#include "core/trust/tar_header.hpp"

namespace hawser::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNameBytesMax = 100;  // of a ustar header; a longer path stands in a pax header before it
constexpr int kCompression = 19;

// POSIX.1-2017, pax(1): the offsets of a ustar header.
constexpr std::size_t kMode = 100, kOwner = 108, kGroup = 116, kSize = 124, kTime = 136, kSum = 148, kType = 156,
                      kMagic = 257;
constexpr std::size_t kSizeDigits = 11, kSumDigits = 6;

void put(std::string& block, std::size_t at, const std::string& text) { block.replace(at, text.size(), text); }

std::string octal(std::size_t number, std::size_t digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%0*zo", static_cast<int>(digits), number);
  return text;
}

void add_entry(std::string& tar, const std::string& name, char type, std::string_view content) {
  std::string block(trust::kTarBlockBytes, '\0');
  put(block, 0, name.substr(0, kNameBytesMax));
  put(block, kMode, "0000644");
  put(block, kOwner, "0000000");
  put(block, kGroup, "0000000");
  put(block, kSize, octal(content.size(), kSizeDigits));
  put(block, kTime, octal(0, kSizeDigits));
  put(block, kSum, "        ");
  block[kType] = type;
  put(block, kMagic,
      std::string("ustar\0"
                  "00",
                  8));
  std::size_t sum = 0;
  for (const char byte : block) sum += static_cast<unsigned char>(byte);
  put(block, kSum, octal(sum, kSumDigits) + std::string("\0 ", 2));
  tar += block;
  tar += content;
  tar.append((trust::kTarBlockBytes - content.size() % trust::kTarBlockBytes) % trust::kTarBlockBytes, '\0');
}

// "<length> path=<name>\n", where the length counts its own digits.
std::string pax_path(const std::string& name) {
  const std::string rest = " path=" + name + "\n";
  std::size_t length = rest.size() + 1;
  while (std::to_string(length).size() + rest.size() != length) ++length;
  return std::to_string(length) + rest;
}

Result<std::string> tar_of(const trust::OpenFiles& files, const fs::path& folder) {
  std::string tar;
  for (const auto& [name, file] : files) {
    const auto content = trust::read_whole(file, (folder / name).string(), trust::kFolderBytesMax);
    if (!content) return content.error();
    if (name.size() > kNameBytesMax) add_entry(tar, "pax", 'x', pax_path(name));
    add_entry(tar, name, '0', *content);
  }
  tar.append(2 * trust::kTarBlockBytes, '\0');
  return tar;
}

Result<std::string> compressed(const std::string& tar) {
  std::string made(ZSTD_compressBound(tar.size()), '\0');
  const std::size_t size = ZSTD_compress(made.data(), made.size(), tar.data(), tar.size(), kCompression);
  if (ZSTD_isError(size)) return Error{"write_failed", std::string("zstd: ") + ZSTD_getErrorName(size)};
  made.resize(size);
  return made;
}

}  // namespace

Result<fs::path> write_bundle(const fs::path& folder, fs::path into) {
  const auto files = trust::open_folder(folder);
  if (!files) return files.error();
  const auto found = files->find(trust::kManifestFile);
  if (found == files->end())
    return Error{"manifest_missing", (folder / trust::kManifestFile).string() + " is not there"};
  const auto text = trust::read_whole(found->second, trust::kManifestFile, trust::kManifestBytesMax);
  if (!text) return text.error();
  const auto manifest = trust::read_manifest(*text);
  if (!manifest) return manifest.error().with_context(folder.string());
  const auto tar = tar_of(*files, folder);
  if (!tar) return tar.error();
  const auto bundle = compressed(*tar);
  if (!bundle) return bundle.error();
  if (into.empty()) into = manifest->id + "-" + manifest->version.text() + ".hawser";
  if (const auto status = write_file_atomically(into, *bundle, 0644); !status) return status.error();
  return into;
}

}  // namespace hawser::tool
