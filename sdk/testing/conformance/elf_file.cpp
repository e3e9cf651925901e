#include "sdk/testing/conformance/elf_file.hpp"

#include <link.h>

#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

#include "core/base/files.hpp"

namespace hawser::sdk::conformance {
namespace {

constexpr unsigned char kClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
constexpr unsigned char kOrder = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;

// The bytes of a file that may say anything of itself: every access is checked.
class Bytes {
 public:
  explicit Bytes(std::string_view all) : all_(all) {}

  template <class T>
  std::optional<T> at(std::size_t offset) const {
    T value;
    if (offset > all_.size() || all_.size() - offset < sizeof value) return std::nullopt;
    std::memcpy(&value, all_.data() + offset, sizeof value);
    return value;
  }

  std::string text(std::size_t table, std::size_t offset) const {
    if (table > all_.size() || all_.size() - table <= offset) return {};
    const std::string_view rest = all_.substr(table + offset);
    return std::string(rest.substr(0, rest.find('\0')));
  }

 private:
  std::string_view all_;
};

void add_symbols(const Bytes& bytes, const ElfW(Shdr) & section, std::size_t names, ElfFile& into) {
  for (std::size_t i = 1; i * sizeof(ElfW(Sym)) < section.sh_size; ++i) {
    const auto symbol = bytes.at<ElfW(Sym)>(section.sh_offset + i * sizeof(ElfW(Sym)));
    if (!symbol) return;
    const auto binding = ELF64_ST_BIND(symbol->st_info);
    const auto visibility = ELF64_ST_VISIBILITY(symbol->st_other);
    const std::string name = bytes.text(names, symbol->st_name);
    if (symbol->st_shndx == SHN_UNDEF) {
      into.undefined.push_back(name);
    } else if (binding != STB_LOCAL && visibility != STV_HIDDEN && visibility != STV_INTERNAL &&
               symbol->st_shndx != SHN_ABS) {
      into.exported.push_back(name);
    }
  }
}

void add_dynamic(const Bytes& bytes, const ElfW(Shdr) & section, std::size_t names, ElfFile& into) {
  for (std::size_t i = 0; i * sizeof(ElfW(Dyn)) < section.sh_size; ++i) {
    const auto entry = bytes.at<ElfW(Dyn)>(section.sh_offset + i * sizeof(ElfW(Dyn)));
    if (!entry || entry->d_tag == DT_NULL) return;
    const std::string text = bytes.text(names, entry->d_un.d_val);
    if (entry->d_tag == DT_NEEDED) into.needed.push_back(text);
    if (entry->d_tag == DT_RPATH || entry->d_tag == DT_RUNPATH) into.run_paths.push_back(text);
  }
}

}  // namespace

Result<ElfFile> read_elf(const std::filesystem::path& path) {
  const auto content = read_file(path, kLibraryBytesMax);
  if (!content) return content.error();
  const Bytes bytes(*content);
  const auto header = bytes.at<ElfW(Ehdr)>(0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_type != ET_DYN)
    return Error{"abi_refused", path.string() + " is no shared library"};
  if (header->e_ident[EI_CLASS] != kClass || header->e_ident[EI_DATA] != kOrder)
    return Error{"abi_refused", path.string() + " is built for another kind of machine"};
  ElfFile file;
  for (std::size_t i = 0; i < header->e_phnum; ++i) {
    const auto segment = bytes.at<ElfW(Phdr)>(header->e_phoff + i * sizeof(ElfW(Phdr)));
    if (segment && segment->p_type == PT_GNU_STACK) file.executable_stack = (segment->p_flags & PF_X) != 0;
  }
  for (std::size_t i = 0; i < header->e_shnum; ++i) {
    const auto section = bytes.at<ElfW(Shdr)>(header->e_shoff + i * sizeof(ElfW(Shdr)));
    if (!section || (section->sh_type != SHT_DYNSYM && section->sh_type != SHT_DYNAMIC)) continue;
    const auto names = bytes.at<ElfW(Shdr)>(header->e_shoff + section->sh_link * sizeof(ElfW(Shdr)));
    if (!names) continue;
    (section->sh_type == SHT_DYNSYM ? add_symbols : add_dynamic)(bytes, *section, names->sh_offset, file);
  }
  return file;
}

}  // namespace hawser::sdk::conformance
