#include "core/host/plugin_library.hpp"

#include <dlfcn.h>

#include <boost/dll/shared_library.hpp>
#include <boost/dll/shared_library_load_mode.hpp>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"

namespace hawser::host {
namespace {

constexpr unsigned kMajorsToLookFor = 9;  // to tell a plugin of another major from what is no plugin at all
// What a table of minor 0 holds: a shorter one was never built from any header of ours.
constexpr std::size_t kTableBytesLeast = offsetof(hws_plugin, extension) + sizeof(hws_plugin::extension);

Error refused(const std::string& sentence) { return {"abi_refused", sentence}; }

std::string system_words() {
  const char* const words = ::dlerror();
  return printable(words ? words : "the loader gives no reason", 512);
}

Error without_symbol(const boost::dll::shared_library& library, const std::string& path) {
  for (unsigned major = 1; major <= kMajorsToLookFor; ++major) {
    if (major == HWS_ABI_MAJOR || !library.has("hawser_plugin_v" + std::to_string(major))) continue;
    return refused(path + ": built for ABI major " + std::to_string(major) + ", this host has major " +
                   std::to_string(HWS_ABI_MAJOR) + "; install a build for it");
  }
  return refused(path + ": exports no " HWS_ENTRY_SYMBOL ", so it is no Hawser plugin");
}

std::string text(const char* words) { return words ? printable(words) : "(none)"; }

}  // namespace

Result<const hws_plugin*> load_plugin(const std::filesystem::path& path, int descriptor, const hws_host& host) {
  std::error_code fault;
  Descriptor verified(descriptor);
  if (!verified && !std::filesystem::is_regular_file(path, fault))
    return refused(path.string() + ": no such file; install the plugin or take it from plugins.enabled");
  // Left to leak on purpose: destroying it would unload the plugin.
  auto* const library = new boost::dll::shared_library();
  const std::filesystem::path opened =
      verified ? std::filesystem::path("/proc/self/fd/" + std::to_string(verified.get())) : path;
  library->load(opened, fault, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  if (fault) {
    std::string words = system_words();
    // The loader's sentence begins with the file, and people know it by its path.
    if (words.starts_with(opened.string())) words = path.string() + words.substr(opened.string().size());
    const bool named = words.find(path.string()) != std::string::npos;
    return refused((named ? "" : path.string() + ": ") + words);
  }
  if (!library->has(HWS_ENTRY_SYMBOL)) return without_symbol(*library, path.string());
  const auto entry = reinterpret_cast<hws_entry_fn>(&library->get<void()>(HWS_ENTRY_SYMBOL));
  const hws_plugin* const table = entry(&host);
  if (!table) return refused(path.string() + ": the plugin refuses this host (its entry function gave no table)");
  return table;
}

Status check_table(const hws_plugin* table, const hws_host& host, const std::string& id, const std::string& version) {
  if (table->size < kTableBytesLeast)
    return refused("the plugin's table has " + std::to_string(table->size) + " bytes, at least " +
                   std::to_string(kTableBytesLeast) + " are due; rebuild it against hawser/plugin.h");
  if (table->abi_minor_needed > host.abi_minor)
    return refused("the plugin needs ABI " + std::to_string(HWS_ABI_MAJOR) + "." +
                   std::to_string(table->abi_minor_needed) + ", this host has " + std::to_string(host.abi_major) + "." +
                   std::to_string(host.abi_minor) + "; upgrade the agent");
  if (!table->id || table->id != id)
    return refused("the plugin calls itself " + text(table->id) + ", its manifest says " + id);
  if (!table->version || table->version != version)
    return refused("the plugin says version " + text(table->version) + ", its manifest says " + version);
  if (!table->create || !table->configure || !table->start || !table->stop)
    return refused("the plugin's table lacks create, configure, start or stop");
  return ok();
}

}  // namespace hawser::host
