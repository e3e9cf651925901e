// What can be told of a plugin without running it, and of the table that its one function returns.
#include <dlfcn.h>

#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/trust/config_schema.hpp"
#include "sdk/testing/conformance/elf_file.hpp"
#include "sdk/testing/conformance/stage.hpp"

namespace hawser::sdk::conformance {
namespace {

// What a table of minor 0 holds: a shorter one was never built from any hawser/plugin.h.
constexpr std::size_t kTableBytesLeast = offsetof(hws_plugin, extension) + sizeof(hws_plugin::extension);
constexpr std::size_t kTableBytesMost = 4096;

ElfFile elf_of(const Subject& subject) {
  auto file = read_elf(subject.library);
  if (!file) fail(file.error().message);
  return *file;
}

const trust::Manifest& manifest_of(const Subject& subject) {
  if (!subject.manifest) skip("there is no valid manifest beside the library");
  return *subject.manifest;
}

hws_entry_fn entry_of(const Subject& subject) {
  void* const library = ::dlopen(subject.library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) fail(::dlerror());
  const auto entry = reinterpret_cast<hws_entry_fn>(::dlsym(library, HWS_ENTRY_SYMBOL));
  require(entry != nullptr, "it exports no " HWS_ENTRY_SYMBOL);
  return entry;
}

const hws_host& a_host() {
  static hws_host host{};
  host.size = sizeof host;
  host.abi_major = HWS_ABI_MAJOR;
  host.abi_minor = HWS_ABI_MINOR;
  host.name = host.version = "check";
  // The C++ face looks for this one before it gives its table.
  host.extension = [](hws_ctx*, const char*) -> const void* { return nullptr; };
  return host;
}

const hws_plugin& table_of(const Subject& subject) {
  const hws_plugin* const table = entry_of(subject)(&a_host());
  require(table != nullptr, "the entry function gave no table to a host of ABI 1.0");
  return *table;
}

void manifest(const Subject& subject) {
  if (!subject.manifest && subject.manifest.error().code == "manifest_missing")
    skip("there is no manifest.json beside the library");
  if (!subject.manifest) fail(subject.manifest.error().message);
}

void schema(const Subject& subject) {
  if (!subject.schema) skip("there is no config.schema.json beside the library");
  if (const auto status = trust::check_config_schema(*subject.schema); !status) fail(status.error().message);
}

void exports_the_entry(const Subject& subject) {
  const auto exported = elf_of(subject).exported;
  require(std::count(exported.begin(), exported.end(), HWS_ENTRY_SYMBOL) == 1, "it does not export " HWS_ENTRY_SYMBOL);
}

void exports_nothing_else(const Subject& subject) {
  for (const auto& name : elf_of(subject).exported)
    require(name.starts_with("hawser_plugin_v"), "it exports " + printable(name) + " too");
}

void links_nothing_of_hawser(const Subject& subject) {
  const ElfFile file = elf_of(subject);
  for (const auto& library : file.needed)
    require(library.find("hawser") == library.npos, "it is linked to " + printable(library));
  for (const auto& name : file.undefined)
    require(!name.starts_with("hws_") && name.find("hawser") == name.npos,
            "it leaves " + printable(name) + " to be found in the host");
}

void no_run_path(const Subject& subject) {
  for (const auto& path : elf_of(subject).run_paths)
    require(path.empty() || path.starts_with("$ORIGIN"), "its run path is " + printable(path));
}

void no_executable_stack(const Subject& subject) {
  require(!elf_of(subject).executable_stack, "it asks for a stack that can be executed");
}

void loads(const Subject& subject) { entry_of(subject); }

void entry_is_still(const Subject& subject) {
  const auto entry = entry_of(subject);
  const std::size_t threads = count_threads(), descriptors = count_descriptors();
  const hws_plugin* const table = entry(&a_host());
  require(table == entry(&a_host()), "it gave another table when it was called again");
  require(count_threads() == threads, "it started a thread");
  require(count_descriptors() == descriptors, "it opened a descriptor");
}

void table(const Subject& subject) {
  const hws_plugin& given = table_of(subject);
  require(given.size >= kTableBytesLeast && given.size <= kTableBytesMost,
          "its size says " + std::to_string(given.size) + " bytes, " + std::to_string(sizeof(hws_plugin)) +
              " is that of ABI 1.0");
  require(given.create && given.configure && given.start && given.stop, "it lacks create, configure, start or stop");
}

void identity(const Subject& subject) {
  const auto& manifest = manifest_of(subject);
  const hws_plugin& given = table_of(subject);
  const auto text = [](const char* words) { return words ? printable(words) : std::string("(nothing)"); };
  require(given.id && given.id == manifest.id,
          "the table says the id " + text(given.id) + ", the manifest " + manifest.id);
  require(given.version && given.version == manifest.version.text(),
          "the table says version " + text(given.version) + ", the manifest " + manifest.version.text());
}

void abi_minor(const Subject& subject) {
  const hws_plugin& given = table_of(subject);
  const auto needed = std::to_string(given.abi_minor_needed);
  require(given.abi_minor_needed <= given.abi_minor,
          "it needs minor " + needed + " and is built against " + std::to_string(given.abi_minor));
  require(given.abi_minor_needed <= HWS_ABI_MINOR, "it needs minor " + needed + ", which is later than this tool");
  if (!subject.manifest) return;
  require(subject.manifest->abi_minor == given.abi_minor_needed,
          "the table needs minor " + needed + ", the manifest says " + std::to_string(subject.manifest->abi_minor));
}

constexpr Check kChecks[] = {
    {"manifest", "", "manifest.json is valid", "protocol/manifest.schema.json", "Mend the member that is named.",
     manifest},
    {"schema", "", "config.schema.json is a JSON Schema, where there is one", "JSON Schema, draft 2020-12",
     "Mend what stands at the place that is named, or leave the file out.", schema},
    {"exports-entry", "", "the library exports hawser_plugin_v1", "plugin.h, hws_entry_fn",
     "Define it with HWS_EXPORT and C linkage (HAWSER_PLUGIN does), and build with hawser_add_plugin().",
     exports_the_entry},
    {"exports-nothing-else", "", "the library exports nothing else", "plugin.h, hws_entry_fn",
     "Build with hawser_add_plugin(), or with -fvisibility=hidden and the SDK's plugin.map.", exports_nothing_else},
    {"links-nothing", "", "the library is linked to nothing of Hawser's", "ABI.md: all calls go through tables",
     "Take out the library; use what the tables of plugin.h give.", links_nothing_of_hawser},
    {"no-run-path", "", "libraries are looked for in the system's folders only",
     "a device has other folders, and others may write to them",
     "Link without -rpath; with CMake set CMAKE_SKIP_RPATH, or use $ORIGIN for what you ship beside it.", no_run_path},
    {"no-executable-stack", "", "the library asks for no executable stack",
     "hosts run without memory that is writable and executable",
     "Link with -Wl,-z,noexecstack; assembler files need a section .note.GNU-stack.", no_executable_stack},
    {"loads", "exports-entry", "the library loads, with every symbol found", "a host loads with RTLD_NOW",
     "Link what is missing, or ship it in the folder of the plugin.", loads},
    {"entry", "loads", "the entry function only compares versions and returns its table", "plugin.h, hws_entry_fn",
     "Move the work to create() or start(); keep the table static.", entry_is_still},
    {"table", "loads", "the table is whole", "plugin.h R1",
     "Begin the table with sizeof(hws_plugin) and set create, configure, start and stop.", table},
    {"identity", "table", "id and version are those of the manifest", "plugin.h, hws_plugin.id",
     "Write them in one place: hawser_add_plugin() defines HAWSER_PLUGIN_ID and HAWSER_PLUGIN_VERSION.", identity},
    {"abi-minor", "table", "the minor that it needs is one that hosts have, and the manifest's",
     "plugin.h, abi_minor_needed", "Name in both the least minor whose functions you call without HWS_HAS.", abi_minor},
};

}  // namespace

std::span<const Check> library_checks() { return kChecks; }

}  // namespace hawser::sdk::conformance
