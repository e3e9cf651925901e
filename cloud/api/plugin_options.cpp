#include "cloud/api/plugin_options.hpp"

#include <memory>

#include "cloud/api/commands.hpp"

namespace hawser::cloud {
namespace {

constexpr int kWaitMostS = 86'400;

struct PluginWords {
  SiteOptions site;
  InstallOptions install{"", {}, 120};
  std::string serial, plugin, version, file;
  int wait_s = 30;
  bool json = false;
};
using Words = std::shared_ptr<PluginWords>;

CLI::App* group(CLI::App& parent, const char* name, const char* about) {
  CLI::App* made = parent.add_subcommand(name, about)->require_subcommand(1);
  made->fallthrough();
  return made;
}

void add_wait(CLI::App& command, int& into, const char* about) {
  command.add_option("--wait", into, about)->check(CLI::Range(0, kWaitMostS));
}

// `site set` has a --config of its own, which hides the one of every command: what assigns nothing is meant for that.
void take_config_path(std::vector<std::string>& assignments, std::string& config) {
  std::erase_if(assignments, [&config](const std::string& word) {
    if (word.find('=') != std::string::npos) return false;
    config = word;
    return true;
  });
}

}  // namespace

void add_site_options(CLI::App& app, std::string& config, const Choose& choose) {
  const Words words = std::make_shared<PluginWords>();
  CLI::App* site = group(app, "site", "what plugins the devices of a site run");
  CLI::App* set = site->add_subcommand("set", "change its profile; what is not named stays");
  set->add_option("SITE", words->site.site)->required();
  const auto list = [set](const char* option, std::vector<std::string>& into, const char* about) {
    set->add_option(option, into, about)->allow_extra_args(false);
  };
  list("--enable", words->site.enable, "a plugin that is to run (repeatable)");
  list("--disable", words->site.disable, "a plugin that is not to run (repeatable)");
  list("--config", words->site.config, "ID=FILE.json: its configuration, below the device's own (repeatable)");
  list("--forget", words->site.forget, "a plugin that the profile is no longer to name (repeatable)");
  choose(
      *set, [words](auto&, Store& store) { return site_set(store, words->site); },
      [words, &config] { take_config_path(words->site.config, config); });
  CLI::App* show = site->add_subcommand("show", "its profile, and what each device made of it");
  show->add_option("SITE", words->site.site)->required();
  show->add_flag("--json", words->json);
  choose(*show, [words](auto&, Store& store) { return site_show(store, words->site.site, words->json); }, {});
  CLI::App* all = site->add_subcommand("list", "all profiles");
  all->add_flag("--json", words->json);
  choose(*all, [words](auto&, Store& store) { return site_list(store, words->json); }, {});
}

void add_plugin_options(CLI::App& app, const Choose& choose) {
  const Words words = std::make_shared<PluginWords>();
  CLI::App* plugin = group(app, "plugin", "bundles that devices install");
  CLI::App* upload = plugin->add_subcommand("upload", "keep a bundle for devices");
  upload->add_option("FILE", words->file, "<id>-<version>.hawser")->required();
  choose(*upload,
         [words](const Settings& settings, Store& store) { return plugin_upload(settings, store, words->file); }, {});
  CLI::App* list = plugin->add_subcommand("list", "what is kept");
  list->add_flag("--json", words->json);
  choose(*list, [words](auto&, Store& store) { return plugin_list(store, words->json); }, {});
  CLI::App* remove = plugin->add_subcommand("remove", "keep it no longer");
  remove->add_option("ID", words->plugin)->required();
  remove->add_option("VERSION", words->version)->required();
  choose(*remove, [words](auto&, Store& store) { return plugin_remove(store, words->plugin, words->version); }, {});
  CLI::App* install = plugin->add_subcommand("install", "have a device, or all of a site, install it");
  install->add_option("WORDS", words->install.words, "[SERIAL] ID [VERSION]; the newest version where none is named")
      ->required()
      ->expected(1, 3);
  install->add_option("--site", words->install.site, "every device of this site, in place of SERIAL");
  add_wait(*install, words->install.wait_s, "seconds to wait for the answers (120)");
  choose(*install,
         [words](const Settings& settings, Store& store) { return plugin_install(settings, store, words->install); },
         {});
}

void add_device_plugin_options(CLI::App& device, const Choose& choose) {
  const Words words = std::make_shared<PluginWords>();
  CLI::App* plugin = group(device, "plugin", "enable, disable or restart a plugin of one device");
  for (const char* verb : {"enable", "disable", "restart"}) {
    CLI::App* command = plugin->add_subcommand(verb, "as its name says");
    command->add_option("SERIAL", words->serial)->required();
    command->add_option("ID", words->plugin, "the plugin, as acme.shell")->required();
    add_wait(*command, words->wait_s, "seconds to wait for the answer (30)");
    choose(*command,
           [words, verb](auto&, Store& store) {
             return device_plugin(store, words->serial, verb, words->plugin, words->wait_s);
           },
           {});
  }
}

}  // namespace hawser::cloud
