#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>
#include <functional>
#include <iostream>

#include "cloud/api/commands.hpp"
#include "cloud/api/init.hpp"
#include "cloud/api/plugin_options.hpp"
#include "cloud/api/settings.hpp"
#include "cloud/gateway/server.hpp"
#include "cloud/store/sqlite_store.hpp"
#include "core/base/log.hpp"

// hawser-cloud: the self-hosted server, and the operator's commands on its store.
// Exit codes: 0 done, 1 refused or failed, 64 usage, 78 a configuration with faults.
namespace hawser::cloud {
namespace {

constexpr int kUsage = 64, kBadConfiguration = 78;

struct Arguments {
  std::string config;
  bool check = false, json = false;
  InitOptions init;
  DeviceOptions device;
  PushOptions push;
  BundleOptions bundle;
  int history_limit = 200;
  bool unset = false;
  std::string service;
  std::string source, command, command_args = "{}";
  int set_interval_s = 0, command_wait_s = 0;
};

std::filesystem::path config_path(const std::string& given) {
  if (!given.empty()) return given;
  std::error_code ignored;
  return std::filesystem::exists("cloud.toml", ignored) ? "cloud.toml" : "/etc/hawser/cloud.toml";
}

// Runs `work` with the settings and the store, or says every fault of the file and returns 78.
int with_store(const Arguments& arguments, const std::function<int(const Settings&, Store&)>& work) {
  const SettingsRead read = read_settings(config_path(arguments.config));
  for (const std::string& fault : read.faults) std::cerr << fault << "\n";
  if (!read.faults.empty()) return kBadConfiguration;
  SqliteStore store(read.settings.database);
  return work(read.settings, store);
}

int check(const Arguments& arguments) {
  const SettingsRead read = read_settings(config_path(arguments.config));
  for (const std::string& fault : read.faults) std::cerr << fault << "\n";
  return read.faults.empty() ? 0 : kBadConfiguration;
}

int serve(const Arguments& arguments) {
  return with_store(arguments, [&](const Settings& settings, Store& store) {
    if (auto started = start_log("hawser-cloud", settings.log_level); !started) {
      std::cerr << "hawser-cloud: " << started.error().message << "\n";
      return kBadConfiguration;
    }
    std::signal(SIGPIPE, SIG_IGN);  // a command of an operator ends with its pager instead
    return run_server(settings, store, [path = config_path(arguments.config)] { return read_settings(path); });
  });
}

int init(const Arguments& arguments) {
  if (auto made = init_cloud(arguments.init); !made) {
    std::cerr << "hawser-cloud: " << made.error().message << "\n";
    return 1;
  }
  const std::string folder = arguments.init.folder.string();
  std::cout << "made " << folder << "/cloud.toml, a CA and a server certificate\n"
            << "give devices " << folder << "/ca.crt; start with: hawser-cloud serve --config " << folder
            << "/cloud.toml\n";
  return 0;
}

// One subcommand: its options are bound to `arguments`, its work is kept in `chosen`.
class Commands {
 public:
  Commands(CLI::App& app, Arguments& arguments) : app_(app), a_(arguments) {
    app.add_option("--config", a_.config, "cloud.toml (default ./cloud.toml, then /etc/hawser/cloud.toml)");
    app.add_flag("--check", a_.check, "only check the configuration: exit 0, or 78 with every fault");
    app.fallthrough();
    add_server();
    add_devices();
    add_services();
    add_site_options(app, a_.config, on_store());
    add_plugin_options(app, on_store());
  }

  std::function<int()> chosen;

 private:
  using Work = std::function<int(const Settings&, Store&)>;

  CLI::App* add(CLI::App& parent, const char* name, const char* about, std::function<int()> work) {
    CLI::App* command = parent.add_subcommand(name, about);
    command->fallthrough();
    command->callback([this, work = std::move(work)] { chosen = work; });
    return command;
  }
  CLI::App* add_on_store(CLI::App& parent, const char* name, const char* about, Work work) {
    return add(parent, name, about, [this, work = std::move(work)] { return with_store(a_, work); });
  }

  CLI::App* group(const char* name, const char* about) {
    CLI::App* made = app_.add_subcommand(name, about)->require_subcommand(1);
    made->fallthrough();
    return made;
  }

  void add_server() {
    CLI::App* made =
        add(app_, "init", "make a CA, a server certificate and cloud.toml in a folder", [this] { return init(a_); });
    made->add_option("DIR", a_.init.folder, "the folder; made when missing")->required();
    made->add_option("--name", a_.init.names,
                     "a name or address of this cloud (repeatable; default localhost, 127.0.0.1, the host name)");
    made->add_option("--auth-port", a_.init.authentication_port, "authentication port")->check(CLI::Range(0, 65535));
    made->add_option("--connection-port", a_.init.connection_port, "connection port")->check(CLI::Range(0, 65535));
    made->add_option("--listen", a_.init.listen, "address to listen on");
    made->add_option("--group", a_.init.group, "let this group read the server's key: hawser-cloud for the service");
    made->add_option("--database", a_.init.database, "the database (default: cloud.db in the folder)");
    add(app_, "serve", "run the server", [this] { return serve(a_); });
  }

  void add_devices() {
    CLI::App* device = group("device", "add, list, show, remove, block devices");
    const auto serial = [this](CLI::App* command) { command->add_option("SERIAL", a_.device.serial)->required(); };
    CLI::App* made = add_on_store(*device, "add", "let a serial enrol within 7 days",
                                  [this](auto&, Store& store) { return device_add(store, a_.device); });
    serial(made);
    made->add_option("--model", a_.device.model, "its model");
    made->add_flag("--password-stdin", a_.device.password_stdin, "set a password, read from standard input");
    made = add_on_store(*device, "list", "all devices",
                        [this](auto&, Store& store) { return device_list(store, a_.device.json); });
    made->add_flag("--json", a_.device.json);
    made = add_on_store(*device, "show", "one device: state, subconnections, last values, events",
                        [this](auto&, Store& store) { return device_show(store, a_.device); });
    serial(made);
    made->add_flag("--json", a_.device.json);
    serial(add_on_store(
        *device, "remove", "remove a device with all that is kept of it",
        [this](const Settings& settings, Store& store) { return device_remove(settings, store, a_.device.serial); }));
    serial(add_on_store(*device, "block", "refuse a device",
                        [this](auto&, Store& store) { return device_block(store, a_.device.serial, true); }));
    serial(add_on_store(*device, "unblock", "let a blocked device in again",
                        [this](auto&, Store& store) { return device_block(store, a_.device.serial, false); }));
    made = add_on_store(*device, "command", "send a command of the protocol to a device", [this](auto&, Store& store) {
      return send_command(store, a_.device.serial, a_.command, a_.command_args, a_.command_wait_s);
    });
    serial(made);
    made->add_option("NAME", a_.command, "reconnect, state, plugin_restart, ...")->required();
    made->add_option("--args", a_.command_args, "its arguments as JSON");
    made->add_option("--wait", a_.command_wait_s, "seconds to wait for the answer")->check(CLI::Range(0, 86'400));
    serial(add_on_store(*device, "reconnect", "let a device leave its main connection and come back",
                        [this](auto&, Store& store) {
                          return send_command(store, a_.device.serial, "reconnect", "{}", a_.command_wait_s);
                        }));
    made = add_on_store(
        *device, "history", "what it reported, and what was seen of its connections",
        [this](auto&, Store& store) { return device_history(store, a_.device.serial, a_.history_limit, a_.json); });
    serial(made);
    made->add_option("--limit", a_.history_limit, "the last N of either side (200)")->check(CLI::Range(1, 20'000));
    made->add_flag("--json", a_.json);
    add_access(*device);
    add_device_plugin_options(*device, on_store());
  }

  // For families of commands with a file of their own.
  Choose on_store() {
    return [this](CLI::App& command, OnStore work, std::function<void()> before) {
      command.fallthrough();
      command.callback([this, work = std::move(work), before = std::move(before)] {
        if (before) before();
        chosen = [this, work] { return with_store(a_, work); };
      });
    };
  }

  void add_access(CLI::App& device) {
    const auto serial = [this](CLI::App* command) { command->add_option("SERIAL", a_.device.serial)->required(); };
    CLI::App* made =
        add_on_store(device, "password", "set the password that a device must prove",
                     [this](auto&, Store& store) { return device_password(store, a_.device.serial, a_.unset); });
    serial(made);
    made->add_flag("--unset", a_.unset, "ask for none");
    made = add_on_store(app_, "unbinding-code", "make a code with which a device unbinds itself",
                        [this](auto&, Store& store) { return unbinding_code(store, a_.device.serial, a_.json); });
    serial(made);
    made->add_flag("--json", a_.json);
    CLI::App* service = group("service", "take a service from a device, or give it back");
    for (const bool enabled : {false, true}) {
      made = add_on_store(*service, enabled ? "enable" : "disable",
                          enabled ? "give it back" : "revoke it, and refuse it from now on",
                          [this, enabled](auto&, Store& store) {
                            return service_enable(store, a_.device.serial, a_.service, enabled);
                          });
      serial(made);
      made->add_option("SERVICE", a_.service, "monitoring, log_upload, config_push, ...")->required();
    }
    made = add_on_store(app_, "bundle", "fetch a support bundle from a device",
                        [this](const Settings& settings, Store& store) {
                          a_.bundle.serial = a_.device.serial;
                          return fetch_bundle(settings, store, a_.bundle);
                        });
    serial(made);
    made->add_option("--output", a_.bundle.output, "where to (default: it stays in the folder of bundles)");
    made->add_option("--wait", a_.bundle.wait_s, "seconds to wait for it (60)")->check(CLI::Range(1, 600));
  }

  void add_services() {
    const auto serial = [this](CLI::App* command) { command->add_option("SERIAL", a_.device.serial)->required(); };
    CLI::App* made = add_on_store(app_, "logs", "what a device uploaded, byte for byte", [this](auto&, Store& store) {
      return show_logs(store, a_.device.serial, a_.source, a_.json);
    });
    serial(made);
    made->add_option("--source", a_.source, "only this source");
    made->add_flag("--json", a_.json, "one JSON object per message, with positions");
    made = add_on_store(app_, "metrics", "last values, with --json the history too", [this](auto&, Store& store) {
      return show_metrics(store, a_.device.serial, a_.json, a_.set_interval_s);
    });
    serial(made);
    made->add_flag("--json", a_.json);
    made->add_option("--set-interval", a_.set_interval_s, "ask the device to sample every N seconds")
        ->check(CLI::Range(1, 3600));
    add_config();
  }

  void add_config() {
    CLI::App* config = group("config", "push configuration files, and see what became of them");
    CLI::App* made = add_on_store(*config, "push", "send a set of files, all or nothing",
                                  [this](const Settings& settings, Store& store) {
                                    a_.push.part_bytes = part_bytes(settings.max_message_bytes);
                                    return config_push(store, a_.push);
                                  });
    made->add_option("SERIAL", a_.push.serial)->required();
    made->add_option("FILES", a_.push.files, "PATH=LOCALFILE: path on the device, file here");
    made->add_option("--delete", a_.push.deleted, "a path to delete on the device (repeatable)")
        ->allow_extra_args(false);
    made->add_flag("--check", a_.push.check, "change nothing, answer with a diff");
    made->add_option("--reload", a_.push.reload, "a reload action that the device allows (repeatable)")
        ->allow_extra_args(false);
    made->add_option("--confirm-timeout", a_.push.confirm_timeout_s,
                     "seconds until an unconfirmed revision is put back")
        ->check(CLI::Range(1, 3600));
    made->add_option("--wait", a_.push.wait_s, "seconds to wait for the outcome")->check(CLI::Range(0, 86'400));
    made->add_option("--until", a_.push.until, "the state that ends --wait: applied or confirmed")
        ->check(CLI::IsMember({"applied", "confirmed"}));
    made->add_option("--mode", a_.push.mode, "mode of the files, as 0644 (default: as the local file)");
    made->add_option("--owner", a_.push.owner, "owner (default: as the local file)");
    made->add_option("--group", a_.push.group, "group (default: as the local file)");
    made = add_on_store(*config, "show", "the revisions of a device",
                        [this](auto&, Store& store) { return config_show(store, a_.device.serial, a_.json); });
    made->add_option("SERIAL", a_.device.serial)->required();
    made->add_flag("--json", a_.json);
  }

  CLI::App& app_;
  Arguments& a_;
};

int run(int argc, char** argv) {
  CLI::App app{"hawser-cloud: the cloud that devices are moored to"};
  app.set_version_flag("--version", HAWSER_VERSION);
  Arguments arguments;
  Commands commands(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  if (arguments.check) return check(arguments);
  if (!commands.chosen) {
    std::cerr << "hawser-cloud: say what to do; hawser-cloud --help lists the commands\n";
    return kUsage;
  }
  const int code = commands.chosen();
  std::cout.flush();
  if (std::cout) return code;
  std::cerr << "hawser-cloud: standard output took not everything: a full disk?\n";
  return code == 0 ? 1 : code;
}

}  // namespace
}  // namespace hawser::cloud

int main(int argc, char** argv) {
  try {
    return hawser::cloud::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "hawser-cloud: " << error.what() << "\n";
    return 1;
  }
}
